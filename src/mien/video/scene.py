"""From one frame to the next: the same faces under the same numbers, with calm answers."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from mien.core.picture import Pixels
from mien.deploy.photos import Face, face
from mien.deploy.runtime import Prediction, Predictor, make_prediction
from mien.faces.crop import face_crops
from mien.video.follow import Follower
from mien.video.smooth import Smoother
from mien.video.track import Tracker


class Seen(NamedTuple):
    """A face in a frame; `number` is the same as long as it is followed, `face.prediction` is smoothed over time."""

    number: int
    face: Face


@final
class Scene:
    """What goes on in one video. Frames are given in their order.

    Args:
        predictor: answers each face.
        follower: finds the faces.
        smooth_s: time constant of the average of probabilities in seconds; 0: each frame for itself.
        labels: as in `Predictor.predict`.
        head: as in `Predictor.predict`.

    Raises:
        MienError: unknown labels or head.
    """

    def __init__(
        self,
        predictor: Predictor,
        follower: Follower,
        *,
        smooth_s: float = 0.5,
        labels: str | None = None,
        head: str | None = None,
    ) -> None:
        self.predictor, self.follower = predictor, follower
        self.label_names = predictor.label_names(labels=labels, head=head)
        self._labels, self._head = labels, head
        self._tracker, self._smoother = Tracker(), Smoother(smooth_s)

    def look(self, frame: Pixels, time_s: float) -> list[Seen]:
        """The faces of the next frame, uint8 (H, W, 3) in RGB, from left to right.

        Args:
            frame: the picture.
            time_s: when it is shown, in seconds; not before the last one.
        """
        faces = self.follower.find(frame)
        numbers = self._tracker.number(faces, time_s)
        crops = face_crops(frame, faces, self.predictor.spec)
        answers = self.predictor.predict(crops, labels=self._labels, head=self._head) if len(crops) else []
        self._smoother.keep(self._tracker.alive)
        return [
            Seen(number, face(faces, i, self._smoothed(number, time_s, answer.probabilities)))
            for i, (number, answer) in enumerate(zip(numbers, answers, strict=True))
        ]

    def _smoothed(self, number: int, time_s: float, probabilities: dict[str, float]) -> Prediction:
        row = np.fromiter(probabilities.values(), np.float32)
        mean = self._smoother.add(number, time_s, row)
        return make_prediction(f"face {number}", mean, self.label_names, self.predictor.spec.abstain_below)
