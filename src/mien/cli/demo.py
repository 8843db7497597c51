"""`mien demo`: the whole way in about a minute, on faces that mien draws itself."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import typer
from rich.markup import escape

from mien.cli.output import console, print_json
from mien.cli.watch import Bar
from mien.core.recipe import Recipe
from mien.data.drawn.sets import Plan
from mien.demo import NOTE, Demo, run_demo
from mien.evaluate.report_words import best_and_worst, headline
from mien.train.loop import Watcher

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    out: Path = typer.Option(Path("mien-demo"), "--out", "-o", help="Folder for everything that is made."),
    seed: int = typer.Option(0, min=0, help="Decides the faces and the training."),
    faces: int = typer.Option(3000, min=100, help="How many faces to draw; a few hundred teach little."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier demo."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as one JSON object."),
) -> None:
    """Draw faces, import, train, measure, export, verify and predict, and write a report to open in a browser.

    Exit code 1: the exported file does not answer as the weights do.
    """
    with _Steps(quiet=as_json) as steps:
        made = run_demo(out, steps.watch, steps.say, plan=Plan(count=faces, seed=seed), force=force)
    if as_json:
        print_json(_facts(made))
    else:
        _print(made)
    raise typer.Exit(0 if made.verified.passed else 1)


class _Steps:
    """Prints each step with the seconds since the start, and shows the training's progress bar."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.started = time.perf_counter()
        self.bar: Bar | None = None

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop_bar()

    def say(self, step: str) -> None:
        self._stop_bar()
        if not self.quiet:
            console.print(f"[dim]{time.perf_counter() - self.started:5.1f} s[/dim]  {escape(step)}")

    def watch(self, recipe: Recipe) -> Watcher:
        self.bar = Bar(recipe)
        self.bar.__enter__()
        return self.bar

    def _stop_bar(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None


def _print(made: Demo) -> None:
    console.print(f"[dim]{made.seconds:5.1f} s[/dim]  done\n")
    for drawn, answer in made.fresh:
        console.print(f"  a new face drawn as {drawn:<9} → {answer.label} ({answer.probability:.0%})", markup=False)
    verdict = "answers as the weights do" if made.verified.passed else "does NOT answer as the weights do"
    console.print(f"\n{headline(made.metrics, 'drawn faces that training never saw')}", markup=False)
    console.print(best_and_worst(made.metrics), markup=False)
    console.print(f"The exported file {made.model} {verdict}.", markup=False)
    console.print(f"\n{NOTE}", style="dim", markup=False)
    console.print(f"\nOpen the report: {made.report}", markup=False)
    console.print(f"Go on with: mien diagnose {shlex.quote(str(made.out / 'run'))}", markup=False)


def _facts(made: Demo) -> dict[str, object]:
    return {
        "out": str(made.out),
        "report": str(made.report),
        "model": str(made.model),
        "seconds": round(made.seconds, 1),
        "metrics": made.metrics.to_json(),
        "verify": made.verified.to_json(),
        "fresh": [{"drawn": drawn, "answer": one.label, "probability": one.probability} for drawn, one in made.fresh],
    }
