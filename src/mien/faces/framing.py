"""How training pictures frame their faces, and whether a picture is such a cut-out face already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import Pixels
from mien.core.spec import MOST_MARGIN, ModelSpec
from mien.faces.boxes import areas, overlaps
from mien.faces.crop import face_windows
from mien.faces.detector import Detector, Faces

# No photo of this size shows a face that is worth an answer, and data sets of cut-out faces are often this small.
SMALL = 64
# A face whose window shares this much (intersection over union) with the middle square of the picture is the picture.
# benchmarks/framing.py tells how often that errs, docs/faces.md what it told.
LEAST_SHARED = 0.6
# Cut-out faces are enlarged to this before a detector looks at them.
_SEEN_SIDE = 160
_FEWEST = 20


@final
@dataclass(frozen=True)
class Framing:
    """What a detector sees in pictures of cut-out faces.

    Attributes:
        margin: side of the pictures in units of the detector's box (the root of its area); median.
        shift: how far the pictures' middle is below that of the box, in units of their side; median.
        found: pictures in which a face was found.
        pictures: pictures looked at.
    """

    margin: float
    shift: float
    found: int
    pictures: int


def measure_framing(detector: Detector, pictures: Sequence[Pixels]) -> Framing:
    """How a data set of cut-out faces frames them, as `ModelSpec.face_margin` and `face_shift` want to know it.

    Args:
        detector: the one that will find the faces at prediction.
        pictures: uint8 (H, W) or (H, W, 3), square or nearly so.

    Raises:
        MienError: too few faces were found to tell, or they are far too small to be what the pictures show.
    """
    seen = [np.asarray(Image.fromarray(p).resize((_SEEN_SIDE, _SEEN_SIDE), Image.Resampling.BICUBIC)) for p in pictures]
    largest = [faces.boxes[areas(faces.boxes).argmax()] for faces in detector.detect(seen) if len(faces)]
    if len(largest) < _FEWEST:
        raise MienError(
            f"the detector found faces in {len(largest)} of {len(seen)} pictures: too few to tell how they lie",
            hint="keep the framing as it is",
        )
    boxes = np.array(largest)
    margins = _SEEN_SIDE / np.sqrt(areas(boxes))
    if np.median(margins) > MOST_MARGIN:
        raise MienError(
            f"faces are less than 1/{MOST_MARGIN:g} of the pictures high: they were not cut out around them",
            hint="keep the framing as it is",
        )
    shifts = 0.5 - (boxes[:, 1] + boxes[:, 3]) / 2 / _SEEN_SIDE
    return Framing(float(np.median(margins)), float(np.median(shifts)), len(largest), len(seen))


def is_small(height: int, width: int) -> bool:
    """Whether a picture of this size in pixels is taken for a cut-out face without looking for one."""
    return max(height, width) <= SMALL


def fills(faces: Faces, height: int, width: int, spec: ModelSpec) -> bool:
    """Whether the picture (height × width) is one cut-out face: its only one, and framed about as the model wants."""
    return len(faces) == 1 and shared_with_middle(faces, height, width, spec) >= LEAST_SHARED


def shared_with_middle(faces: Faces, height: int, width: int, spec: ModelSpec) -> float:
    """Intersection over union of the first face's window with the middle square of the picture, 0 to 1."""
    window, side = face_windows(faces, spec)[0], min(height, width)
    squares = [(window.x, window.y, window.side), (width / 2, height / 2, side)]
    a, b = (np.array([[x - s / 2, y - s / 2, x + s / 2, y + s / 2]], np.float32) for x, y, s in squares)
    return float(overlaps(a, b)[0, 0])
