"""`mien resume`: go on with a run."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.train import says_how_to_go_on, show
from mien.cli.watch import Bar
from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data import dataset
from mien.train.checkpoint import Progress
from mien.train.run import changed, resume
from mien.train.schedule import rate_factor

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    run: Path = typer.Argument(..., help="Run folder."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change the rate, epochs or early stopping."),
    data: Path | None = typer.Option(None, "--data", help="The packed data set, if it has moved."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Go on with a run that was interrupted, or make it longer."""
    folder = RunDir(run).require()
    before = recipes.read_own(folder.recipe)
    recipe = changed(before, settings)
    with says_how_to_go_on(run), Bar(recipe) as bar:

        def begin(progress: Progress) -> None:
            bar.go_on(progress, run, _jump(before, recipe, progress))

        packed = dataset.load(data or folder.data_path())
        finished = resume(folder, packed, bar, settings=settings, begin=begin)
        show(finished, as_json=as_json)


def _jump(before: Recipe, after: Recipe, progress: Progress) -> str | None:
    """What a schedule laid over another number of epochs does to the rate, where it is another one from here on."""
    epoch = progress.epoch + progress.step / max(progress.per_epoch, 1)
    old, new = (one.optimiser.learning_rate * rate_factor(one, epoch) for one in (before, after))
    if not progress.position or abs(new - old) <= 0.01 * max(new, old):
        return None
    spans = (
        f"its {before.train.epochs} epochs"
        if before.train.epochs == after.train.epochs
        else (f"{after.train.epochs} epochs instead of {before.train.epochs}")
    )
    return (
        f"the learning rate goes from {old:.2g} to {new:.2g} here, by a schedule over {spans}: "
        "a run begun with these settings would give other figures"
    )
