"""`mien study`: what each step of a ladder is worth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.table import Table

from mien.cli.output import console, print_json
from mien.cli.repeat import bars_in_turn
from mien.core.errors import MienError
from mien.core.errors import command as shell

if TYPE_CHECKING:
    from mien.study.ladder import Ladder, Step

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    data: Path | None = typer.Argument(None, help="Packed data set, as `mien data import` writes it."),
    ladder: str | None = typer.Option(None, "--ladder", "-l", help="Name of a shipped ladder or path of a TOML file."),
    seeds: int | None = typer.Option(None, min=1, help="So many seeds (default: as the ladder says)."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Put over all steps: --set train.epochs=5. Repeatable."),
    only: list[str] = typer.Option([], "--step", help="Train this step only; repeatable (default: all)."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder (default: runs/study-LADDER-DATE-TIME)."),
    dry: bool = typer.Option(
        False, "--dry-run", help="Check every recipe, with data also against them, list the steps, train nothing."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Train the steps of a ladder with several seeds and compare each with the one before. Goes on, with --out."""
    from mien.data import dataset
    from mien.study import ladder as ladders
    from mien.study.run import check

    if ladder is None:
        raise MienError("no ladder was named", hint=f"--ladder, one of {', '.join(ladders.names())}, or a TOML file")
    chosen = ladders.read(ladder)
    planned = ladders.plan(chosen, tuple(settings), tuple(only))
    if dry:
        if data is not None:
            check(dataset.load(data), planned)
        steps = [{"name": p.step.name, "before": p.before, "recipe": p.recipe.name} for p in planned]
        print_json({"ladder": chosen.name, "steps": steps}) if as_json else _list(chosen, [p.step for p in planned])
        return
    if data is None:
        raise MienError("no data set was named", hint=shell("study", "PACKED", "--ladder", ladder))
    told, target = _climb(data, chosen, tuple(settings), seeds=seeds, only=tuple(only), out=out)
    if as_json:
        print_json(told | {"folder": str(target)})
    else:
        _print(told, target)


def _climb(
    data: Path, ladder: Ladder, settings: tuple[str, ...], *, seeds: int | None, only: tuple[str, ...], out: Path | None
) -> tuple[dict[str, Any], Path]:
    from mien.data import dataset
    from mien.study import report
    from mien.study.run import study

    target = out or Path("runs") / f"study-{ladder.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with bars_in_turn() as watch:
        told = study(
            dataset.load(data),
            ladder,
            target,
            watch,
            seeds=seeds,
            settings=settings,
            only=only,
            told=lambda facts: report.write(target, facts),
        )
    return told, target


def _list(ladder: Ladder, steps: list[Step]) -> None:
    console.print(f"[bold]{escape(ladder.name)}[/bold]  {escape(ladder.about)}\n")
    for step in steps:
        what = ", ".join([*step.set, *([f"recipe {step.recipe}"] if step.recipe else [])]) or step.about
        console.print(f"  {step.name:22} {what}", markup=False)


def _print(told: dict[str, Any], folder: Path) -> None:
    from mien.study import report

    figures = report.columns(told)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for number, title in enumerate(report.headings(figures)):
        table.add_column(title, justify="right" if number else "left")
    for step in told["steps"]:
        table.add_row(*map(escape, report.cells(step, figures)))
    console.print(f"[dim]accuracy in %, mean ± deviation of {told['seeds']} seeds; difference: points, paired by seed,")
    console.print("[dim]with a 95 % t interval[/dim]\n")
    console.print(table)
    console.print(f"\n{folder}/study.json, study.md, study.csv, study.png", style="dim", markup=False)
