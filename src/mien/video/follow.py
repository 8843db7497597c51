"""Detecting faces in video: the whole frame now and then, in between only where the faces were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from mien.core.picture import Pixels
from mien.faces.boxes import overlaps, suppress
from mien.faces.crop import Window, cut
from mien.faces.detector import Detector, Faces

# A window is so many faces wide: room for motion, and the detector wants to see hair and neck.
_WINDOW_FACES = 2.5
# Its size in pixels when it is looked at: the face then has about 50, of which the detector needs 10.
_WINDOW_PIXELS = 128
_MAX_OVERLAP = 0.3
# Of one face from frame to frame, intersection over union; more than two faces of one frame may have.
_SAME_OVERLAP = 0.4
# What a detector looks at in a whole frame, at most about: larger ones are shrunk.
_WHOLE_PIXELS = 640 * 480


@final
class Follower:
    """Finds the faces of one frame after the other. Holds what it saw last, so one is needed for each video.

    Every `every`-th frame is searched as a whole. In between, the detector looks at a small window around each face
    of the last frame; where there is none, or there are too many, the quick detector looks at the whole frame. When
    a face is not where it was, there is a full search at once, so that it is lost only if that would not find it
    either. A face that appears is found at once where nobody was in sight and the quick detector sees it, else with
    the next full search.

    Args:
        detector: asked for whole frames and for windows of 128 px.
        quick: asked for whole frames in between; None: `detector` is.
        every: 1 searches every frame as a whole.
    """

    def __init__(self, detector: Detector, *, quick: Detector | None = None, every: int = 10) -> None:
        self.detector = detector
        self.every = max(every, 1)
        self._quick = quick
        self._last = Faces.none()
        self._since = self.every

    def find(self, frame: Pixels) -> Faces:
        """The faces of the next frame, uint8 (H, W, 3) in RGB, from left to right."""
        self._since += 1
        found = self._in_between(frame) if self._since < self.every else None
        if found is None:
            self._since = 0
            [found] = self.detector.detect([frame])
        self._last = found
        return found

    def _in_between(self, frame: Pixels) -> Faces | None:
        """The faces without a full search; None when that is needed, as one of the last frame is not there."""
        if len(self._last) and self._windows_are_cheaper(frame):
            return self._in_windows(frame)
        if self._quick is None:
            return None
        [found] = self._quick.detect([frame])
        return found if self._are_all_in(found) else None

    def _are_all_in(self, found: Faces) -> bool:
        """Whether each face of the last frame is about where it was."""
        again = overlaps(self._last.boxes, found.boxes).max(1, initial=0) >= _SAME_OVERLAP
        return len(found) >= len(self._last) and bool(again.all())

    def _windows_are_cheaper(self, frame: Pixels) -> bool:
        whole: int = min(frame.shape[0] * frame.shape[1], _WHOLE_PIXELS)
        return len(self._last) * _WINDOW_PIXELS**2 < whole / 2

    def _in_windows(self, frame: Pixels) -> Faces | None:
        """The faces of the last frame in this one; None when one of them is not where it was."""
        windows = [_around(box) for box in self._last.boxes]
        looks = self.detector.detect(
            [np.asarray(cut(frame, window, _WINDOW_PIXELS, _WINDOW_PIXELS)) for window in windows]
        )
        if not all(map(len, looks)):
            return None
        nearest = [_placed(_middlemost(look), window) for look, window in zip(looks, windows, strict=True)]
        found = Faces(
            np.concatenate([one.boxes for one in nearest]),
            np.concatenate([one.scores for one in nearest]),
            np.concatenate([one.landmarks for one in nearest]),
        )
        # Two windows may have found the same face: then the other one is gone.
        kept = suppress(found.boxes, found.scores, overlap=_MAX_OVERLAP)
        return found.ordered() if len(kept) == len(found) else None


@final
class Following:
    """A `Detector` that takes every picture for the next frame of one video."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """As `Detector.detect`, but for what came before counting too."""
        return [self._follower.find(picture) for picture in pictures]


def _around(box: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Window:
    left, top, right, bottom = box.tolist()
    side = _WINDOW_FACES * max(right - left, bottom - top, 8.0)
    return Window((left + right) / 2, (top + bottom) / 2, side, 0.0)


def _middlemost(faces: Faces) -> Faces:
    middles = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    nearest = np.linalg.norm(middles - _WINDOW_PIXELS / 2, axis=1).argmin()
    return faces.take(np.array([nearest]))


def _placed(faces: Faces, window: Window) -> Faces:
    """From pixels of the window to pixels of the frame."""
    scale = np.float32(window.side / _WINDOW_PIXELS)
    origin = np.array([window.x, window.y], np.float32) - np.float32(window.side / 2)
    return Faces(faces.boxes * scale + np.tile(origin, 2), faces.scores, faces.landmarks * scale + origin)
