"""The evidence of a run folder: its history, recipe, predictions, and its data where that is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError, command
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.diagnose.evidence import Answers, Column, Evidence, Fed, Splits, Targets
from mien.evaluate.answered import read_answers
from mien.evaluate.evaluate import Evaluation
from mien.evaluate.history import read_columns
from mien.evaluate.truth import of_classes

PICTURES = 2000  # of each split, whose brightness and contrast are compared


@dataclass(frozen=True)
class Extra:
    """What is known besides the run folder: fed, targets, predictions just made, an audit's summary."""

    fed: Fed | None = None
    targets: Targets | None = None
    answers: Answers | None = None
    audit: dict[str, Any] | None = None


def read_evidence(run: RunDir, data: Dataset | None, extra: Extra) -> Evidence:
    """Everything the rules look at. Raises MienError when the folder is no run, or a file in it is damaged."""
    history = read_columns(run.require().history) if run.history.is_file() else {}
    health = read_columns(run.health) if run.health.is_file() else {}
    diverged = run.read_json(run.diverged) if run.diverged.is_file() else None
    if not history and diverged is None:
        raise MienError(f"{run.path}: no epoch is finished yet", hint=command("resume", run.path))
    return Evidence(
        recipe=recipes.read_own(run.recipe),
        history=history,
        health=aligned(health, history),
        counts=of_classes(run.read_json(run.data).get("counts", {})),
        diverged=diverged,
        answers=extra.answers or stored_answers(run),
        splits=compare_splits(data) if data is not None else None,
        fed=extra.fed,
        targets=extra.targets,
        audit=extra.audit,
    )


def aligned(health: Mapping[str, Column], history: Mapping[str, Column]) -> dict[str, Column]:
    """The rows of health.csv for the epochs of the history, NaN where it has none.

    The two files are written one after the other, so a training that goes on, or was killed in between, has one row
    more in either; a run that was begun before there was health has fewer.
    """
    if "epoch" not in health or "epoch" not in history:
        return dict(health)
    place = {int(epoch): i for i, epoch in enumerate(health["epoch"].tolist())}
    rows = [place.get(int(epoch), -1) for epoch in history["epoch"].tolist()]
    return {name: np.append(column, np.nan)[rows] for name, column in health.items()}


def stored_answers(run: RunDir) -> Answers | None:
    """The plain predictions of an earlier `mien eval` on val of the run's own data, by the kept weights of now.

    None where there are none of these.
    """
    if not (run.evaluation / "predictions.parquet").is_file():
        return None
    told = read_answers(run.path)
    if told.stale or told.last or told.split != "val" or told.fingerprint != run.read_json(run.data).get("fingerprint"):
        return None
    name, labels = next(iter(told.heads.items()))
    ids = np.array([labels.index(one) if one in labels else -1 for one in told.label.tolist()], np.int64)
    return _labelled(ids, told.probabilities[name], tuple(labels))


def evaluated_answers(evaluation: Evaluation, data: Dataset) -> Answers | None:
    """The predictions of an evaluation just made."""
    labels = evaluation.answer_labels.names
    names = data.labels.names
    ids = [
        labels.index(names[i]) if i >= 0 and names[i] in labels else -1 for i in data.label[evaluation.rows].tolist()
    ]
    return _labelled(np.array(ids, np.int64), evaluation.answer, labels)


def _labelled(ids: NDArray[np.int64], probabilities: NDArray[Any], labels: tuple[str, ...]) -> Answers | None:
    known = ids >= 0
    return Answers(ids[known], np.asarray(probabilities, np.float64)[known], labels) if known.any() else None


def compare_splits(data: Dataset) -> Splits:
    """How val relates to train by pixels: copies, and brightness and contrast. No val: nothing to compare."""
    train, val = (np.flatnonzero(data.split == split) for split in ("train", "val"))
    if not len(train) or not len(val):
        return Splits(0.0, (0.0, 0.0), len(val), (0, 0))
    pixels, group = data.column("sha256").astype(str), data.column("group").astype(np.int64)
    copied = np.isin(pixels[val], pixels[train]) | ((group[val] >= 0) & np.isin(group[val], group[train]))
    a, b = (_light(data, rows) for rows in (train, val))
    shift = (b.mean(0) - a.mean(0)) / np.maximum(a.std(0), 1e-9)
    return Splits(float(copied.mean()), (float(shift[0]), float(shift[1])), len(val), (len(a), len(b)))


def _light(data: Dataset, rows: NDArray[np.int64]) -> Column:
    """Mean and deviation of the pixels (n, 2) of up to `PICTURES` pictures, evenly taken."""
    chosen = rows[:: max(1, len(rows) // PICTURES)]
    flat = np.asarray(data.images[chosen], np.float32).reshape(len(chosen), -1)
    return np.stack([flat.mean(1), flat.std(1)], axis=1).astype(np.float64)
