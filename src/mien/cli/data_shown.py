"""How the verbs of `mien data` tell of a packed set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mien.cli.output import console
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.data.dataset import UNLABELLED, Dataset
from mien.data.pack import Imported
from mien.data.rejects import FILE_NAME as REJECTS_FILE


def summary(dataset: Dataset) -> dict[str, Any]:
    """A packed set as one JSON object."""
    info = dataset.info
    return {
        "path": str(dataset.path),
        "count": info.count,
        "height": info.height,
        "width": info.width,
        "channels": info.channels,
        "labels": list(info.labels),
        "counts": info.counts,
        "votes": dataset.has_votes,
        "fingerprint": info.fingerprint,
    }


def summary_of_import(imported: Imported) -> dict[str, Any]:
    """What was imported, decided and rejected, as one JSON object."""
    return {**summary(imported.dataset), "notes": imported.notes, "rejects": imported.rejects.counts()}


def print_imported(imported: Imported) -> None:
    """The set, what was decided on the way, and what was rejected, with the commonest reason."""
    print_dataset(imported.dataset)
    for note in imported.notes:
        console.print(f"· {note}", markup=False)
    for kind, count in imported.rejects.counts().items():
        where = (imported.dataset.path or Path()) / REJECTS_FILE
        reason, times = imported.rejects.commonest(kind)
        console.print(f"· {count:,} {kind}: see {where} ({times:,}: {reason})", markup=False)


def print_dataset(dataset: Dataset) -> None:
    """Size, colour, and a table of counts by class and split."""
    info = dataset.info
    colour = "colour" if info.channels == 3 else "grey"
    votes = ", with FER+ votes" if dataset.has_votes else ""
    console.print(
        f"{info.name}: {info.count:,} pictures, {info.width}×{info.height} {colour}{votes}", markup=False, style="bold"
    )
    table = Table("class", *info.counts, "all")
    for column in table.columns[1:]:
        column.justify = "right"
    every = {name: None for row in info.counts.values() for name in row}
    for name in every:
        row = [counts.get(name, 0) for counts in info.counts.values()]
        table.add_row(escape(name), *(f"{n:,}" for n in row), f"{sum(row):,}")
    totals = [sum(counts.values()) for counts in info.counts.values()]
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in totals), f"{sum(totals):,}")
    console.print(table)
    for line in scarce(info.counts):
        console.print(f"· {line}", markup=False)


def scarce(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Sentences on classes that cannot be learned or cannot be measured, from pictures by split and class."""
    totals = Counter({name: 0 for row in counts.values() for name in row})
    for row in counts.values():
        totals.update(row)
    labelled = {name: total for name, total in totals.items() if total and name != UNLABELLED}
    train, val = counts.get("train", {}), counts.get("val", {})
    unlearned = [name for name in labelled if any(train.values()) and not train.get(name)]
    single = [name for name, total in labelled.items() if total == 1 and name not in unlearned]
    unmeasured = [name for name in labelled if any(val.values()) and not val.get(name)]
    unmeasured = [name for name in unmeasured if name not in (*unlearned, *single)]
    found = {
        "no picture in train, so it is never learned": unlearned,
        "one picture, which cannot be both learned and measured": single,
        "no picture in val, so it is not measured": unmeasured,
    }
    return [
        f"{', '.join(names)}: {text}; mien data subset --drop leaves it out" for text, names in found.items() if names
    ]


def check_settings(recipe: str | None, settings: Sequence[str]) -> None:
    """Raise MienError for settings of a recipe that was not named."""
    if settings and recipe is None:
        raise MienError(f"--set {settings[0]}: of which recipe?", hint="name it with --recipe, such as mien-m")


def draw_fed(dataset: Dataset, recipe: str, settings: Sequence[str], path: Path) -> None:
    """A sheet of what a recipe feeds the net."""
    # Loaded here because torch takes a while, and no other sheet needs it.
    from mien.train.preview import preview, write_sheet

    write_sheet(preview(dataset, recipes.read(recipe, settings)), path)
