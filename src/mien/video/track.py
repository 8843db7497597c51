"""Which face of this frame is which of the last: stable numbers by position, size and motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from mien.faces.detector import Faces

# Below this closeness (1: same place and size, 0: a whole face apart or 2.7 times the size) it is another face.
_LEAST_CLOSENESS = 0.2
# After so many seconds an older velocity counts half: detections jitter, and faces turn back. Of two frames close
# together the jitter would make any velocity.
_VELOCITY_HALF_LIFE_S = 0.04
PATIENCE_S = 1.0  # with a face that is not seen


@dataclass
class _Track:
    """A face that was seen before: middle and side in pixels, velocity in pixels a second, time in seconds."""

    number: int
    middle: NDArray[np.float64]
    side: float
    velocity: NDArray[np.float64]
    seen_s: float

    def expected(self, time_s: float) -> NDArray[np.float64]:
        return self.middle + self.velocity * (time_s - self.seen_s)

    def move(self, middle: NDArray[np.float64], side: float, time_s: float) -> None:
        passed_s = time_s - self.seen_s
        if passed_s > 0:
            share = 1 - 0.5 ** (passed_s / _VELOCITY_HALF_LIFE_S)
            self.velocity = share * (middle - self.middle) / passed_s + (1 - share) * self.velocity
        self.middle, self.side, self.seen_s = middle, side, time_s


@final
class Tracker:
    """Numbers faces from 1 on in the order in which they appear; assumes constant velocity between frames.

    A face keeps its number when it is gone for less than `patience_s` and comes back about where its motion would
    have led it or, having stopped or turned, where it was last. Pairs are taken closest first: where that is not the
    best assignment as a whole, two faces overlap so far that position alone cannot tell them apart.

    Args:
        patience_s: after so many seconds unseen, a face that comes back is a new one; where looks are further apart,
            one that is missing in a look.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._tracks: list[_Track] = []
        self._given = 0
        self._looked_s = 0.0

    @property
    def alive(self) -> frozenset[int]:
        """Numbers that may still be given to a face."""
        return frozenset(track.number for track in self._tracks)

    def number(self, faces: Faces, time_s: float) -> list[int]:
        """The number of each of `faces`, seen at `time_s` seconds; times do not go back."""
        patience_s = max(self.patience_s, time_s - self._looked_s)
        self._looked_s = time_s
        self._tracks = [t for t in self._tracks if time_s - t.seen_s <= patience_s]
        sizes = (faces.boxes[:, 2:] - faces.boxes[:, :2]).astype(np.float64)
        middles = faces.boxes[:, :2] + sizes / 2
        sides = np.sqrt(sizes.clip(min=1).prod(1))
        matched = self._matched(middles, sides, time_s)
        return [
            self._follow(matched.get(i), middle, float(side), time_s)
            for i, (middle, side) in enumerate(zip(middles, sides, strict=True))
        ]

    def _matched(self, middles: NDArray[np.float64], sides: NDArray[np.float64], time_s: float) -> dict[int, _Track]:
        """The track of each face that has one, by the face's position.

        By last places only what motion leaves over: of faces in a row, each is where another one was.
        """
        if not self._tracks or not len(middles):
            return {}
        known = np.array([t.side for t in self._tracks])
        scale, unlike = np.sqrt(sides[:, None] * known[None]), abs(np.log(sides[:, None] / known[None]))
        matched: dict[int, int] = {}
        for places in ([t.expected(time_s) for t in self._tracks], [t.middle for t in self._tracks]):
            apart = np.linalg.norm(middles[:, None] - np.array(places)[None], axis=2) / scale
            closeness = 1 - apart - unlike
            closeness[list(matched)] = closeness[:, list(matched.values())] = -np.inf
            while closeness.max() >= _LEAST_CLOSENESS:
                face, track = map(int, np.unravel_index(closeness.argmax(), closeness.shape))
                matched[face] = track
                closeness[face, :] = closeness[:, track] = -np.inf
        return {face: self._tracks[track] for face, track in matched.items()}

    def _follow(self, track: _Track | None, middle: NDArray[np.float64], side: float, time_s: float) -> int:
        if track is None:
            self._given += 1
            track = _Track(self._given, middle, side, np.zeros(2), time_s)
            self._tracks.append(track)
        else:
            track.move(middle, side, time_s)
        return track.number
