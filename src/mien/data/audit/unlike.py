"""How unlike the rest of a set a picture is, in where its edges lie and in its light and dark areas.

Edges of four directions are averaged over a grid of cells, much as in HOG (Dalal & Triggs 2005), and compared by their
square roots (RootSIFT: Arandjelović & Zisserman 2012); areas are a thumbnail of the picture. What is usual of either
is a normal distribution in a few dimensions with one variance for all others (probabilistic PCA: Tipping & Bishop
1999), fitted without the oddest. Edges tell faces from signs and other photographs, areas from writing and noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.descriptor import FLAT, Floats, Pixels, areas, blocks, deviation, grey, thumbnails, unit_rows
from mien.data.formats.ahead import ahead, told
from mien.data.formats.base import Progress

CELLS = 6
SIDE = 24
COMPONENTS = 40
_SAMPLE = 4096
# Left out of the next fit each time, so that odd pictures do not shape what counts as usual.
_TRIMMED, _FITS = 0.03, 3
_SEED = 0
# Robust deviations: those of `together`, where the areas count as unusual and what is left of the bulk.
_UNUSUAL, _BULK, _MOST_CORRELATED = 2.0, 3.0, 0.9
Feature = Callable[[Pixels], Floats]


@dataclass(frozen=True, eq=False)
class Space:
    """What is usual: mean (D,), K main directions (K, D), their variances (K,), and the variance along any other."""

    mean: Floats
    directions: Floats
    variances: Floats
    rest: float

    def places(self, values: Floats) -> Floats:
        """Coordinates (n, K) of features (n, D) along the main directions."""
        return np.asarray((values - self.mean) @ self.directions.T, np.float32)

    def distance(self, values: Floats) -> Floats:
        """Squared Mahalanobis distance (n,) of features (n, D) from the mean; infinite for flat pictures."""
        inside = self.places(values)
        outside = np.square(values - self.mean).sum(1) - np.square(inside).sum(1)
        distance = (np.square(inside) / self.variances).sum(1) + outside.clip(0) / self.rest
        return np.where(values.any(1), distance, np.inf).astype(np.float32)


def edges_of(images: Pixels) -> Floats:
    """Where the edges of pictures (n, H, W[, 3]) lie, (n, D): square roots of shares that sum to 1; 0 if it is flat."""
    pixels = grey(images)
    across = pixels[:, 1:-1, 2:] - pixels[:, 1:-1, :-2]
    down = pixels[:, 2:, 1:-1] - pixels[:, :-2, 1:-1]
    diagonals = ((across + down) * np.float32(0.5**0.5), (across - down) * np.float32(0.5**0.5))
    rows, columns = (areas(side, min(CELLS, side)) for side in across.shape[1:])
    cells = np.stack([rows @ np.abs(channel) @ columns.T for channel in (across, down, *diagonals)], axis=1)
    flat = cells.reshape(len(cells), -1)
    share = flat / np.maximum(flat.sum(1, keepdims=True), 1e-6)
    return np.where((deviation(pixels) >= FLAT)[:, None], np.sqrt(share), 0).astype(np.float32)


def areas_of(images: Pixels) -> Floats:
    """Light and dark areas of pictures (n, H, W[, 3]), (n, D): thumbnails of mean 0 and length 1; 0 if it is flat."""
    small = thumbnails(images, SIDE)
    flat = small.reshape(len(small), -1)
    return unit_rows(flat - flat.mean(1, keepdims=True), keep=deviation(small) >= FLAT)


FEATURES: tuple[Feature, ...] = (edges_of, areas_of)


def taken_at(images: Pixels, rows: NDArray[np.integer], feature: Feature) -> Floats:
    """A feature (n, D) of some of the pictures (N, H, W[, 3]), which are read block by block."""
    return np.concatenate([feature(images[rows[part]]) for part in blocks(len(rows), images)])


def fit(images: Pixels, feature: Feature, *, rows: NDArray[np.integer] | None = None, seed: int = _SEED) -> Space:
    """What is usual in pictures (N, H, W[, 3]), or in those at `rows` (n,): at least one. Uses a random sample."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(images)) if rows is None else rows
    values = taken_at(images, np.sort(rng.choice(rows, min(_SAMPLE, len(rows)), replace=False)), feature)
    values = values[values.any(1)] if values.any() else values  # flat pictures say nothing about the others
    space = _principal(values)
    for _ in range(_FITS - 1):
        distance = space.distance(values)
        space = _principal(values[distance <= np.quantile(distance, 1 - _TRIMMED, method="lower")])
    return space


def _principal(values: Floats) -> Space:
    """Probabilistic principal components of (n, D)."""
    mean = values.mean(0)
    variances, vectors = np.linalg.eigh(np.cov(values - mean, rowvar=False, bias=True))
    # A tenth of the pictures at most: a space as large as the sample explains everything.
    count = max(min(COMPONENTS, len(values) // 10, len(mean) - 1), 1)
    main, directions = variances[-count:][::-1], vectors[:, -count:][:, ::-1]
    rest = max(float(variances[:-count].mean()), 1e-9)
    return Space(mean, directions.T.astype(np.float32), np.maximum(main, rest).astype(np.float32), rest)


def oddness(images: Pixels, *, tell: Progress | None = None) -> Floats:
    """How far each of the pictures (N, H, W[, 3]) is from what is usual among them: around 0, higher is odder, (N,).

    What edges and areas say, each in robust deviations of the logarithm of the distance, so that the scores of
    different sets can be compared, taken `together`. Infinite for flat pictures.
    """
    if not len(images):
        return np.zeros(0, np.float32)
    spaces = [(feature, fit(images, feature)) for feature in FEATURES]

    def logs(part: slice) -> Floats:
        pictures = images[part]
        distances = [space.distance(feature(pictures)) for feature, space in spaces]
        return np.asarray(np.log(np.maximum(np.stack(distances, 1), 1e-6)), np.float32)

    found = np.concatenate([*told(ahead(logs, blocks(len(images), images)), tell, total=len(images))])
    return together(*(in_deviations(column) for column in found.T))


def together(edges: Floats, areas: Floats) -> Floats:
    """One score (N,) of the deviations of edges and areas (N,), infinite where either is.

    The larger of the two; but where the areas are unusual by themselves, the Mahalanobis distance of both, which is
    larger when the edges deviate to either side: writing and noise have them spread more evenly than a face has.
    """
    score: Floats = np.maximum(edges, areas)
    known = np.flatnonzero(np.isfinite(score))
    e, a = edges[known].astype(np.float64), areas[known].astype(np.float64)
    # Of the bulk: what is far out must not decide what is usual.
    bulk = np.clip(np.stack([e, a]), -_BULK, _BULK)
    r = float(np.asarray(np.corrcoef(bulk))[0, 1]) if bulk.size and bulk.std(1).min() > 0 else 0.0
    r = float(np.clip(r, -_MOST_CORRELATED, _MOST_CORRELATED))
    both = np.sqrt((e**2 - 2 * r * e * a + a**2) / (1 - r**2))
    score[known] = np.where(a > _UNUSUAL, np.maximum(both, score[known]), score[known])
    return score


def in_deviations(logs: Floats) -> Floats:
    """Values (N,) from their median, in robust deviations: 1.4826 times the median distance from it."""
    usual = logs[np.isfinite(logs)]
    if not len(usual):
        return logs
    middle = np.median(usual)
    spread = max(1.4826 * float(np.median(np.abs(usual - middle))), 1e-6)
    return np.asarray((logs - middle) / spread, np.float32)
