"""The faces of a stream: the same numbers from frame to frame, and answers that do not flicker."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, final

import numpy as np

from mien.core.spec import ModelSpec
from mien.deploy.photos import Face, Photo
from mien.deploy.runtime import make_prediction
from mien.faces.detector import LANDMARKS, Faces
from mien.video.smooth import Smoother
from mien.video.track import Tracker


class Followed(NamedTuple):
    """A photo whose answers are smoothed over time, and the number of each of its faces."""

    photo: Photo
    numbers: tuple[int, ...]


@final
class Calm:
    """Holds what one stream has shown so far.

    Args:
        spec: of the model, for its threshold.
        smooth_s: after so many seconds, what was seen before counts 1/e; 0 smooths nothing.
    """

    def __init__(self, spec: ModelSpec, *, smooth_s: float) -> None:
        self._spec = spec
        self._tracker, self._smoother = Tracker(), Smoother(smooth_s)

    def add(self, photo: Photo, time_s: float) -> Followed:
        """The next frame; times do not go back."""
        numbers = self._tracker.number(_faces(photo), time_s)
        self._smoother.keep(self._tracker.alive)
        faces = tuple(self._smoothed(face, number, time_s) for face, number in zip(photo.faces, numbers, strict=True))
        return Followed(replace(photo, faces=faces), tuple(numbers))

    def _smoothed(self, face: Face, number: int, time_s: float) -> Face:
        said = face.prediction
        row = self._smoother.add(number, time_s, np.fromiter(said.probabilities.values(), np.float32))
        mean = make_prediction(said.source, row, tuple(said.probabilities), self._spec.abstain_below)
        return replace(face, prediction=mean)


def _faces(photo: Photo) -> Faces:
    """As a tracker wants them: it looks at boxes alone."""
    boxes = np.array([face.box for face in photo.faces], np.float32).reshape(-1, 4)
    landmarks = np.full((len(boxes), len(LANDMARKS), 2), np.nan, np.float32)
    return Faces(boxes, np.ones(len(boxes), np.float32), landmarks)
