"""`mien compare`: runs against each other on the same pictures."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from mien.cli.output import console, print_json
from mien.cli.writable import check_folder
from mien.core.files import write_json
from mien.evaluate import plots
from mien.evaluate.compare import SURE
from mien.evaluate.compare_plot import overlaid
from mien.evaluate.compare_runs import Comparison, Pair, compare_runs

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    runs: list[Path] = typer.Argument(help="Run folders, or folders that `mien eval --out` wrote."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder for compare.json and curves.png."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Accuracy on the same pictures, a paired test for each two runs, and what differs in their recipes.

    Every run needs an evaluation of the same split of the same data: mien eval RUN DATA.
    """
    if out is not None:
        check_folder(out)
    comparison = compare_runs(runs)
    if out is not None:
        _write(out, comparison)
    if as_json:
        print_json(comparison.to_json() | {"folder": str(out) if out else None})
    else:
        _print(comparison, out)


def _write(out: Path, comparison: Comparison) -> None:
    plots.save(overlaid({run.name: run.history for run in comparison.runs}), out / "curves.png")
    write_json(out / "compare.json", comparison.to_json())


def _print(comparison: Comparison, out: Path | None) -> None:
    count = comparison.runs[0].count
    console.print(f"[bold]{escape(comparison.dataset)}[/bold] · {comparison.split} · the same {count:,} pictures")
    if comparison.left_out:
        console.print(f"[dim]left out: {comparison.left_out:,} without a label that every run can answer[/dim]")
    console.print()
    console.print(_runs(comparison))
    about = f"second − first in points, pictures that only one gets right, mid-p McNemar{_corrected(comparison)}"
    console.print(f"\n[dim]{about}[/dim]")
    console.print(_pairs(comparison.pairs))
    for pair in comparison.pairs:
        style = "bold" if pair.p < SURE else ""
        console.print(f"{pair.verdict}.", style=style, markup=False)
    if comparison.recipes:
        console.print("\n[dim]what differs in the recipes[/dim]")
        console.print(_recipes(comparison))
    for note in comparison.notes:
        console.print(f"\n[dim]{escape(note)}[/dim]")
    written = f"written to {out}" if out else "nothing written; --out FOLDER keeps the figures and the curves"
    console.print(f"\n[dim]{escape(written)}[/dim]")


def _corrected(comparison: Comparison) -> str:
    return f", Holm-corrected for {len(comparison.pairs)} pairs" if len(comparison.pairs) > 1 else ""


def _table(*columns: str) -> Table:
    """Names to the left, figures to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table


def _runs(comparison: Comparison) -> Table:
    table = _table("run", "accuracy %", "95 %", "epochs")
    for run in comparison.runs:
        interval = f"{100 * run.interval.low:.1f}–{100 * run.interval.high:.1f}"
        table.add_row(escape(run.name), f"{100 * run.accuracy:.2f}", interval, str(len(run.history) or "–"))
    return table


def _pairs(pairs: tuple[Pair, ...]) -> Table:
    table = _table("first → second", "points", "95 %", "only 1st", "only 2nd", "p")
    for pair in pairs:
        one = pair.paired
        table.add_row(
            escape(f"{pair.first} → {pair.second}"),
            f"{100 * one.difference:+.2f}",
            f"{100 * one.interval.low:+.2f} to {100 * one.interval.high:+.2f}",
            f"{one.first_only:,}",
            f"{one.second_only:,}",
            f"{pair.p:.2g}",
        )
    return table


def _recipes(comparison: Comparison) -> Table:
    table = _table("key", *(escape(run.name) for run in comparison.runs))
    for key, values in comparison.recipes.items():
        table.add_row(escape(key), *("–" if value is None else escape(str(value)) for value in values))
    return table
