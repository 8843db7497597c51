"""`mien lr`: which learning rates a recipe bears."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from mien.cli.output import bars, console, print_json
from mien.core import recipe as recipes

app = typer.Typer(add_completion=False)


@app.command()
def command(
    data: Path = typer.Argument(..., help="Packed data set."),
    recipe: str = typer.Option("mien-m", "--recipe", "-r", help="Name of a shipped recipe or path of a TOML file."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change a key: key.path=value. Repeatable."),
    low: float | None = typer.Option(None, help="First rate (default: the recipe's / 1000)."),
    high: float | None = typer.Option(None, help="Last rate (default: the recipe's × 100)."),
    steps: int = typer.Option(200, help="Steps over the whole range."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder (default: runs/lr-RECIPE-DATE-TIME)."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Learning-rate range test: train for some steps with a growing rate, plot the loss, suggest a rate."""
    chosen = recipes.read(recipe, settings)
    # Loaded only now: a wrong key is answered at once, before torch takes its seconds.
    from mien.data import dataset
    from mien.train.rate_range import range_test
    from mien.train.rate_report import write

    rate = chosen.optimiser.learning_rate
    packed = dataset.load(data)
    with bars("steps", chosen.name) as (tell,):
        found = range_test(packed, chosen, low=low or rate / 1000, high=high or rate * 100, steps=steps, tell=tell)
    folder = out or Path("runs") / f"lr-{chosen.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    write(folder, found, chosen, packed)
    if as_json:
        print_json(found.to_json() | {"recipe_rate": rate, "folder": str(folder)})
        return
    console.print(f"suggestion [bold]{found.suggestion:.2g}[/bold] (the recipe has {rate:g})")
    console.print(f"the loss falls fastest at {found.steepest:.2g} and is lowest at {found.lowest:.2g}")
    console.print(f"[dim]{folder}/range.png · mien train … --set optimiser.learning_rate={found.suggestion:.2g}[/dim]")
