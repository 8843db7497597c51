"""Do labels and FER+ votes belong together? A wrong order leaves every file valid, but this shows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.core.labels import FERPLUS8, LabelSet, map_ids
from mien.core.votes import majority

# Measured on FER2013: 0.66 with the right order, 0.2 to 0.25 with a wrong one.
SUSPICIOUS_BELOW = 0.4
_FEW = 100


def agreement(labels: NDArray[np.integer], label_set: LabelSet, votes: NDArray[np.integer]) -> float | None:
    """Share (0–1) of pictures whose label means the same as the majority of the votes (N, 10).

    Only pictures with a label and with a majority that `label_set` knows count; None when fewer than 100 are left.
    """
    voted = map_ids(majority(votes), FERPLUS8, label_set)
    both = (voted >= 0) & (np.asarray(labels) >= 0)
    return float((voted[both] == labels[both]).mean()) if both.sum() >= _FEW else None


def sentence(share: float) -> str:
    """What to tell the user about this agreement."""
    text = f"label and majority of votes agree for {share:.0%} of the pictures"
    if share >= SUSPICIOUS_BELOW:
        return text
    return f"WARNING: {text}; with the right order it is about 66 % on FER2013 — are the votes for another file?"
