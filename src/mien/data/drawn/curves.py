"""Smooth curves through a few control points: the pencils of the drawn faces."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


def _catmull_rom(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (n, 4) of four neighbouring controls at t in 0..1 between the middle two (Catmull & Rom 1974)."""
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )


@lru_cache(maxsize=64)
def _basis(controls: int, per_segment: int, closed: bool) -> NDArray[np.float64]:
    """Matrix (samples, controls) that turns control points into points of the curve."""
    segments = controls if closed else controls - 1
    weights = _catmull_rom(np.arange(per_segment) / per_segment)
    matrix = np.zeros((segments * per_segment + (not closed), controls))
    for i in range(segments):
        rows = slice(i * per_segment, (i + 1) * per_segment)
        for k, column in enumerate(range(i - 1, i + 3)):
            at = column % controls if closed else min(max(column, 0), controls - 1)
            matrix[rows, at] += weights[:, k]
    if not closed:
        matrix[-1, -1] = 1.0
    matrix.flags.writeable = False
    return matrix


def closed_curve(controls: ArrayLike, per_segment: int = 4) -> Points:
    """Points (n * per_segment, 2) of the closed smooth curve through `controls` (n, 2)."""
    points = np.asarray(controls, np.float64)
    return _basis(len(points), per_segment, True) @ points


def open_curve(controls: ArrayLike, per_segment: int = 4) -> Points:
    """Points ((n - 1) * per_segment + 1, 2) of the smooth curve through `controls` (n, 2), ends included.

    Several curves at once: controls of shape (k, n, 2) give points of shape (k, (n - 1) * per_segment + 1, 2).
    """
    points = np.asarray(controls, np.float64)
    return _basis(points.shape[-2], per_segment, False) @ points


@lru_cache(maxsize=64)
def taper(count: int, start: float = 0.0, end: float = 0.0) -> NDArray[np.float64]:
    """Relative widths (count,) that swell to 1 in the middle from `start` and fall to `end`."""
    t = np.linspace(0, 1, count)
    edge = start + (end - start) * t
    widths = edge + (1 - edge) * np.sin(np.pi * t) ** 0.7
    widths.flags.writeable = False
    return widths


@lru_cache(maxsize=8)
def circle(count: int) -> Points:
    """Points (count, 2) of the unit circle."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points.flags.writeable = False
    return points


def ellipse(centre: ArrayLike, radii: ArrayLike, count: int = 20) -> Points:
    """Points (count, 2) of an upright ellipse."""
    return circle(count) * np.asarray(radii, np.float64) + np.asarray(centre, np.float64)


def moved(points: Points, x: float, y: float) -> Points:
    """`points` (n, 2) shifted by x and y."""
    return np.add(points, (x, y))


def between(points: Points, upper: Points, lower: Points) -> Points:
    """`points` with their y pressed between two curves (n, 2) that run from left to right: clips a ball to its slit."""
    top = np.interp(points[:, 0], upper[:, 0], upper[:, 1])
    bottom = np.interp(points[:, 0], lower[:, 0], lower[:, 1])
    x = np.minimum(np.maximum(points[:, 0], upper[0, 0]), upper[-1, 0])
    return np.stack([x, np.minimum(np.maximum(points[:, 1], top), bottom)], axis=1)


def mirrored(half: ArrayLike) -> Points:
    """Controls from left to right out of their right half (n, 2), which goes from the outside to x = 0."""
    right = np.asarray(half, np.float64)
    return np.concatenate([right[:-1] * (-1, 1), right[::-1]])


def mirrored_closed(half: ArrayLike) -> Points:
    """Controls of a closed curve out of its right half (n, 2), whose first and perhaps last point have x = 0."""
    right = np.asarray(half, np.float64)
    back = right[::-1] * (-1, 1)
    return np.concatenate([right, back[back[:, 0] < 0]])
