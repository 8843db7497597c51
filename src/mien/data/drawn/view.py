"""Where the parts of a face fall in the picture: turns of the head, zoom, shift, and brush strokes made outlines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.drawn.curves import Points
from mien.data.drawn.face import Scene
from mien.data.drawn.ink import Patch
from mien.data.drawn.light import surface_depth

_SIDE_UNITS = 2.5
_CENTRE_Y = 0.4
_NO_WIDTH = np.zeros(1024)


class View:
    """Face coordinates to pixels of a square picture of `size` pixels, and back for its grid."""

    def __init__(self, scene: Scene, size: int) -> None:
        yaw, pitch, roll = np.radians([scene.yaw_degrees, scene.pitch_degrees, scene.roll_degrees])
        self._yaw, self._pitch = (np.cos(yaw), np.sin(yaw)), (np.cos(pitch), np.sin(pitch))
        cos, sin = np.cos(roll), np.sin(roll)
        self._roll = np.array([[cos, sin], [-sin, cos]])
        self.scale = size / _SIDE_UNITS * scene.zoom
        self._centre = size / 2 + np.array([scene.shift_x, scene.shift_y]) * self.scale
        self.size = size

    def turn(self, points: Points, depth: NDArray[np.float64]) -> Points:
        """Points (n, 2) at `depth` (n,) as seen after yaw and pitch, still in face units."""
        x, y = points[:, 0], points[:, 1] - _CENTRE_Y
        (cy, sy), (cp, sp) = self._yaw, self._pitch
        forward = depth * cy - x * sy
        return np.stack([x * cy + depth * sy, y * cp - forward * sp + _CENTRE_Y], axis=1)

    def place(self, points: Points) -> Points:
        """Turned points as pixel positions (n, 2)."""
        rolled: Points = (points - (0, _CENTRE_Y)) @ self._roll
        return rolled * self.scale + self._centre

    def grid(self, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Turned face coordinates x and y (side, side) of a grid of pixel centres over the picture."""
        at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * (self.size / side)
        (cos, sin), (cx, cy) = self._roll[0].tolist(), self._centre.tolist()
        across, down = ((at - cx) / self.scale)[None, :], ((at - cy) / self.scale)[:, None]
        return cos * across + sin * down, cos * down - sin * across + _CENTRE_Y

    def outlines(self, patches: Sequence[Patch], *, enlarge: int = 1) -> list[list[float]]:
        """The polygon x, y, x, y, … of every patch in pixels times `enlarge`, strokes made outlines, all in one go."""
        counts = np.array([len(patch.points) for patch in patches])
        points = np.concatenate([patch.points for patch in patches])
        fixed = np.repeat([np.nan if p.depth is None else p.depth for p in patches], counts)
        lift = np.repeat([p.lift for p in patches], counts)
        depth = np.where(np.isnan(fixed), surface_depth(points[:, 0], points[:, 1]) + lift, fixed)
        placed = self.place(self.turn(points, depth)) * enlarge
        ends = np.cumsum(counts)
        aside = _normals(placed, ends) * (0.5 * enlarge * self.scale * _widths(patches)[:, None])
        near, far = (placed + aside).ravel().tolist(), (placed - aside)[::-1].ravel()
        total = len(near)
        spans = zip(patches, (2 * (ends - counts)).tolist(), (2 * ends).tolist(), strict=True)
        return [near[a:b] if p.width is None else near[a:b] + far[total - b : total - a].tolist() for p, a, b in spans]


def _widths(patches: Sequence[Patch]) -> NDArray[np.float64]:
    """Stroke widths (n,) of all points in face units, 0 for filled outlines."""
    return np.concatenate([_NO_WIDTH[: len(p.points)] if p.width is None else p.width for p in patches])


def _normals(points: Points, ends: NDArray[np.int64]) -> Points:
    """Unit normals (n, 2) of several lines laid end to end; `ends` are where each stops."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    last, first = ends - 1, np.append(0, ends[:-1])
    along[first] = points[np.minimum(first + 1, last)] - points[first]
    along[last] = points[last] - points[np.maximum(last - 1, first)]
    length = np.sqrt((along * along).sum(1)) + 1e-9
    return np.stack([-along[:, 1] / length, along[:, 0] / length], axis=1)
