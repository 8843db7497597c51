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
from mien.core.errors import MienError
from mien.core.rundir import data_of
from mien.data import dataset as datasets
from mien.evaluate.answerer import OnnxAnswerer, TorchAnswerer, Weights, model_file
from mien.explain.index import FILE, Shown
from mien.explain.landmarks import find
from mien.explain.run import INSIDE, OUTSIDE, Watch, chosen, explain
from mien.explain.subject import Subject, Tell, subject
from mien.faces.centerface import default_detector
from mien.models.store import digest, load_classifier
from mien.train.machine import check_device

app = typer.Typer(add_completion=False)
TOLD = 3


@app.command()
def command(
    model: Path = typer.Argument(help="Run folder, .safetensors file or exported .onnx file."),
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
    file = model_file(model, weights)
    parts = chosen(only, inside=file.suffix != ".onnx")
    if not parts:
        raise MienError(f"{file}: an exported file cannot be looked into", hint="give its run or .safetensors file")
    made_of = digest(file).tensors
    with progress("pictures") as bar:
        of = _asked(file, datasets.load(data or data_of(model)), split, check_device(device))
        of = _with_landmarks(of, bar) if landmarks else of
        shown = explain(of, folder, sections=parts, watch=_watch(bar), weights=made_of)
    left_out = [name for name in INSIDE if file.suffix == ".onnx"]
    if as_json:
        print_json({"folder": str(folder), "left_out": left_out, "shown": [asdict(one) for one in shown]})
        return
    _print(shown)
    console.print(f"\n[dim]{len(shown)} pictures in {escape(str(folder))}, listed in {FILE}[/dim]")
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


def _asked(file: Path, dataset: datasets.Dataset, split: str, device: str) -> Subject:
    if file.suffix == ".onnx":
        return subject(OnnxAnswerer(file), None, dataset, split=split)
    classifier = load_classifier(file)[0]
    return subject(TorchAnswerer(classifier, name=str(file), device=device), classifier, dataset, split=split)


def _with_landmarks(of: Subject, bar: Progress) -> Subject:
    """With those that the face detector sees, in place of the manifest's."""
    task = bar.add_task("landmarks", total=len(of.rows), note="")
    points = find(default_detector(), of.dataset.images, of.rows, lambda done: bar.advance(task, done))
    bar.remove_task(task)
    return replace(of, landmarks=points)


def _watch(bar: Progress) -> Watch:
    @contextmanager
    def watch(name: str) -> Iterator[Tell]:
        task = bar.add_task(name, total=None, note="")
        try:
            yield lambda done, total: bar.update(task, completed=done, total=total)
        finally:
            bar.remove_task(task)

    return watch
