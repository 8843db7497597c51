"""Arithmetic of boxes: left, top, right, bottom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.detector import Floats


def overlaps(a: Floats, b: Floats) -> NDArray[np.float32]:
    """Intersection over union of each box of `a` (N, 4) with each of `b` (M, 4), as (N, M); 0 for empty boxes."""
    inner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = inner.clip(min=0).prod(2)
    union = areas(a)[:, None] + areas(b)[None] - shared
    ratio: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def areas(boxes: Floats) -> Floats:
    """Of boxes (N, 4), as (N,)."""
    sizes: Floats = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    return sizes


def suppress(boxes: Floats, scores: Floats, *, overlap: float) -> NDArray[np.intp]:
    """Non-maximum suppression: positions of the boxes that no better one overlaps by more than `overlap`.

    Best first; of equal scores the first one wins, so that the result does not depend on how sorting breaks ties.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        waiting = rest[overlaps(boxes[best : best + 1], boxes[rest])[0] <= overlap]
    return np.array(kept, np.intp)
