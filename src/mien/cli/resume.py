"""`mien resume`: go on with a run."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.train import says_how_to_go_on, show
from mien.cli.watch import Bar
from mien.core import recipe as recipes
from mien.core.rundir import RunDir
from mien.data import dataset
from mien.train.run import changed, resume

app = typer.Typer(add_completion=False)


@app.command()
def command(
    run: Path = typer.Argument(..., help="Run folder."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change the rate, epochs or early stopping."),
    data: Path | None = typer.Option(None, "--data", help="The packed data set, if it has moved."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Go on with a run that was interrupted, or make it longer."""
    folder = RunDir(run).require()
    recipe = changed(recipes.read(str(folder.recipe)), settings)
    with says_how_to_go_on(run), Bar(recipe) as bar:
        show(resume(folder, dataset.load(data or folder.data_path()), bar, settings=settings), as_json=as_json)
