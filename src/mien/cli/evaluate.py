"""`mien eval`: a run or model measured on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_folder
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.evaluate import results
from mien.evaluate.answered import augmented
from mien.evaluate.answerer import Answerer, Precision, Weights, open_answerer
from mien.evaluate.bound import NO_TTA, again, bound, kept_in
from mien.evaluate.ensemble import Ensemble
from mien.evaluate.evaluate import ALL, Evaluation, Score, evaluate
from mien.evaluate.history import unfinished
from mien.evaluate.leaks import LeakFree
from mien.evaluate.lettering import key
from mien.evaluate.metrics import ClassMetrics, Interval, Metrics
from mien.evaluate.truth import TITLES
from mien.evaluate.tta import ALIASES
from mien.train.machine import check_device
from mien.train.store import snapshots

app = typer.Typer(add_completion=False, rich_markup_mode=None)
MOST_COLUMNS, WIDEST = 12, 10


@app.command()
def command(
    model: Path = typer.Argument(help="Run folder, .safetensors file, exported .onnx file or shipped model."),
    data: Path = typer.Argument(help="Packed data set."),
    split: str = typer.Option("val", help="train, val, test or all."),
    tta: str = typer.Option("none", help="Test-time augmentation: none, flip, flip-shift (= ten-crop)."),
    weights: Weights = typer.Option("best", help="Which weights of a run."),
    ensemble: bool = typer.Option(False, "--snapshots", help="Average the answers of the run's snapshots."),
    extra: list[Path] = typer.Option([], "--with", help="A further run or model to average with; repeatable."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder for the files; else eval/, or eval/TTA/, of a single run."
    ),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
    precision: Precision = typer.Option("fp32", help="bf16 is faster on some machines, and less exact."),
    batch_size: int = typer.Option(256, min=1, help="Pictures at a time; the result does not depend on it."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Accuracy, macro-F1, log loss, calibration, every class with 95 % intervals, and the confusion.

    Writes figures, every prediction and plots into the run's eval/ or --out.
    """
    where = check_device(device)
    single = not extra and not ensemble
    own = kept_in(RunDir(model), ALIASES.get(tta, tta)) if model.is_dir() and single else None
    folder = out or own
    # Before the weights are read: of a training that goes on the evaluation may count as old, never as new.
    of = bound(model, weights) if single else None
    if folder is not None:
        check_folder(folder)
    paths = [*(_snapshots(model) if ensemble else [model]), *extra]
    members = [open_answerer(m, weights=weights, device=where, precision=precision) for m in paths]
    dataset = datasets.load(data)
    with _progress(len(dataset) if split == ALL else int((dataset.split == split).sum())) as advance:
        evaluation = evaluate(
            _together(members), dataset, split=split, tta=tta, batch_size=batch_size, progress=advance
        )
    if single and RunDir(model).recipe.is_file():
        evaluation = replace(evaluation, notes=(*evaluation.notes, *unfinished(RunDir(model))))
    if folder is not None:
        results.write(folder, evaluation, dataset, weights=of)
    if as_json:
        print_json(evaluation.to_json() | {"folder": str(folder) if folder else None})
    else:
        _print(evaluation, folder)
        if own and folder == own and not _stands_beside_plain(RunDir(model), evaluation):
            run = RunDir(model)
            told = again(run, run.evaluation, {"split": split, "weights": of}, data=data)
            console.print(f"[dim]mien report and mien export start from the plain figures: {escape(told)}[/dim]")


def _stands_beside_plain(run: RunDir, evaluation: Evaluation) -> bool:
    """Whether what was just written is plain, or a plain one of the same weights, data and split stands in the run."""
    if evaluation.tta == NO_TTA:
        return True
    path = run.evaluation / "metrics.json"
    plain = run.read_json(path) if path.is_file() else {}
    return plain.get("tta") == NO_TTA and any(one["tta"] == evaluation.tta for one in augmented(run, plain))


