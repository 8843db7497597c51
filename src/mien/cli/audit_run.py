"""What `mien data audit` does once its options are parsed. Apart from them, since it loads much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_folder
from mien.core.errors import command as shell
from mien.core.recipe import Recipe
from mien.data import corrections as corrections_file
from mien.data.audit import corrupt, label_errors
from mien.data.audit.counts import Counts, count
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.page import headline
from mien.data.audit.run import Audit, Judge, Request, Watch, audit
from mien.data.audit.suggest import write_corrections
from mien.data.audit.write import JSON, PAGE, check_place, write
from mien.data.corrections import FILE_NAME as CORRECTIONS
from mien.data.corrections import path_of_old
from mien.data.dataset import Dataset, load
from mien.data.formats.base import Progress

_NETS = "nets"  # answers of the nets that judge labels, so that an interrupted audit goes on
_MOST_CLASSES = 20  # in the terminal
_STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan", Severity.FINE: "green"}


def run(packed: Path, folder: Path, *, recipe: Recipe | None, labels: bool, as_json: bool) -> Severity:
    """Audit a packed set, write the files into `folder`, print what was found, and return the worst of it."""
    data = load(packed)
    _check_before(data, folder, labels=labels)
    request = Request(inputs=_inputs(data, recipe) if recipe else None, judge=_judge(data, folder) if labels else None)
    with _watching() as watch:
        done = audit(data, request=request, watch=watch)
    said = write(done, folder)
    corrections, aside = _corrections(done, folder)
    if as_json:
        told = {"folder": str(folder), "corrections": str(corrections) if corrections else None, "laid_aside": aside}
        print_json(said | told)
    else:
        _print(done, folder, corrections, hint=not labels)
        if corrections is not None and aside:
            console.print(_laid_aside(aside, packed, corrections), markup=False, soft_wrap=True)
    return done.worst


def _check_before(data: Dataset, folder: Path, *, labels: bool) -> None:
    """Raise MienError for what would stop the audit midway or at its end, after minutes."""
    check_folder(folder)
    check_place(folder)
    corrupt.check(data)  # reads rejects.csv
    for path in (folder / CORRECTIONS, path_of_old(folder / CORRECTIONS)):
        if labels and path.is_file():
            corrections_file.read(path)


def _inputs(data: Dataset, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from mien.train.fed import fed  # loads torch, which an audit without a recipe does not need

    given = fed(data, recipe)
    return given.training, given.evaluation


def _judge(data: Dataset, folder: Path) -> Judge:
    # Loaded here because torch takes a while, and an audit without labels does not need it.
    from mien.train.crossval import check_enough, out_of_fold

    check_enough(data)

    def judge(groups: NDArray[np.int64], tell: Progress) -> NDArray[np.floating]:
        return out_of_fold(data, folder / _NETS, groups=groups, tell=tell).probabilities

    return judge


def _corrections(done: Audit, folder: Path) -> tuple[Path | None, int]:
    """The file of corrections that the judged labels suggest, and how many decisions in it were laid aside.

    None when no label was judged.
    """
    finding = next((one for one in done.findings if one.name == label_errors.NAME), None)
    if finding is None:
        return None, 0
    return folder / CORRECTIONS, write_corrections(folder / CORRECTIONS, done.data, finding)


def _laid_aside(count: int, packed: Path, corrections: Path) -> str:
    """What became of decisions that are no longer in the file of corrections, and when they are wanted again."""
    again = shell("data", "import", packed, "--corrections", corrections, "--out", "NEW")
    return (
        f"{count:,} decisions were applied before or fit no label of this set: moved to {path_of_old(corrections)}\n"
        f"For another import from the source put them back into {CORRECTIONS}; or correct this set: {again}"
    )


@contextmanager
def _watching() -> Iterator[Watch]:
    """One bar, renamed with each check."""
    with progress("pictures") as bar:
        task = bar.add_task("auditing", total=None, note="")

        def watch(name: str) -> Progress:
            bar.reset(task, description=name, total=None)
            return lambda done, total: bar.update(task, completed=done, total=total)

        yield watch


def _review(data: Dataset, folder: Path) -> str:
    """The command that reviews the corrections in `folder`, which finds the set by itself where it lies around it."""
    inside = data.path is None or data.path in (folder, folder.parent)
    return shell("data", "review", folder, *([] if inside else ["--data", data.path]))


def _print(done: Audit, folder: Path, corrections: Path | None, *, hint: bool) -> None:
    console.print(f"[bold]{escape(done.data.info.name)}[/bold] · {escape(headline(done.findings))}\n")
    console.print(_table(done.findings))
    data = done.data
    console.print()
    console.print(_counted(count(data.label, data.split, data.labels.names)))
    console.print(f"\n[dim]written to {escape(str(folder))}: {PAGE}, {JSON}, findings/[/dim]")
    if corrections is not None:
        console.print(f"[dim]labels to look at: {escape(_review(data, folder))}[/dim]", soft_wrap=True)
    if hint:
        console.print("[dim]--labels judges the labels as well, which takes minutes[/dim]")


def _table(findings: tuple[Finding, ...]) -> Table:
    """The findings, the worst first."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in sorted(findings, key=lambda one: -one.severity.rank):
        style = _STYLES[finding.severity]
        table.add_row(f"[{style}]{finding.severity}[/]", escape(finding.name), escape(finding.verdict))
    return table


def _counted(found: Counts) -> Table:
    """Pictures by class and split, the rarest class of train last; of many classes the first and the last."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("pictures", no_wrap=True, max_width=40)
    for split in found.splits:
        table.add_column(escape(split), justify="right", no_wrap=True)
    order = np.argsort(-found.table[0], kind="stable").tolist() if len(found.table) else []
    rows = [(found.names[i], [f"{n:,}" for n in found.table[:, i].tolist()]) for i in order]
    if len(rows) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        rows[half:-half] = [(f"… {len(rows) - 2 * half:,} more", [""] * len(found.splits))]
    for name, numbers in rows:
        table.add_row(escape(name), *numbers)
    return table
