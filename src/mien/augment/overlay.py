"""Letters over the face, as the watermarks of picture agencies: FER2013 has many. They are no sign of an expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.augment.geometry import grid
from mien.augment.params import WATERMARK, Bools, Floats, Ints, change_where, column, stream, take, truth, uniform
from mien.core.recipe import AugmentConfig

# The letters A to Z, seven rows of five points each, a row a byte: drawn here so that no font is needed.
_LETTERS = (
    "0e11111f111111 1e11111e11111e 0e11101010110e 1e11111111111e 1f10101e10101f 1f10101e101010 0e11101711110f "
    "1111111f111111 0e04040404040e 0702020202120c 11121418141211 1010101010101f 111b1515111111 11191513111111 "
    "0e11111111110e 1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404 1111111111110e "
    "11111111110a04 11111115151b11 11110a040a1111 11110a04040404 1f01020408101f"
)
LONGEST = 8  # letters of a word
_ROWS, _COLUMNS = 7, 5
_LEADING, _TRACKING = 9, 1  # blank points below a line and beside a letter


@dataclass(frozen=True)
class Overlay:
    """What is written over n pictures."""

    on: Bools
    letters: Ints  # (n, LONGEST) from 0 to 25; 26 is a blank
    height: Floats  # of a letter, fraction of the picture's height
    rotation: Floats  # radians, anticlockwise
    x: Floats  # of the middle of the word, −1…1
    y: Floats
    opacity: Floats
    white: Bools
    repeated: Bools  # all over the picture, as agencies do it


def draw(config: AugmentConfig, rng: np.random.Generator, n: int) -> Overlay | None:
    """Watermarks of n pictures: words of three to eight letters, white or black, level or slanted, once or all over."""
    if not config.watermark_probability:
        return None
    own = stream(rng, WATERMARK)
    letters = own.integers(0, 26, (n, LONGEST))
    letters[np.arange(LONGEST) >= own.integers(3, LONGEST + 1, n)[:, None]] = 26
    level = own.random(n) < 0.5
    return Overlay(
        on=own.random(n) < config.watermark_probability,
        letters=letters,
        height=uniform(own, n, 0.07, 0.15),
        rotation=np.where(level, 0, uniform(own, n, np.pi / 4)).astype(np.float32),
        x=uniform(own, n, 0.7),
        y=uniform(own, n, 0.9),
        opacity=(config.watermark_opacity * own.uniform(0.3, 1, n)).astype(np.float32),
        white=own.random(n) < 0.75,
        repeated=own.random(n) < 0.3,
    )


def apply(pictures: Tensor, params: Overlay) -> Tensor:
    """Pictures (n, C, H, W), float, with their words; those without one keep every bit."""
    chosen = take(params, np.flatnonzero(params.on))
    return change_where(pictures, params.on, lambda under: _written(under, chosen))


def _written(under: Tensor, params: Overlay) -> Tensor:
    font = _font(str(under.device))
    words = font[torch.from_numpy(params.letters).to(under.device)]
    words = words.permute(0, 2, 1, 3).flatten(2).unsqueeze(1)
    side = (under.shape[2], under.shape[3])
    places = grid(_placed(params, side, (words.shape[2], words.shape[3])), side, under.device)
    # All over the picture, the plane is tiled with the word and its margins.
    places = torch.where(truth(params.repeated, under), places - 2 * (places / 2).round(), places)
    ink = F.grid_sample(words, places, padding_mode="zeros", align_corners=False) * column(params.opacity, under)
    return under + ink * (column(255 * params.white, under) - under)


@lru_cache(maxsize=8)
def _font(device: str) -> Tensor:
    """Points (27, rows, columns) of the letters and the blank, with the space around them."""
    rows = [np.frombuffer(bytes.fromhex(letter), np.uint8) for letter in _LETTERS.split()]
    points = np.unpackbits(np.stack(rows)[:, :, None], axis=2)[:, :, 8 - _COLUMNS :]
    space = ((0, 1), (_LEADING // 2, _LEADING - _LEADING // 2), (0, _TRACKING))
    return torch.from_numpy(np.pad(points, space).astype(np.float32)).to(device)


def _placed(params: Overlay, side: tuple[int, int], plate: tuple[int, int]) -> Floats:
    """Matrices (n, 3, 3) that send positions in the picture of `side` px to those on the plate, both −1…1."""
    height, width = plate
    scale = params.height * side[0] / _ROWS  # px a point
    cos, sin = np.cos(params.rotation) / scale, np.sin(params.rotation) / scale
    xx, xy = cos * side[1] / width, -sin * side[0] / width
    yx, yy = sin * side[1] / height, cos * side[0] / height
    x, y, none, one = params.x, params.y, np.zeros_like(xx), np.ones_like(xx)
    rows = [xx, xy, -(xx * x + xy * y), yx, yy, -(yx * x + yy * y), none, none, one]
    return np.stack(rows, 1).reshape(-1, 3, 3).astype(np.float32)
