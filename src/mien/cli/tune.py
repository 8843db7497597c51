"""`mien tune`: search the keys of a recipe, by as many processes as there are."""

from __future__ import annotations

import shlex
from itertools import chain
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from mien.cli.output import console, print_json
from mien.cli.repeat import bars_in_turn

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    data: Path = typer.Argument(..., help="Packed data set, as `mien data import` writes it."),
    space: Path = typer.Option(..., "--space", help="TOML file: a recipe, its keys and their values."),
    storage: str | None = typer.Option(None, help="URL of a database server (default: SQLite in the folder)."),
    grace: float = typer.Option(120, min=1, help="Seconds without a sign of life after which a trial is taken over."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder of the runs (default: runs/tune-SPACE)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Search the keys of a recipe. Start the same command as often as there are cores or machines: they share trials.

    Started again after a break it goes on, and what a killed process was at is done by another. Exit code 1: some trial
    ended without a result.
    """
    from mien.tune import space as spaces

    chosen = spaces.read(space)
    # Loaded only now: a wrong key is answered at once, before torch takes its seconds.
    from mien.data import dataset
    from mien.tune import report
    from mien.tune.run import Patience, check, work
    from mien.tune.storage import open_study, retried, sqlite_url

    packed, target = dataset.load(data), out or Path("runs") / f"tune-{chosen.name}"
    check(packed, chosen)
    study = open_study(chosen, packed.info.fingerprint, url=storage or sqlite_url(target))
    with bars_in_turn() as watch:
        done = work(packed, chosen, study, target, watch, patience=Patience(grace=grace))
    told = retried(grace, lambda: report.write(target, study, chosen)) | {"done_here": done, "folder": str(target)}
    failed = [row for row in told["trials"] if row["state"] == "fail"]
    if as_json:
        print_json(told)
        raise typer.Exit(1 if failed else 0)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in report.headings(chosen):
        table.add_column(escape(title), justify="right")
    for row in told["trials"]:
        table.add_row(*map(escape, report.cells(row, chosen)))
    console.print(table)
    _conclude(told, target)
    for row in failed:
        typer.echo(f"mien: trial {row['trial']} has no result: {row['error'] or 'its process was lost'}", err=True)
    raise typer.Exit(1 if failed else 0)


def _conclude(told: dict[str, Any], folder: Path) -> None:
    from mien.tune.space import setting

    best = told["best"]
    if best is None:
        console.print("no trial came to its end")
        return
    words = (("--set", setting(name, best[name])) for name in told["space"]["keys"])
    console.print(f"\nbest of {len(told['trials'])}: {shlex.join(chain.from_iterable(words))}", markup=False)
    console.print("[dim]a maximum over trials flatters: confirm with other seeds, `mien repeat --seeds 3`[/dim]")
    console.print(f"{folder}/tune.json, tune.csv, tune.md, tune.png", style="dim", markup=False)
