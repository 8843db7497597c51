"""FER+ votes and the four label schemes made from them (Barsoum et al. 2016, arXiv 1608.01041).

The rules follow `src/ferplus.py` of microsoft/FERPlus: in every scheme a class with a single vote is dropped
first, and a picture whose winner is "unknown" or "not a face" leaves the set. Votes come as integers of shape
(N, 10) in the order of `labels.FERPLUS10`; targets go out over the eight expressions of `labels.FERPLUS8`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

EXPRESSIONS = 8
COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)

Votes = NDArray[np.integer]
Targets = NDArray[np.float32]


def without_single_votes(votes: Votes) -> NDArray[np.int64]:
    """Votes (N, 10) with every class that got exactly one vote set to zero."""
    votes = np.asarray(votes, np.int64)
    if votes.ndim != 2 or votes.shape[1] != len(COLUMNS):
        raise MienError(f"FER+ votes have shape (N, {len(COLUMNS)}), got {votes.shape}")
    return np.where(votes == 1, 0, votes)


def majority(votes: Votes) -> NDArray[np.int64]:
    """Ids (N,) of the class with more than half of the votes left; -1 where there is none or it is no expression."""
    left = without_single_votes(votes)
    top = left.argmax(1)
    rows = np.arange(len(left))
    decided = left[rows, top] > 0.5 * left.sum(1)
    return np.where(decided & (top < EXPRESSIONS), top, -1)


def _cover(left: NDArray[np.int64]) -> NDArray[np.float64]:
    """Classes of one picture in order of votes, ties together, until 75 % is covered or three are taken.

    Follows the reference loop: a tie that brings more than three classes, or half or less of the votes covered,
    makes the picture unknown (all zeros here); "unknown" or "not a face" met after an expression ends the loop.
    """
    left, total = left.copy(), left.sum()
    taken = np.zeros(len(COLUMNS))
    covered, count, valid = 0, 0, True
    while covered < 0.75 * total and count < 3 and valid:
        best = left.max()
        for i in np.flatnonzero(left == best):
            taken[i] = best
            left[i] = 0
            covered += best
            count += 1
            if i >= EXPRESSIONS:
                valid = False
                if taken.sum() > best:
                    taken[i] = 0
                    count -= 1
                break
    unusable = taken.sum() <= 0.5 * total or count > 3
    return np.zeros(len(COLUMNS)) if unusable else taken


def _expressions(taken: NDArray[np.float64]) -> Targets:
    """Rows (N, 10) normalised over the eight expressions; zeros where no expression leads."""
    leads = taken.any(1) & (taken.argmax(1) < EXPRESSIONS)
    shown = np.where(leads[:, None], taken[:, :EXPRESSIONS], 0)
    targets: Targets = (shown / np.maximum(shown.sum(1, keepdims=True), 1)).astype(np.float32)
    return targets


def majority_targets(votes: Votes) -> Targets:
    """One-hot targets (N, 8) of the majority scheme; rows of zeros leave the set."""
    ids = majority(votes)
    return np.where(ids[:, None] < 0, 0, np.eye(EXPRESSIONS)[ids]).astype(np.float32)


def cross_entropy_targets(votes: Votes) -> Targets:
    """Distributions (N, 8): the normalised votes of the leading classes (section 3.4); rows of zeros leave the set."""
    left = without_single_votes(votes)
    distinct, inverse = np.unique(left, axis=0, return_inverse=True)
    taken = np.stack([_cover(row) for row in distinct]) if len(distinct) else np.zeros((0, len(COLUMNS)))
    return _expressions(taken[inverse.reshape(-1)])


def probability_draw(votes: Votes, rng: np.random.Generator) -> Targets:
    """One-hot targets (N, 8), one class drawn from each cross-entropy target; to be redrawn at each presentation."""
    targets = cross_entropy_targets(votes)
    edges = targets.cumsum(1)
    drawn = (rng.random((len(targets), 1)) * edges[:, -1:] >= edges).sum(1).clip(max=EXPRESSIONS - 1)
    kept = targets.any(1, keepdims=True)
    return np.where(kept, np.eye(EXPRESSIONS)[drawn], 0).astype(np.float32)


def multi_target(votes: Votes) -> Targets:
    """Targets (N, 8) in which every class with at least 30 % of the votes is 1; rows of zeros leave the set."""
    left = without_single_votes(votes)
    total = left.sum(1, keepdims=True)
    taken = np.where(left >= 0.3 * total, left, 0).astype(np.float64)
    taken[taken.sum(1) <= 0.5 * total[:, 0]] = 0
    return (_expressions(taken) > 0).astype(np.float32)


SCHEMES = {"majority": majority_targets, "cross-entropy": cross_entropy_targets, "multi-target": multi_target}
