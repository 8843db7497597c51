"""How the verbs of `mien data` tell of a packed set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mien.cli.output import console
from mien.core import recipe as recipes
from mien.data.dataset import Dataset


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


def draw_fed(dataset: Dataset, recipe: str, settings: Sequence[str], path: Path) -> None:
    """A sheet of what a recipe feeds the net."""
    # Loaded here because torch takes a while, and no other sheet needs it.
    from mien.train.preview import preview, write_sheet

    write_sheet(preview(dataset, recipes.read(recipe, settings)), path)
