"""From a detected face to the pixels a model takes: eyes level, framed as the model's training pictures were."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.picture import Pixels, fit, to_array
from mien.core.spec import ModelSpec
from mien.faces.detector import Faces

# Eye points nearer to each other than this share of the face's side tell nothing of how it is tilted.
_LEAST_EYES_APART = 0.1
# A face much larger than the model's input is first averaged down to at most this many times its size.
_MOST_OVERSAMPLING = 4
# Of a picture that shows a window as a square of more pixels than this, however it is turned, a smaller one will do:
# a wide margin around a large face would repeat edges for gigabytes.
_MOST_SIDE = 10_000


class Window(NamedTuple):
    """A square of a picture that is looked at as one face.

    Attributes:
        x, y: its middle in pixels.
        side: length of its sides in pixels.
        angle: by which it is turned against the picture, in radians; positive with the right side lower.
    """

    x: float
    y: float
    side: float
    angle: float


def face_windows(faces: Faces, spec: ModelSpec) -> list[Window]:
    """Where each face lies, framed as `spec` wants it: margin, shift and whether the eyes are made level."""
    sides = _sides(faces) * spec.face_margin
    angles = eye_angles(faces) if spec.face_level else np.zeros(len(faces))
    middles = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    # The shift is along the face, which may be tilted.
    middles = middles + spec.face_shift * sides[:, None] * np.stack([-np.sin(angles), np.cos(angles)], 1)
    return [
        Window(float(x), float(y), float(side), float(angle))
        for (x, y), side, angle in zip(middles, sides, angles, strict=True)
    ]


def eye_angles(faces: Faces) -> NDArray[np.float32]:
    """By how much each face is tilted, in radians (N,); 0 where there are no landmarks, or both eyes in one place."""
    across = faces.landmarks[:, 1] - faces.landmarks[:, 0]
    apart = np.linalg.norm(across, axis=1) >= _LEAST_EYES_APART * _sides(faces)
    angles: NDArray[np.float32] = np.where(apart, np.arctan2(across[:, 1], across[:, 0]), 0).astype(np.float32)
    return angles


def _sides(faces: Faces) -> NDArray[np.float32]:
    """The roots of the areas of their boxes, in pixels (N,)."""
    sides: NDArray[np.float32] = np.sqrt((faces.boxes[:, 2:] - faces.boxes[:, :2]).clip(min=1).prod(1))
    return sides


def face_crops(picture: Pixels, faces: Faces, spec: ModelSpec) -> Pixels:
    """Each face as the model takes it: uint8 (N, H, W) for a grey model, (N, H, W, 3) for a colour one.

    Where a face reaches over the edge of the picture, the edge's pixels are repeated.

    Args:
        picture: the picture the faces were found in, uint8 (H, W, 3) in RGB, or (H, W).
        faces: what a detector found.
        spec: of the model; says size, colour, margin and whether the eyes are made level.
    """
    shape = (spec.height, spec.width, 3) if spec.channels == 3 else (spec.height, spec.width)
    crops = np.empty((len(faces), *shape), np.uint8)
    for place, window in zip(crops, face_windows(faces, spec), strict=True):
        place[:] = to_array(cut(picture, window, spec.height, spec.width), channels=spec.channels)
    return crops


def cut(picture: Pixels, window: Window, height: int, width: int) -> Image.Image:
    """What a window shows, upright and of the wanted size; not square, it keeps the height and loses or gains width."""
    longer = max(width / height, 1.0)
    by = math.ceil(longer * window.side * math.sqrt(2) / _MOST_SIDE)
    if by > 1:
        picture = np.asarray(Image.fromarray(picture).reduce(by))
        window = Window(window.x / by, window.y / by, window.side / by, window.angle)
    region, left, top = _surroundings(picture, window, longer)
    x, y, pixels_each = window.x - left, window.y - top, window.side / height
    if window.angle == 0:  # the same, and several times faster
        reach = window.side / 2 * width / height, window.side / 2
        box = (x - reach[0], y - reach[1], x + reach[0], y + reach[1])
        return region.resize((width, height), Image.Resampling.BILINEAR, box=box)
    reduced = max(int(pixels_each / _MOST_OVERSAMPLING), 1)
    small = region.reduce(reduced) if reduced > 1 else region
    # Sampled about as finely as the picture is, then shrunk with the antialiasing filter that import uses.
    finer = max(round(pixels_each / reduced), 1)
    rows, columns = height * finer, width * finer
    step = window.side / rows / reduced
    cos, sin = math.cos(window.angle) * step, math.sin(window.angle) * step
    middle_x, middle_y = (cos * columns - sin * rows) / 2, (sin * columns + cos * rows) / 2
    matrix = (cos, -sin, x / reduced - middle_x, sin, cos, y / reduced - middle_y)
    level = small.transform((columns, rows), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return fit(level, height, width)


def _surroundings(picture: Pixels, window: Window, longer: float) -> tuple[Image.Image, int, int]:
    """The part of a picture that holds the window however it is turned, edges repeated; and where it begins."""
    reach = longer * window.side * (abs(math.cos(window.angle)) + abs(math.sin(window.angle))) / 2 + 2
    left, top = math.floor(window.x - reach), math.floor(window.y - reach)
    right, bottom = math.ceil(window.x + reach), math.ceil(window.y + reach)
    rows = np.arange(top, bottom).clip(0, picture.shape[0] - 1)
    columns = np.arange(left, right).clip(0, picture.shape[1] - 1)
    # Two slices and a repetition of edges; a box far outside shows the nearest edge, which is as good as anything.
    part = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if part.shape[:2] != (len(rows), len(columns)):
        part = part[np.ix_(rows - rows[0], columns - columns[0])]
    return Image.fromarray(np.ascontiguousarray(part)), left, top
