"""What a face detector gives and how it is asked, so that others can take CenterFace's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from mien.core.picture import Pixels

Floats = NDArray[np.float32]
LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")


@final
@dataclass(frozen=True)
class Faces:
    """The faces of one picture, ordered from left to right by the middle of their boxes, then from top to bottom.

    Attributes:
        boxes: float32 (N, 4): left, top, right, bottom in pixels of the picture that was given, (0, 0) being its upper
            left corner; a face that is cut off may have a box that reaches over the edge.
        scores: float32 (N,): the detector's own confidence, 0 to 1.
        landmarks: float32 (N, 5, 2): x, y of `LANDMARKS`; left is what is left in the picture.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Faces:
        """Some of the faces, by positions or by a mask."""
        return Faces(self.boxes[which], self.scores[which], self.landmarks[which])

    def ordered(self) -> Faces:
        """The same faces from left to right."""
        middle = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        return self.take(np.lexsort((middle[:, 1], middle[:, 0])))

    @classmethod
    def none(cls) -> Faces:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


class Detector(Protocol):
    """Finds faces; may be asked by several threads at once."""

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """The faces of each picture, in the order of the pictures.

        Args:
            pictures: uint8 (H, W, 3) in RGB, or (H, W) for grey; of any sizes, those of equal size may be looked at
                together. The answer for a picture does not depend on the others.
        """
        ...
