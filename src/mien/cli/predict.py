"""`mien predict`: expression labels for pictures of faces. Loads neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from mien.cli.output import console, print_json, progress
from mien.core.errors import MissingExtraError
from mien.deploy.answers import check_distinct, write_csv, write_submission
from mien.deploy.pictures import Named, picture_files
from mien.deploy.runtime import BATCH_SIZE, Prediction, Predictor

app = typer.Typer(add_completion=False)
Failures = dict[str, str]


@app.command()
def command(
    paths: list[Path] = typer.Argument(help="Pictures of faces, folders of them, packed data sets."),
    model: Path | None = typer.Option(None, "--model", "-m", help="Exported .onnx file or run; else mien's own."),
    labels: str | None = typer.Option(None, help="Label set to answer in: fer2013, ferplus8, fer5 …"),
    head: str | None = typer.Option(None, help="Head to ask; else the one that fits the labels."),
    split: str | None = typer.Option(None, help="Of packed data sets: train, val or test; else all."),
    batch_size: int = typer.Option(BATCH_SIZE, min=1, help="Pictures at a time; the answers do not depend on it."),
    threads: int | None = typer.Option(None, min=1, help="Threads to compute with."),
    csv: Path | None = typer.Option(None, help="Write every probability to this file."),
    submission: Path | None = typer.Option(
        None, help="Write id,label to this file: file name or row number, and the class as its number from 0."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """The expression label that a model gives each picture: how a face looks, not what a person feels.

    A picture should show one face; of a picture that is not square, the centre square is taken. Exit code 1: some
    pictures could not be read, the rest is answered.
    """
    predictor = Predictor(model, threads=threads)
    pictures = [named for path in paths for named in _pictures(path, split)]
    if submission:
        check_distinct(name for name, _ in pictures)
    failures: Failures = {}
    stream = predictor.stream(
        pictures,
        labels=labels,
        head=head,
        batch_size=batch_size,
        on_error=lambda name, error: failures.update({name: error.message}),
    )
    predictions = list(_watched(stream, len(pictures)))
    if csv:
        write_csv(csv, predictions)
    if submission:
        write_submission(submission, predictions)
    _report(predictions, failures, predictor, as_json=as_json)
    raise typer.Exit(1 if failures else 0)


def _pictures(path: Path, split: str | None) -> Iterator[Named]:
    if not (path / "dataset.json").is_file():
        return ((str(file), file) for file in picture_files([path]))
    try:  # deliberately here: only packed sets need pyarrow, which the plain installation has not
        from mien.deploy.packed import packed_pictures
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pyarrow", "train") from None
    return packed_pictures(path, split=split)


def _watched(stream: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    with progress("pictures") as bar:
        yield from bar.track(stream, total=total, task_id=bar.add_task("predicting", note=""))


def _report(predictions: list[Prediction], failures: Failures, predictor: Predictor, *, as_json: bool) -> None:
    if as_json:
        failed = [{"source": name, "error": message} for name, message in failures.items()]
        answered = [asdict(p) for p in predictions]
        print_json({"model": str(predictor.path), "predictions": answered, "failed": failed})
        return
    if predictions:
        console.print(_table(predictions))
    for message in failures.values():
        typer.echo(f"mien: {message}", err=True)
    if failures:
        typer.echo(f"mien: {len(failures)} of {len(predictions) + len(failures)} pictures not answered", err=True)


def _table(predictions: list[Prediction]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("picture", overflow="fold")
    table.add_column("label")
    table.add_column("probability", justify="right")
    table.add_column("next")
    for p in predictions:
        label = f"unsure ({p.label}?)" if p.unsure else p.label
        # As text: names of files and classes may hold what rich takes for markup, such as [1].
        table.add_row(Text(p.source), Text(label), f"{100 * p.probability:.1f} %", Text(_runner_up(p)))
    return table


def _runner_up(prediction: Prediction) -> str:
    others = [(value, name) for name, value in prediction.probabilities.items() if name != prediction.label]
    if not others:
        return ""
    value, name = max(others)
    return f"{name} {100 * value:.1f} %"
