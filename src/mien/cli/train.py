"""`mien train`: a data set and a recipe in, a run folder out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.output import console, print_json
from mien.cli.watch import Bar
from mien.core import recipe as recipes
from mien.core.errors import Interrupted
from mien.core.errors import command as shell
from mien.core.rundir import RunDir
from mien.page.words import plural

if TYPE_CHECKING:
    from mien.train.run import Finished

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    data: Path = typer.Argument(..., help="Packed data set, as `mien data import` writes it."),
    recipe: str = typer.Option("mien-m", "--recipe", "-r", help="Name of a shipped recipe or path of a TOML file."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change a key: --set train.epochs=10. Repeatable."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Run folder (default: runs/RECIPE-DATE-TIME)."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Train a network by a recipe. Interrupt with Ctrl-C at any moment; `mien resume RUN` goes on."""
    chosen = recipes.read(recipe, settings)
    # Loaded only now: a wrong key is answered at once, before torch takes its seconds.
    from mien.data import dataset
    from mien.train.claim import leftovers
    from mien.train.run import train

    packed = dataset.load(data)
    target = out or Path("runs") / f"{chosen.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    leftovers(RunDir(target))  # a folder that is taken is refused before anything is announced
    with says_how_to_go_on(target), Bar(chosen) as bar:
        bar.begin(packed, target)
        show(train(packed, chosen, target, bar, tell=bar.prepare), as_json=as_json)


@contextmanager
def says_how_to_go_on(run: Path) -> Iterator[None]:
    """After Ctrl-C, on the terminal's error output: what is saved and the command that goes on from it."""
    try:
        yield
    except KeyboardInterrupt:
        folder = RunDir(run)
        if not folder.recipe.is_file():
            raise Interrupted("nothing had been saved yet") from None
        from mien.evaluate.history import read_history

        epochs = len(read_history(folder))
        after = f"after {plural(epochs, 'epoch')}" if epochs else "in the first epoch"
        raise Interrupted(f"{after}; `{shell('resume', run)}` goes on from the last saved state") from None


def show(finished: Finished, *, as_json: bool) -> None:
    """What a finished training prints; nothing in the other processes of a run."""
    if os.environ.get("RANK", "0") != "0":
        return
    progress, run = finished.progress, finished.run
    best = progress.rows[progress.best_epoch - 1]
    if as_json:
        print_json({"run": str(run.path), "epochs": progress.epoch, "best_epoch": progress.best_epoch, "best": best})
        return
    early = " (stopped early)" if progress.stopped else ""
    console.print(f"{progress.epoch} epochs{early} in {progress.seconds / 60:.1f} min → {run.path}", markup=False)
    named = {"val_accuracy": "validation accuracy", "val_ferplus_accuracy": "FER+"}
    # A set with votes alone has no accuracy of labels.
    figures = (f"{label} {best[key]:.2%}" for key, label in named.items() if not isnan(best.get(key, nan)))
    console.print(f"best epoch {progress.best_epoch}: {', '.join(figures)}", markup=False)
    if finished.was_complete:
        longer = shell("resume", run.path, "--set", _longer(finished))
        console.print(f"It was complete, nothing was left to do. `{longer}` makes it longer.", markup=False)


def _longer(finished: Finished) -> str:
    """A setting with which a complete run goes on: one that stopped early has epochs left, and lacks patience."""
    progress = finished.progress
    if progress.stopped and progress.epoch < recipes.read_own(finished.run.recipe).train.epochs:
        return f"stopping.patience_epochs={2 * progress.waited}"
    return f"train.epochs={2 * progress.epoch}"
