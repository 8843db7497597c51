"""The files of an evaluation. `metrics.json` goes first and comes last: where it stands, the rest fits it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien import __version__
from mien.core.files import atomic_path, write_json, write_text
from mien.data.dataset import Dataset
from mien.evaluate import plots
from mien.evaluate.evaluate import Evaluation, Score
from mien.evaluate.metrics import ClassMetrics, Interval
from mien.evaluate.truth import LABELS, TITLES

_OF_A_SCORE = ("confusion{}.csv", "plots/confusion{}.png", "plots/reliability{}.png")


def write(folder: Path, evaluation: Evaluation, dataset: Dataset, *, weights: Mapping[str, str] | None = None) -> None:
    """Write everything into `folder`, in place of an earlier evaluation; other files in it stay.

    metrics.json, predictions.parquet, and for what was scored per_class.csv, confusion.csv,
    plots/confusion.png and plots/reliability.png (with `-ferplus` in the name for the FER+ votes). `weights` says
    which answered, see `bound.bound`, so that a later reader sees whether the run still has them.
    """
    for name in ("metrics.json", "per_class.csv", *(of.format(_suffix(kind)) for of in _OF_A_SCORE for kind in TITLES)):
        (folder / name).unlink(missing_ok=True)
    with atomic_path(folder / "predictions.parquet") as temporary:
        pq.write_table(predictions(evaluation, dataset), temporary)
    if evaluation.scores:
        write_text(folder / "per_class.csv", _per_class(evaluation))
    for kind, score in evaluation.scores.items():
        _write_score(folder, kind, score, _title(evaluation, kind))
    about = {"mien": __version__, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    bound = {"weights": dict(weights)} if weights else {}
    write_json(folder / "metrics.json", about | bound | evaluation.to_json())


def predictions(evaluation: Evaluation, dataset: Dataset) -> pa.Table:
    """One row a picture.

    Columns: `row` (position in the packed set), `split`, `sha256` (of the pixels), `label` (name or null), `predicted`
    (name), `probability` (of the prediction), `p_HEAD_LABEL` for every label of every head. The schema's metadata key
    `mien` holds the heads and their labels as JSON.
    """
    names = np.array([*dataset.labels.names, None], object)
    columns: dict[str, Any] = {
        "row": evaluation.rows,
        "split": pa.array(dataset.split[evaluation.rows].tolist(), pa.string()),
        "sha256": pa.array(dataset.column("sha256")[evaluation.rows].tolist(), pa.string()),
        "label": pa.array(names[dataset.label[evaluation.rows]], pa.string()),
        "predicted": pa.array(np.array(evaluation.answer_labels.names, object)[evaluation.answer.argmax(1)]),
        "probability": evaluation.answer.max(1),
    }
    for head, labels in evaluation.heads.items():
        columns |= {f"p_{head}_{name}": evaluation.answers[head][:, i] for i, name in enumerate(labels)}
    return pa.table(columns).replace_schema_metadata({"mien": json.dumps({"heads": evaluation.heads})})


def _write_score(folder: Path, kind: str, score: Score, title: str) -> None:
    table, confusion, reliability = (folder / name.format(_suffix(kind)) for name in _OF_A_SCORE)
    labels = score.metrics.labels
    rows = [[name, *counts] for name, counts in zip(labels, score.metrics.confusion, strict=True)]
    write_text(table, _csv(["label", *labels], rows))
    plots.save(plots.confusion(score.metrics, title), confusion)
    plots.save(plots.reliability(score.metrics, title), reliability)


def _suffix(kind: str) -> str:
    return "" if kind == LABELS else f"-{kind}"


def _title(evaluation: Evaluation, kind: str) -> str:
    views = [evaluation.tta] if evaluation.tta != "none" else []
    votes = [TITLES[kind]] if kind != LABELS else []
    return " · ".join([evaluation.dataset, evaluation.split, *views, *votes])


def _per_class(evaluation: Evaluation) -> str:
    figures = ("precision", "recall", "f1")
    header = ["scored_on", "label", "support", "predicted"]
    header += [column for f in figures for column in (f, f"{f}_low", f"{f}_high")]
    rows = [
        [kind, one.name, one.support, one.predicted, *_flat(one)]
        for kind, score in evaluation.scores.items()
        for one in score.metrics.classes
    ]
    return _csv(header, rows)


def _flat(one: ClassMetrics) -> list[str]:
    """Precision, recall and F1 with their ends; empty where not defined."""
    figures = (
        (one.precision, one.precision_interval),
        (one.recall, one.recall_interval),
        (one.f1, one.f1_interval),
    )
    return [text for value, interval in figures for text in _three(value, interval)]


def _three(value: float | None, interval: Interval | None) -> list[str]:
    if value is None or interval is None:
        return ["", "", ""]
    return [f"{x:.4f}" for x in (value, interval.low, interval.high)]


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