def _snapshots(model: Path) -> list[Path]:
    """The snapshots of a run. Raises MienError when it has none."""
    found = snapshots(RunDir(model).require())
    if not found:
        raise MienError(f"{model}: the run has no snapshots", hint="train it with --set average.snapshots=5")
    return found


def _together(members: list[Answerer]) -> Answerer:
    return members[0] if len(members) == 1 else Ensemble(members)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    with progress("pictures") as bar:
        task = bar.add_task("evaluating", total=total, note="")
        yield lambda done: bar.advance(task, done)


def _print(evaluation: Evaluation, folder: Path | None) -> None:
    views = "" if evaluation.tta == "none" else f" · test-time augmentation {evaluation.tta}"
    console.print(
        f"[bold]{escape(evaluation.model)}[/bold] on {escape(evaluation.dataset)} · {evaluation.split} · "
        f"{len(evaluation.rows):,} pictures{views}"
    )
    for kind, score in evaluation.scores.items():
        _print_score(kind, score)
    numbered = key(evaluation.answer_labels.names) if folder else ""
    for note in filter(None, (*evaluation.notes, numbered)):
        console.print(f"\n[dim]{escape(note)}[/dim]")
    written = f"written to {folder}" if folder else "nothing written; --out FOLDER keeps predictions and plots"
    console.print(f"\n[dim]{escape(written)}[/dim]")


def _print_score(kind: str, score: Score) -> None:
    metrics = score.metrics
    mapped = ", mapped by name" if score.mapped else ""
    console.print(f"\n[bold]{TITLES[kind]}[/bold] · head {escape(score.head)}{mapped} · {metrics.count:,} pictures")
    for reason, count in score.left_out.items():
        console.print(f"[dim]left out: {count:,} ({escape(reason)})[/dim]")
    console.print(
        f"accuracy [bold]{_percent(metrics.accuracy, metrics.accuracy_interval, ' %')}[/bold] · "
        f"macro-F1 {100 * metrics.macro_f1:.1f} · log loss {metrics.log_loss:.3f} · "
        f"calibration error {100 * metrics.calibration_error:.1f} points"
    )
    if score.leak_free is not None:
        _print_leak_free(score.leak_free)
    console.print("\n[dim]in %, with 95 % intervals[/dim]")
    console.print(_class_table(metrics))
    if len(metrics.labels) <= MOST_COLUMNS:
        console.print("\n[dim]labels in rows, answers in columns[/dim]")
        console.print(_confusion_table(metrics))


def _print_leak_free(free: LeakFree) -> None:
    console.print(
        f"leak-free [bold]{_percent(free.metrics.accuracy, free.metrics.accuracy_interval, ' %')}[/bold] · "
        f"without {free.copies:,} with a copy in train, answered right: "
        f"{_percent(free.copies_accuracy, free.copies_interval, ' %')}"
    )


def _percent(value: float | None, interval: Interval | None, unit: str = "") -> str:
    if value is None or interval is None:
        return "–"
    return f"{100 * value:.1f}{unit} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def _class_table(metrics: Metrics) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("label")
    for name in ("pictures", "recall", "precision", "F1"):
        table.add_column(name, justify="right")
    for one in metrics.classes:
        table.add_row(escape(one.name), f"{one.support:,}", *_figures(one))
    return table


def _figures(one: ClassMetrics) -> tuple[str, str, str]:
    if not one.support:
        return "no pictures", "–", "–"
    return (
        _percent(one.recall, one.recall_interval),
        _percent(one.precision, one.precision_interval),
        _percent(one.f1, one.f1_interval),
    )


def _confusion_table(metrics: Metrics) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in metrics.labels:
        table.add_column(escape(name if len(name) <= WIDEST else f"{name[: WIDEST - 1]}…"), justify="right")
    for i, (name, counts) in enumerate(zip(metrics.labels, metrics.confusion, strict=True)):
        cells = [f"[bold]{n:,}[/bold]" if j == i else f"{n:,}" if n else "·" for j, n in enumerate(counts)]
        table.add_row(escape(name), *cells)
    return table
