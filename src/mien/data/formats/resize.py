"""Bringing pictures to one size: the centre square of the longer side, then an antialiased resize."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mien.core.picture import conform
from mien.data.formats.base import Pixels, Shape


def resize(picture: Image.Image, shape: Shape) -> Pixels:
    """One picture as pixels of `shape`; a picture that has the wanted height and width keeps its pixels."""
    return conform(picture, shape.height, shape.width, channels=shape.channels)


def resize_all(images: Pixels, shape: Shape) -> Pixels:
    """Grey pixels (n, H, W) as (n, height, width) or (n, height, width, 3)."""
    if images.shape[1:] == (shape.height, shape.width) and shape.channels == 1:
        return images
    return np.stack([resize(Image.fromarray(image), shape) for image in images])
