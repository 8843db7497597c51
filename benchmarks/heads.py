"""Which of a model's two heads answers better: on faces that training had not, where both kinds of labels say the same.

    python benchmarks/heads.py PACKED [MODEL ...] [--split val]

PACKED is FER2013 with FER+ votes, MODEL a shipped model's name or a file (default: all that come with mien). Against
its own labels each head wins, since each was taught them. So pictures count whose FER2013 label is also the official
majority of the FER+ votes, and of which no copy is in train. Accuracy with 95 % intervals, paired difference,
recall by class, and the mean recall, which is what an even mixture of the expressions would get.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core import votes
from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8, identify, map_ids
from mien.data import dataset as datasets
from mien.data.audit import copies
from mien.data.audit.groups import present
from mien.data.dataset import Dataset
from mien.deploy.shipped import shipped
from mien.evaluate.answerer import Answerer, open_answerer
from mien.evaluate.compare import paired
from mien.evaluate.metrics import wilson
from mien.evaluate.predict import predict_probabilities

HEADS = (FER2013.name, FERPLUS8.name)


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="*", default=[Path(name) for name in shipped()])
    parser.add_argument("--split", default="val")
    options = parser.parse_args()
    try:
        data = datasets.load(options.data)
        rows, truth = confirmed(data, options.split)
        for model in options.models:
            print_heads(str(model), answers(open_answerer(model), data, rows), truth)
    except MienError as error:
        raise SystemExit(f"heads: {error}") from None


def confirmed(data: Dataset, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the split whose label and majority of votes agree, without copies in train, and their FER+ classes."""
    if data.votes is None:
        raise MienError(f"{data.info.name}: has no FER+ votes", hint="import fer2013.csv with fer2013new.csv beside it")
    rows = data.rows(split)
    label, majority = map_ids(data.label[rows], data.labels, FERPLUS8), votes.majority(data.votes[rows])
    agree = (label == majority) & (label >= 0)
    copied = present(copies.of(data).group, data.split == "train")[rows]
    print(
        f"{split}: {len(rows):,} pictures, of {agree.sum():,} both labels agree, {(agree & copied).sum():,} are copies"
    )
    return rows[agree & ~copied], label[agree & ~copied]


def answers(model: Answerer, data: Dataset, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """What each of `HEADS` answers, as FER+ classes (n,)."""
    said = predict_probabilities(model, data.images, rows=rows)
    return [map_ids(said[head].argmax(1), identify(model.spec.head(head).labels), FERPLUS8) for head in HEADS]


def print_heads(name: str, answered: list[NDArray[np.int64]], truth: NDArray[np.int64]) -> None:
    """One model's table."""
    right = [found == truth for found in answered]
    print(f"\n{name}, {len(truth):,} pictures")
    recalls = []
    for head, good in zip(HEADS, right, strict=True):
        interval = wilson(int(good.sum()), len(good))
        assert interval is not None
        recalls.append([good[truth == k].mean() for k in np.unique(truth)])
        low, high = 100 * interval.low, 100 * interval.high
        even = 100 * np.mean(recalls[-1])
        print(f"{head:10s} {100 * good.mean():5.1f} % ({low:.1f}–{high:.1f}), mean recall {even:.1f}")
    pair = paired(*right)
    low, high = 100 * pair.interval.low, 100 * pair.interval.high
    print(f"{HEADS[1]} − {HEADS[0]}: {100 * pair.difference:+.1f} ({low:+.1f} to {high:+.1f}), p = {pair.mid_p:.2g}")
    for k, first, second in zip(np.unique(truth), *recalls, strict=True):
        print(f"  {FERPLUS8.names[k]:10s} {(truth == k).sum():5d} {100 * first:6.1f} {100 * second:6.1f}")


if __name__ == "__main__":
    main()
