"""The score on pictures that training cannot have seen: those with a copy in train are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.groups import present
from mien.data.dataset import Dataset
from mien.data.regroup import is_grouped
from mien.evaluate.metrics import Ids, Interval, Metrics, Probabilities, measure, wilson

TRAIN = "train"


@dataclass(frozen=True)
class LeakFree:
    """Figures without the pictures that have a copy in train.

    Attributes:
        metrics: of the pictures that are left.
        copies: number of pictures that were left out.
        copies_accuracy: share of right answers among those.
        copies_interval: its 95 % interval.
    """

    metrics: Metrics
    copies: int
    copies_accuracy: float
    copies_interval: Interval

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, lists and numbers."""
        about_copies = {
            "copies": self.copies,
            "copies_accuracy": self.copies_accuracy,
            "copies_interval": vars(self.copies_interval),
        }
        return about_copies | self.metrics.to_json()


def leaked(dataset: Dataset, rows: NDArray[np.integer], split: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Which pictures (n,) of `rows`, all of one split, have a copy in train, and a sentence where that is not known.

    Within train, and in a mixture of splits, the question has no meaning and no picture counts as leaked.
    """
    train = dataset.split == TRAIN
    if not train.any() or split == TRAIN or len(set(dataset.split[rows].tolist())) > 1:
        return np.zeros(len(rows), bool), []
    if not is_grouped(dataset):
        return np.zeros(len(rows), bool), [_unknown(dataset)]
    return present(dataset.column("group").astype(np.int64), train)[rows], []


def _unknown(dataset: Dataset) -> str:
    return (
        f"not known whether copies of these pictures are in train: mien data group "
        f"{dataset.path or dataset.info.name} finds out, and the leak-free score is said here too"
    )


def leak_free(
    ids: Ids, probabilities: Probabilities, labels: Sequence[str], copies: NDArray[np.bool_]
) -> LeakFree | None:
    """The figures of `metrics.measure` without the pictures in `copies` (N,); None if there are none, or no others."""
    if not copies.any() or copies.all():
        return None
    right = int((np.asarray(probabilities)[copies].argmax(1) == np.asarray(ids)[copies]).sum())
    count = int(copies.sum())
    interval = wilson(right, count)
    assert interval is not None  # there are copies
    return LeakFree(measure(ids[~copies], probabilities[~copies], labels), count, right / count, interval)
