"""What the camera adds: a room out of focus behind, exposure, a printed mark, lens blur and sensor noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mien.core.picture import Pixels
from mien.data.drawn.face import Scene

_MIDDLE_TONE = 135.0
_BLUR = 0.014
_NOISE = 9.0


def background(rng: np.random.Generator, scene: Scene, size: int, channels: int) -> NDArray[np.float32]:
    """Large soft blots around one tone: (size, size, channels), 0 to 255."""
    contrast = 90 * max(0.0, scene.background - 0.3)
    tone = rng.uniform(20, 235)
    grey, tint = rng.uniform(-1, 1, (4, 4, 1)), rng.uniform(-1, 1, (4, 4, 3))
    cast = 14 * rng.uniform(-1, 1, 3)
    blots = tone + contrast * grey + (0 if channels == 1 else cast + 0.3 * contrast * tint)
    enlarge = _enlarging(size)
    smooth = np.stack([enlarge @ blots[..., c].astype(np.float32) @ enlarge.T for c in range(channels)], axis=-1)
    return np.minimum(np.maximum(smooth, 0), 255)


@lru_cache(maxsize=8)
def _enlarging(size: int) -> NDArray[np.float32]:
    """Matrix (size, 4) of bicubic interpolation from four values to `size`."""
    columns = [Image.fromarray(np.eye(4, dtype=np.float32)[:, [k]]) for k in range(4)]
    enlarged = [column.resize((1, size), Image.Resampling.BICUBIC) for column in columns]
    matrix = np.concatenate([np.asarray(column, np.float32) for column in enlarged], axis=1)
    matrix.flags.writeable = False
    return matrix


def photograph(rng: np.random.Generator, picture: NDArray[np.float32], scene: Scene) -> Pixels:
    """The picture (H, W, C) of light 0 to 255 and more as the camera stores it: uint8 of the same shape."""
    size = len(picture)
    middle = picture[size // 4 : -(size // 4), size // 4 : -(size // 4)]
    # Automatic exposure: half way to a middle tone in the middle of the picture.
    gain = (_MIDDLE_TONE / max(20.0, float(middle.mean()))) ** 0.5
    exposed = picture * (gain * scene.contrast) + 255 * (0.5 - 0.5 * scene.contrast + scene.exposure)
    image = _image(np.minimum(np.maximum(exposed, 0), 255))
    if scene.cover == "mark":
        image = Image.composite(Image.new(image.mode, image.size, "white"), image, _mark(rng, size))
    if scene.blur * _BLUR * size > 0.1:
        image = image.filter(ImageFilter.GaussianBlur(_BLUR * size * scene.blur))
    pixels = np.asarray(image, np.float32).reshape(picture.shape)
    noise = rng.standard_normal(picture.shape, np.float32)
    noisy = pixels + _NOISE * np.float32(scene.noise) * noise + np.float32(0.5)
    return np.minimum(np.maximum(noisy, 0), 255).astype(np.uint8)


def _image(values: NDArray[np.float32]) -> Image.Image:
    pixels = (values + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _mark(rng: np.random.Generator, size: int) -> Image.Image:
    """Share of white of a picture agency's mark: a slanted row of strokes, like letters too small to read."""
    layer = Image.new("L", (size, size))
    brush = ImageDraw.Draw(layer)
    top, slope = rng.uniform(0.3, 0.8), rng.uniform(-0.3, 0.3)
    for k, height in enumerate(rng.uniform(0.04, 0.1, 12).tolist()):
        x = 0.06 + 0.075 * k
        y = top + slope * (x - 0.5)
        box = (x * size, (y - height) * size, (x + 0.035) * size, y * size)
        brush.rectangle(box, fill=95)
    return layer.filter(ImageFilter.GaussianBlur(0.008 * size))
