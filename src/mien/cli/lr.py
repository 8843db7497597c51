"""`mien lr`: which learning rates a recipe bears."""

from __future__ import annotations

import os
import time
from pathlib import Path

import typer

from mien.cli.output import bars, console, print_json
from mien.core import recipe as recipes

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
    from mien.train.rate_range import range_test, rates_of
    from mien.train.rate_report import write

    rate = chosen.optimiser.learning_rate
    packed = dataset.load(data)
    first, last = rate / 1000 if low is None else low, rate * 100 if high is None else high
    is_first = os.environ.get("RANK", "0") == "0"
    with bars("steps", chosen.name) as (tell,):
        found = range_test(packed, chosen, low=first, high=last, steps=steps, tell=tell if is_first else None)
    if not is_first:
        return
    folder = out or Path("runs") / f"lr-{chosen.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    write(folder, found, chosen, packed)
    keys = rates_of(chosen, found.suggestion)
    if as_json:
        print_json(found.to_json() | {"settings": keys, "recipe_rate": rate, "folder": str(folder)})
        return
    console.print(f"suggestion [bold]{found.suggestion:.2g}[/bold] (the recipe has {rate:g})")
    console.print(f"the loss falls fastest at {found.steepest:.2g} and is lowest at {found.lowest:.2g}")
    if found.still_falling:
        console.print(f"[yellow]it was still falling at {last:g}[/yellow]: try a higher --high")
    words = " ".join(f"--set {key}={value:.2g}" for key, value in keys.items())
    console.print(f"{folder}/range.png · mien train … {words}", style="dim", markup=False)
