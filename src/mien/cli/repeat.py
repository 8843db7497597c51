"""`mien repeat`: mean and spread over seeds and folds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from mien.cli.output import console, print_json
from mien.cli.watch import Bar
from mien.core import recipe as recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.core.recipe import Recipe

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    data: Path = typer.Argument(..., help="Packed data set, as `mien data import` writes it."),
    recipe: str = typer.Option("mien-m", "--recipe", "-r", help="Name of a shipped recipe or path of a TOML file."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change a key: --set train.epochs=10. Repeatable."),
    seeds: int = typer.Option(1, min=1, help="So many seeds, from the recipe's on."),
    folds: int | None = typer.Option(
        None, min=2, help="So many folds of train and val, each once val; copies stay together."
    ),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder (default: runs/repeat-RECIPE-DATE-TIME)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Train the same recipe with several seeds, on several folds, or both. The same command goes on, with --out."""
    chosen = recipes.read(recipe, settings)
    # Loaded only now: a wrong key is answered at once, before torch takes its seconds.
    from mien.data import dataset
    from mien.train.repeat import repeat

    target = out or Path("runs") / f"repeat-{chosen.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with bars_in_turn() as watch:
        told = repeat(dataset.load(data), chosen, target, watch, seeds=seeds, folds=folds)
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        print_json(told | {"folder": str(target)})
    else:
        _print(told, target)


@contextmanager
def bars_in_turn() -> Iterator[Callable[[Recipe, str], Bar]]:
    """One bar after the other, each under the name of its training."""
    with ExitStack() as stack:

        def watch(recipe: Recipe, name: str) -> Bar:
            stack.close()
            return stack.enter_context(Bar(recipe.model_copy(update={"name": f"{recipe.name} {name}"})))

        yield watch


_COLUMNS = {
    "last epoch": "last_val_accuracy",
    "FER+": "last_val_ferplus_accuracy",
    "best epoch": "best_val_accuracy",
    "train": "last_train_eval_accuracy",
}


def _print(told: dict[str, Any], folder: Path) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run")
    for title in (*_COLUMNS, "epochs", "minutes"):
        table.add_column(title, justify="right")
    for row in told["runs"]:
        figures = [_percent(row.get(name)) for name in _COLUMNS.values()]
        table.add_row(row["name"], *figures, str(row["epochs"]), f"{row['seconds'] / 60:.1f}")
    console.print("[dim]validation accuracy in %; that of the best epoch is a maximum and flatters[/dim]\n")
    console.print(table)
    console.print("\nmean ± deviation")
    for title, name in _COLUMNS.items():
        if name in told["summary"]:
            console.print(f"  {title:12} [bold]{_spread(told['summary'][name])}[/bold]")
    console.print(f"\n{folder}/repeat.json, repeat.csv", style="dim", markup=False)


def _percent(value: float | None) -> str:
    return "–" if value is None or isnan(value) else f"{100 * value:.2f}"


def _spread(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return "–"
    deviation = "" if found["deviation"] is None else f" ± {100 * found['deviation']:.2f}"
    return f"{100 * found['mean']:.2f}{deviation}"
