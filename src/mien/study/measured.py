"""Figures of finished runs that their histories do not hold: truth on the whole set's pictures, ensembles, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.evaluate.answerer import Answerer, open_answerer
from mien.evaluate.ensemble import Ensemble
from mien.evaluate.predict import predict_probabilities
from mien.evaluate.truth import LABELS, over, truths
from mien.models.store import read_weights
from mien.train.store import snapshots


def accuracy(answerer: Answerer, data: Dataset) -> float:
    """Share of right answers on the validation pictures of `data` whose label the model knows, 0 to 1."""
    rows = data.rows("val")
    truth = truths(answerer.spec, data, rows)[0].get(LABELS)
    if truth is None:
        raise MienError(f"{answerer.name}: its labels are not those of {data.path}", hint="train it on this set")
    scored = truth.ids >= 0
    asked = predict_probabilities(answerer, data.images, rows=rows[scored])[truth.head.name]
    answers = over(truth.labels, truth.head, asked).argmax(1)
    return float(np.mean(answers == truth.ids[scored]))


def run_accuracy(run: Path, data: Dataset) -> float:
    """Accuracy of a run's last weights on the validation pictures of `data`."""
    return accuracy(open_answerer(run, weights="last"), data)


def snapshot_accuracy(run: Path, data: Dataset, count: int) -> float:
    """Accuracy of the mean of the probabilities of a run's last `count` snapshots (arXiv 1704.00109).

    Raises:
        MienError: the run keeps fewer.
    """
    files = snapshots(RunDir(run))[-count:]
    if len(files) < count:
        raise MienError(
            f"{run}: it has {len(files)} snapshots, {count} are to be averaged",
            hint="more epochs, or a smaller average.snapshot_epochs",
        )
    return accuracy(Ensemble([open_answerer(file) for file in files]), data)


def parameters(run: Path) -> int:
    """Numbers in the weights file of a run that are trained or averaged: floating tensors, norm statistics included."""
    tensors, _ = read_weights(RunDir(run).last)
    return sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point())
