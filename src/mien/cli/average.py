"""`mien average`: one net from the snapshots of a run."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.output import console, print_json
from mien.cli.writable import check_files
from mien.core import recipe as recipes
from mien.core.errors import command as shell
from mien.core.rundir import RunDir
from mien.data import dataset
from mien.train.soup import average_weights
from mien.train.store import snapshots

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    run: Path = typer.Argument(help="Run folder with snapshots (recipe key average.snapshots)."),
    files: list[Path] = typer.Option([], "--weights", "-w", help="These .safetensors files instead; repeatable."),
    data: Path | None = typer.Option(None, "--data", help="The packed data set, if it has moved."),
    out: Path | None = typer.Option(None, "--out", "-o", help="File to write (default: weights/averaged.safetensors)."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Average the weights of a run's snapshots and estimate the norms of the mean anew, on training pictures."""
    folder = RunDir(run).require()
    chosen = list(files) or snapshots(folder)
    target = out or folder.last.with_name("averaged.safetensors")
    check_files([target], read=[folder.best, folder.last, *chosen], endings=(".safetensors",))
    packed = dataset.load(data or folder.data_path())
    average_weights(chosen, packed, recipes.read_own(folder.recipe), target)
    if as_json:
        print_json({"weights": str(target), "averaged": [str(path) for path in chosen]})
        return
    console.print(f"mean of {len(chosen)} → {target}", markup=False)
    console.print(shell("eval", target, packed.path), style="dim", markup=False)
