"""`mien calibrate`: temperatures and a threshold, fitted on validation pictures and stored in the model file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer
from rich.markup import escape

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_folder
from mien.core.errors import MienError
from mien.core.rundir import RunDir, data_of
from mien.data import dataset as datasets
from mien.evaluate.answerer import Weights, model_file, open_answerer
from mien.explain import show_calibration
from mien.explain.calibrate import Calibration, calibrate, store
from mien.models.store import digest
from mien.train.machine import check_device

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    model: Path = typer.Argument(help="Run folder or .safetensors file; with --dry-run an exported .onnx file, too."),
    data: Path | None = typer.Argument(None, help="Packed data set. Default: the run's own."),
    split: str = typer.Option("val", help="Pictures that the model was not trained on: val, test."),
    precision: float | None = typer.Option(
        None, min=0.01, max=0.999, help="Say “unsure” so often that this share of the answers given is right: 0.9."
    ),
    weights: Weights = typer.Option("best", help="Which weights of a run."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only measure; leave the model file as it is."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder for figures and plots; of a run its explain/, but not with --dry-run."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Make probabilities mean what they say: one temperature a head (Guo et al. 2017), stored in the model file.

    Accuracy stays as it is. The figures printed are cross-fitted: each half of the pictures is measured under the
    temperature and threshold of the other. Export the run afterwards, so that the exported file has them too.
    """
    file = model_file(model, weights)
    if file.suffix == ".onnx" and not dry_run:
        raise MienError(
            f"{file}: the temperatures of an exported file are part of its graph",
            hint="calibrate the run and export it again, or only measure with --dry-run",
        )
    folder = out or (model / "explain" if model.is_dir() and not dry_run else None)
    if folder is not None:
        check_folder(folder)
    answerer = open_answerer(file, device=check_device(device))
    dataset = datasets.load(data or data_of(model))
    run = RunDir(file.resolve().parent.parent)  # of a file that is no run's own it is none
    with progress("pictures") as bar:
        task = bar.add_task("asking the model", total=int((dataset.split == split).sum()), note="")
        asked = partial(bar.advance, task)
        done = calibrate(answerer, dataset, split=split, run=run, precision=precision, progress=asked)
    if folder is not None:
        show_calibration.write(folder, done, weights=digest(file).tensors)
    if not dry_run:
        store(file, done.spec)
    if as_json:
        facts = {"model": str(file), "stored": not dry_run, "folder": str(folder) if folder else None}
        print_json(facts | done.to_json())
    else:
        _print(done, file, stored=not dry_run)


def _print(done: Calibration, file: Path, *, stored: bool) -> None:
    for head in done.heads:
        console.print(f"[bold]{escape(head.head)}[/bold]")
        for sentence in show_calibration.sentences(done, head):
            console.print(f"  {escape(sentence)}")
    console.print(f"\n[dim]{'stored in' if stored else 'not stored:'} {escape(str(file))}[/dim]")
    if stored:
        console.print("[dim]mien export writes them into the exported file as well[/dim]")
