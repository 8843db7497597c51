"""Test-time augmentation: the same picture flipped and shifted, and the mean of the answers."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import unknown_name
from mien.core.spec import ModelSpec

DEFAULT_SHIFT = 2
NAMES = ("none", "flip", "flip-shift")
ALIASES = {"ten-crop": "flip-shift"}


class Variant(NamedTuple):
    """One view of a picture: mirrored left to right or not, then moved by whole pixels."""

    flip: bool = False
    down: int = 0
    right: int = 0


PLAIN = (Variant(),)


def variants(name: str, spec: ModelSpec) -> tuple[Variant, ...]:
    """The views of a test-time augmentation.

    none: the picture itself. flip: it and its mirror image. flip-shift, also called ten-crop: both, in place
    and moved along the four diagonals by half of what `spec.crop` leaves of each side, to a pixel (the centre crop of
    a moved picture is then the corner crop), or by 2 px where nothing is cropped.

    Raises:
        MienError: an unknown name.
    """
    name = ALIASES.get(name, name)
    if name not in NAMES:
        raise unknown_name("test-time augmentation", name, (*NAMES, *ALIASES))
    flips = (False,) if name == "none" else (False, True)
    down, right = (_shifts(side, spec.crop) for side in (spec.height, spec.width))
    corners = list(product(down, right))
    shifts = [(0, 0), *(corners if name == "flip-shift" else [])]
    return tuple(Variant(flip, y, x) for flip, (y, x) in product(flips, shifts))


def _shifts(side: int, crop: int | None) -> tuple[int, int]:
    """Moves after which the centre crop is the last, and the first, of the crops; unlike where an odd rest is left.

    The centre crop begins at half of the rest, rounded down (`models.classifier.centre_crop`), the others at the rest
    and at 0.
    """
    rest = max(0, side - (crop or side))
    return (rest // 2 - rest, rest // 2) if rest else (-DEFAULT_SHIFT, DEFAULT_SHIFT)


def apply(images: NDArray[np.uint8], variant: Variant) -> NDArray[np.uint8]:
    """Pictures (N, H, W) or (N, H, W, C) flipped, then moved; what is uncovered repeats the nearest edge pixel."""
    if variant == Variant():
        return images
    rows, columns = taken_from(variant, *images.shape[1:3])
    return images[:, rows[:, None], columns]


def taken_from(variant: Variant, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row (H,) and the column (W,) of the picture that each of a view comes from."""
    rows = np.clip(np.arange(height) - variant.down, 0, height - 1)
    columns = np.clip(np.arange(width) - variant.right, 0, width - 1)
    return rows, width - 1 - columns if variant.flip else columns
