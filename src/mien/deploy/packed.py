"""Pictures of a packed data set, named by where they came from, for prediction on sets without labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.core.labels import LabelSet
from mien.data.dataset import load
from mien.deploy.pictures import Named


def packed_labels(path: Path) -> LabelSet:
    """The label set of a packed set. Raises MienError when it is none."""
    return load(path).labels


def packed_pictures(path: Path, *, split: str | None = None) -> Iterator[Named]:
    """Name and pixels of every picture of a packed set, or of one split, in the order of the set.

    Raises:
        MienError: not a packed set, or no picture in that split.
    """
    dataset = load(path)
    rows = np.arange(len(dataset)) if split is None else dataset.rows(split)
    names = dataset.column("source")
    return ((str(names[row]), dataset.images[row]) for row in rows)
