"""`mien diagnose`: why a run is stuck, in words, and what to do next."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from mien.cli.output import console, print_json
from mien.core.rundir import RunDir
from mien.diagnose.judge import Diagnosis
from mien.diagnose.verdict import NOT_MEASURED
from mien.train.diagnosis import examine

app = typer.Typer(add_completion=False, rich_markup_mode=None)
SHOWN = 3


@app.command()
def command(
    path: Path = typer.Argument(..., metavar="RUN", help="Run folder, finished or not."),
    data: Path | None = typer.Option(None, "--data", help="Packed data set (default: where the run was trained)."),
    audit: Path | None = typer.Option(None, "--audit", help="Folder or audit.json of `mien data audit`."),
    as_json: bool = typer.Option(False, "--json", help="Print what diagnosis.json holds."),
) -> None:
    """Say what happened in a run, the evidence, how sure, and what to try first. Writes diagnosis.json into the run.

    Exit code 0 whatever is found: a diagnosis is no check.
    """
    diagnosis = examine(path, data=data, audit=audit)
    if as_json:
        print_json(diagnosis.to_json())
    else:
        _print(diagnosis, RunDir(path))


def _print(diagnosis: Diagnosis, run: RunDir) -> None:
    faults = diagnosis.faults
    if not faults:
        console.print("[bold]Nothing found.[/bold]")
    for verdict in faults[:SHOWN]:
        where = f", epoch {verdict.epoch}" if verdict.epoch else ""
        console.print(
            f"[bold]{escape(verdict.title)}[/bold] ({verdict.confidence} confidence{where}). {escape(verdict.evidence)}"
        )
        console.print(f"  → {verdict.try_first} · expected gain: {verdict.expected_gain or NOT_MEASURED}", markup=False)
    if diagnosis.notes:
        noted = "; ".join(note.title for note in diagnosis.notes)
        console.print(f"Notes, no faults: {noted}", style="dim", markup=False)
    more = len(faults) - SHOWN
    rest = f"{more} more in " if more > 0 else ""
    console.print(f"{rest}{run.diagnosis}", style="dim", markup=False)
    if diagnosis.facts["not_looked_at"]:
        console.print(f"not looked at: {'; '.join(diagnosis.facts['not_looked_at'])}", style="dim", markup=False)
