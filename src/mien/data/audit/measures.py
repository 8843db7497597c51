"""Plain figures of every picture: brightness, contrast, clipping, flatness, detail. One pass, block by block."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.descriptor import Floats, Pixels, areas, blocks, grey
from mien.data.formats.ahead import ahead, told
from mien.data.formats.base import Progress

# Larger pictures are averaged down to this before anything is measured: no figure here needs more.
LARGEST_SIDE = 96
_LEVELS_A_BIN = 4
_BINS = 256 // _LEVELS_A_BIN
# Enough for an expression to be read: the side of FER2013's pictures.
ENOUGH_SIDE = 48
# Share of a picture's variance that its `detail` has to hold. At .99 noise of a few grey levels does not count.
_ENERGY = 0.99


@dataclass(frozen=True)
class Measures:
    """Figures of N pictures, float32 (N,) each.

    Attributes:
        brightness: mean grey level, 0–255.
        contrast: deviation of the grey levels, 0–127.5.
        clipped: share of pixels within four levels of black or white.
        flat: share of pixels within some eight neighbouring levels; 1 for a constant picture.
        detail: side in px of the smallest picture that holds 99 % of this one's variance, in units of `ENOUGH_SIDE`
            or of the picture's own side, if that is less. Blur and enlargement lower it; 0 for a constant picture.
    """

    brightness: Floats
    contrast: Floats
    clipped: Floats
    flat: Floats
    detail: Floats

    def __len__(self) -> int:
        return len(self.brightness)

    def __getitem__(self, rows: NDArray[np.integer]) -> Measures:
        return Measures(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def measure(images: Pixels, *, tell: Progress | None = None) -> Measures:
    """Measure pictures (N, H, W) or (N, H, W, 3); memory-mapped ones are never held as a whole."""
    measured = ahead(lambda part: _measure(levels_of(images[part])), blocks(len(images), images))
    parts = list(told(measured, tell, total=len(images)))
    empty = np.zeros(0, np.float32)
    return Measures(**{f.name: np.concatenate([empty, *(getattr(p, f.name) for p in parts)]) for f in fields(Measures)})


def levels_of(images: Pixels) -> Floats:
    """Grey levels 0–255 (n, h, w) of pictures (n, H, W[, 3]), averaged down to at most `LARGEST_SIDE` px a side."""
    levels = grey(images)
    height, width = levels.shape[1:]
    if max(height, width) <= LARGEST_SIDE:
        return levels
    factor = LARGEST_SIDE / max(height, width)
    h, w = (max(round(side * factor), 1) for side in (height, width))
    return np.asarray(areas(height, h) @ levels @ areas(width, w).T, np.float32)


def _measure(levels: Floats) -> Measures:
    histogram = _histograms(levels)
    return Measures(
        brightness=levels.mean((1, 2)),
        contrast=levels.std((1, 2)),
        clipped=histogram[:, 0] + histogram[:, -1],
        flat=(histogram[:, 1:] + histogram[:, :-1]).max(1),
        detail=_detail(levels),
    )


def _histograms(levels: Floats) -> Floats:
    """Shares (n, `_BINS`) of the pixels by grey level."""
    count, size = len(levels), levels[0].size
    bins = (levels.reshape(count, -1) * np.float32(1 / _LEVELS_A_BIN)).astype(np.int32)
    bins += _BINS * np.arange(count, dtype=np.int32)[:, None]
    counts = np.bincount(bins.ravel(), minlength=count * _BINS)
    return np.asarray(counts.reshape(count, _BINS) / size, np.float32)


def _cosines(n: int) -> Floats:
    """The orthonormal DCT-II as a matrix (n, n), frequencies in rows."""
    k, i = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.cos(np.pi * (i + 0.5) * k / n) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


def _detail(levels: Floats) -> Floats:
    """See `Measures.detail`: energy by cosine frequency, in squares around the mean."""
    height, width = levels.shape[1:]
    # Around the mean: float32 would lose the detail of a pale picture beside its brightness.
    centred = levels - levels.mean((1, 2), keepdims=True)
    energy = np.square(_cosines(height) @ centred @ _cosines(width).T)
    energy[:, 0, 0] = 0
    within = energy.cumsum(1, dtype=np.float64).cumsum(2, dtype=np.float64)
    side = max(height, width)
    at = np.arange(1, side + 1)
    # The square holds the frequencies below at·height/side and at·width/side.
    held = within[:, -(-at * height // side) - 1, -(-at * width // side) - 1]
    whole = held[:, -1:]
    needed = 1 + (held < _ENERGY * whole).sum(1)
    # Below a deviation of a tenth of a level there is only rounding.
    return np.where(whole[:, 0] > 0.01 * height * width, needed / min(side, ENOUGH_SIDE), 0).astype(np.float32)
