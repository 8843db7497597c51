"""Where eyes, nose and mouth are, and what that says of a face: how large it is, tilted, turned, nodding.

Plain geometry of five points in the picture's plane, not angles of a head: enough to sort pictures by.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data.dataset import Dataset
from mien.faces.detector import Detector, Faces

Points = NDArray[np.float32]
# Columns of a manifest that hold landmarks: px of the packed picture, in the order of `faces.detector.LANDMARKS`.
NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
COLUMNS = tuple(f"{name}_{axis}" for name, axis in product(NAMES, "xy"))
_SEEN_SIDE = 160  # cut-out faces are enlarged to this before a detector looks at them, as for `faces.framing`
_AT_ONCE = 64


def of_manifest(dataset: Dataset, rows: NDArray[np.integer]) -> Points | None:
    """Landmarks (n, 5, 2) of the manifest's columns, NaN where a picture has none; None where columns are missing."""
    if not set(COLUMNS) <= set(dataset.table.column_names):
        return None
    columns = [dataset.column(name).astype(np.float32)[rows] for name in COLUMNS]
    return np.stack(columns, axis=1).reshape(len(rows), len(NAMES), 2)


def find(
    detector: Detector, images: NDArray[np.uint8], rows: NDArray[np.integer], tell: Callable[[int], None]
) -> Points:
    """Landmarks (n, 5, 2) of the largest face in each picture, in its px; NaN where no face is seen.

    Args:
        detector: asked about the pictures enlarged to 160 px, since most cut-out faces are smaller than it wants.
        images: uint8 (N, H, W) or (N, H, W, 3).
        rows: positions (n,) in `images`.
        tell: called with the number of pictures done since the last call.
    """
    found = np.full((len(rows), len(NAMES), 2), np.nan, np.float32)
    height, width = images.shape[1:3]
    enlarged = _SEEN_SIDE / max(height, width)
    size = round(width * enlarged), round(height * enlarged)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        seen = [np.asarray(Image.fromarray(images[i]).resize(size, Image.Resampling.BICUBIC)) for i in some]
        for place, faces in enumerate(detector.detect(seen), start):
            if len(faces):
                found[place] = _largest(faces) / np.array([size[0] / width, size[1] / height], np.float32)
        tell(len(some))
    return found


def _largest(faces: Faces) -> Points:
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    points: Points = faces.landmarks[int(sides.prod(1).argmax())]
    return points


def shape_of(points: Points, height: int) -> dict[str, NDArray[np.float64]]:
    """What sorts faces (n,) by size and pose; NaN without landmarks, or with eyes or mouth on one place.

    Args:
        points: (n, 5, 2): x, y of both eyes, the nose and the corners of the mouth; left is left in the picture.
        height: of the pictures, in the unit of the points.
    """
    known = points.astype(np.float64)
    eyes, nose = (known[:, 0] + known[:, 1]) / 2, known[:, 2]
    across, down = known[:, 1] - known[:, 0], (known[:, 3] + known[:, 4]) / 2 - eyes
    apart, long = np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = ((nose - eyes) * across).sum(1) / apart**2
        below = ((nose - eyes) * down).sum(1) / long**2
        tilt = np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    figures = {
        "size of the face (eyes to mouth, % of the height)": 100 * long / height,
        "tilt (degrees clockwise)": tilt,
        "turn (nose beside the eyes' middle, in eye distances)": along,
        "nod (nose from eyes 0 to mouth 1)": below,
    }
    whole = np.isfinite(known).all((1, 2)) & (apart > 0) & (long > 0)
    return {name: np.where(whole, values, np.nan) for name, values in figures.items()}


def columns(points: Points, height: int) -> dict[str, NDArray[np.float64] | NDArray[np.str_]]:
    """The columns that slices are cut from: size, pose, and whether there are landmarks at all."""
    seen = np.where(np.isfinite(points).all((1, 2)), "found", "none")
    return {**shape_of(points, height), "landmarks": seen}
