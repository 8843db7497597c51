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
from mien.core.recipe import Recipe
from mien.data.audit import label_errors
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.page import headline
from mien.data.audit.run import Audit, Judge, Request, Watch, audit
from mien.data.audit.suggest import write_corrections
from mien.data.audit.write import JSON, PAGE, write
from mien.data.corrections import FILE_NAME as CORRECTIONS
from mien.data.dataset import Dataset, load
from mien.data.formats.base import Progress

_NETS = "nets"  # answers of the nets that judge labels, so that an interrupted audit goes on
_STYLES = {Severity.SEVERE: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan", Severity.FINE: "green"}


def run(packed: Path, folder: Path, *, recipe: Recipe | None, labels: bool, as_json: bool) -> Severity:
    """Audit a packed set, write the files into `folder`, print what was found, and return the worst of it."""
    data = load(packed)
    request = Request(inputs=_inputs(data, recipe) if recipe else None, judge=_judge(data, folder) if labels else None)
    with _watching() as watch:
        done = audit(data, request=request, watch=watch)
    said = write(done, folder)
    corrections = _corrections(done, folder)
    if as_json:
        print_json({**said, "folder": str(folder), "corrections": str(corrections) if corrections else None})
    else:
        _print(done, folder, corrections, hint=not labels)
    return done.worst


def _inputs(data: Dataset, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from mien.train.fed import fed  # loads torch, which an audit without a recipe does not need

    given = fed(data, recipe)
    return given.training, given.evaluation


def _judge(data: Dataset, folder: Path) -> Judge:
    from mien.train.crossval import out_of_fold  # loads torch, which an audit without labels does not need

    def judge(groups: NDArray[np.int64], tell: Progress) -> NDArray[np.floating]:
        return out_of_fold(data, folder / _NETS, groups=groups, tell=tell).probabilities

    return judge


def _corrections(done: Audit, folder: Path) -> Path | None:
    """The file of corrections that the judged labels suggest; None when none was judged."""
    finding = next((one for one in done.findings if one.name == label_errors.NAME), None)
    if finding is None:
        return None
    write_corrections(folder / CORRECTIONS, done.data, finding)
    return folder / CORRECTIONS


@contextmanager
def _watching() -> Iterator[Watch]:
    """One bar, renamed with each check."""
    with progress("pictures") as bar:
        task = bar.add_task("auditing", total=None, note="")

        def watch(name: str) -> Progress:
            bar.reset(task, description=name, total=None)
            return lambda done, total: bar.update(task, completed=done, total=total)

        yield watch


def _print(done: Audit, folder: Path, corrections: Path | None, *, hint: bool) -> None:
    console.print(f"[bold]{escape(done.data.info.name)}[/bold] · {escape(headline(done.findings))}\n")
    console.print(_table(done.findings))
    console.print(f"\n[dim]written to {escape(str(folder))}: {PAGE}, {JSON}, findings/[/dim]")
    if corrections is not None:
        console.print(f"[dim]labels to look at: mien data review {escape(str(folder))}[/dim]")
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
