"""`mien explain`: what a model gets wrong, what it looks at, what it bears."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import Progress

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_folder
from mien.core.errors import MienError
from mien.core.rundir import data_of
from mien.data import dataset as datasets
from mien.evaluate.answerer import Answerer, OnnxAnswerer, TorchAnswerer, Weights, model_file
from mien.evaluate.lettering import key
from mien.evaluate.report_words import near_chance
from mien.explain.index import FILE, Shown
from mien.explain.landmarks import find
from mien.explain.run import INSIDE, OUTSIDE, chosen, explain
from mien.explain.subject import Subject, Tell, subject
from mien.faces.centerface import default_detector
from mien.models.store import digest, load_classifier
from mien.page.words import plural
from mien.train.machine import check_device

app = typer.Typer(add_completion=False, rich_markup_mode=None)
TOLD = 3
# What the parts count on their way.
COUNTED = {
    "slices": "pictures",
    "robustness": "levels",
    "mistakes": "plots",
    "attention": "labels",
    "layers": "plots",
    "architecture": "plots",
}


@app.command()
def command(
    model: Path = typer.Argument(help="Run folder, .safetensors file, exported .onnx file or shipped model."),
    data: Path | None = typer.Argument(None, help="Packed data set. Default: the run's own."),
    split: str = typer.Option("val", help="train, val or test."),
    only: list[str] = typer.Option([], "--only", help="One part, such as slices or attention; repeatable."),
    landmarks: bool = typer.Option(
        False, "--landmarks", help="Look for eyes, nose and mouth, for slices by size and pose of the face."
    ),
    weights: Weights = typer.Option("best", help="Which weights of a run."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder for the pictures; of a run its explain/."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Slices, robustness, mistakes, what the net looks at, its layers: pictures with a sentence each.

    All of them stand in index.json, for pages that show them. An exported file is explained from outside only.
    """
    folder = out or (model / "explain" if model.is_dir() else None)
    if folder is None:
        raise MienError(f"{model}: a file has no folder for its explanation", hint="give one with --out FOLDER")
    check_folder(folder)
    file = model_file(model, weights)
    parts = chosen(only, inside=file.suffix != ".onnx")
    if not parts:
        raise MienError(f"{file}: an exported file cannot be looked into", hint="give its run or .safetensors file")
    made_of = digest(file).tensors
    with progress("pictures") as bar:
        of = _asked(file, datasets.load(data or data_of(model)), split, check_device(device), bar)
        of = _with_landmarks(of, bar) if landmarks else of
    shown = explain(of, folder, sections=parts, watch=_watch, weights=made_of)
    notes = [note for note in (near_chance(of.metrics), key(of.names)) if note]
    left_out = [name for name in INSIDE if file.suffix == ".onnx"]
    if as_json:
        facts = {"folder": str(folder), "notes": notes, "left_out": left_out}
        print_json(facts | {"shown": [asdict(one) for one in shown]})
        return
    for note in notes:
        console.print(note, markup=False)
    _print(shown)
    console.print(f"\n[dim]{plural(len(shown), 'plot')} in {escape(str(folder))}, listed in {FILE}[/dim]")
    if left_out:
        console.print(f"[dim]not of an exported file: {', '.join(left_out)}[/dim]")


def _print(shown: list[Shown]) -> None:
    """What was found, for the first picture of each part that finds something; of the others the title."""
    first = {one.group: one for one in reversed(shown) if one.group in OUTSIDE or len(shown) <= TOLD}
    told = [one for one in shown if first.get(one.group) is one]
    for one in told:
        console.print(f"[bold]{escape(one.title)}[/bold]  {escape(one.text)}")
    if rest := [one.title for one in shown if one not in told]:
        console.print(f"[bold]Also drawn[/bold]  {escape(', '.join(rest))}")


def _asked(file: Path, dataset: datasets.Dataset, split: str, device: str, bar: Progress) -> Subject:
    task = bar.add_task("asking the model", total=int((dataset.split == split).sum()), note="")
    answerer: Answerer
    if file.suffix == ".onnx":
        classifier, answerer = None, OnnxAnswerer(file)
    else:
        classifier = load_classifier(file)[0]
        answerer = TorchAnswerer(classifier, name=str(file), device=device)
    of = subject(answerer, classifier, dataset, split=split, progress=lambda done: bar.advance(task, done))
    bar.remove_task(task)
    return of


def _with_landmarks(of: Subject, bar: Progress) -> Subject:
    """With those that the face detector sees, in place of the manifest's."""
    task = bar.add_task("landmarks", total=len(of.rows), note="")
    points = find(default_detector(), of.dataset.images, of.rows, lambda done: bar.advance(task, done))
    bar.remove_task(task)
    return replace(of, landmarks=points)


@contextmanager
def _watch(name: str) -> Iterator[Tell]:
    """A line as a part begins, and a bar, or lines in a log, in what the part counts."""
    with progress(COUNTED[name]) as bar:
        bar.say(f"{name} …")
        task = bar.add_task(name, total=None, note="")
        yield lambda done, total: bar.update(task, completed=done, total=total)
