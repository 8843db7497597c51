"""Pictures changed by a known amount: turned, moved, enlarged, blurred, with noise, hidden in part, as JPEG.

Where training has the same change, its own deterministic part of it (`augment`) is used. What is uncovered by a turn or
a move mirrors the picture, as in training.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.augment import filters, geometry, noise
from mien.augment.filters import Filters
from mien.augment.geometry import Geometry

Pixels = NDArray[np.uint8]
_SEED = 0


@dataclass(frozen=True)
class Change:
    """One way to change pictures.

    Attributes:
        unit: of its levels.
        levels: from none to much (JPEG: quality, so downwards); the first leaves pictures as they are, or nearly.
        apply: pictures uint8 (N, H, W) or (N, H, W, 3) and a level to pictures of the same shape.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    apply: Callable[[Pixels, float], Pixels]


def _in_torch(change: Callable[[Tensor], Tensor], images: Pixels) -> Pixels:
    """A change of float pictures (N, C, H, W) in 0–255 applied to uint8 ones, rounded."""
    batch = torch.from_numpy(np.array(images)).float()
    batch = batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    done = change(batch.contiguous()).round().clamp(0, 255).to(torch.uint8)
    out = done.squeeze(1) if images.ndim == 3 else done.permute(0, 2, 3, 1)
    return np.ascontiguousarray(out.numpy())


def _moved(images: Pixels, *, rotation: float = 0.0, zoom: float = 1.0, shift: float = 0.0) -> Pixels:
    """Turned by ± `rotation` degrees and shifted by ± `shift` of a side, the sign alternating from one to the next."""
    n, side = len(images), (images.shape[1], images.shape[2])
    sign = np.where(np.arange(n) % 2, -1.0, 1.0).astype(np.float32)
    none, still = np.zeros(n, np.int64), np.zeros(n, np.float32)
    params = Geometry(
        flip=np.zeros(n, np.bool_),
        rotation=np.deg2rad(rotation * sign).astype(np.float32),
        zoom=np.full(n, zoom, np.float32),
        shift_x=shift * sign,
        shift_y=still,
        crop_x=none,
        crop_y=none,
        shear=None,
        box=None,
        tilt=None,
    )
    matrices = geometry.mapping(params, side, side)
    return _in_torch(lambda batch: geometry.resample(batch, matrices, side, padding="reflection"), images)


def rotate(images: Pixels, degrees: float) -> Pixels:
    """Turned by `degrees`, every second picture clockwise."""
    return _moved(images, rotation=degrees) if degrees else images


def shift(images: Pixels, fraction: float) -> Pixels:
    """Moved sideways by a fraction of the width, every second picture to the left."""
    return _moved(images, shift=fraction) if fraction else images


def scale(images: Pixels, factor: float) -> Pixels:
    """Enlarged around the centre; below 1 made smaller, the border mirrored."""
    return images if factor == 1 else _moved(images, zoom=factor)


def blur(images: Pixels, pixels: float) -> Pixels:
    """Gaussian blur of a deviation in px."""
    sigma = np.full(len(images), pixels, np.float32)
    return _in_torch(lambda batch: filters.blur(batch, sigma), images) if pixels else images


def add_noise(images: Pixels, levels: float) -> Pixels:
    """Normal noise of a deviation in grey levels, the same at every call."""
    place = noise.places(np.random.default_rng(_SEED), len(images))
    deviation = np.full(len(images), levels / 255, np.float32)
    grain = Filters(blur=None, sharpness=None, noise=deviation, place=place)
    return _in_torch(lambda batch: filters.apply(batch, grain), images) if levels else images


def occlude(images: Pixels, fraction: float) -> Pixels:
    """A square of `fraction` of the side, wholly inside at a place of its own, filled with the picture's mean."""
    height, width = images.shape[1:3]
    side = round(fraction * min(height, width))
    rng, out = np.random.default_rng(_SEED), images.copy()
    corners = (rng.random((len(images), 2)) * [height - side + 1, width - side + 1]).astype(np.int64)
    if side:
        for picture, (top, left) in zip(out, corners, strict=True):
            picture[top : top + side, left : left + side] = picture.mean((0, 1)).round()
    return out


def jpeg(images: Pixels, quality: float) -> Pixels:
    """Written as JPEG of a quality (1–95) and read again."""
    out = np.empty_like(images)
    for place, picture in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="JPEG", quality=int(quality))
        out[place] = np.asarray(Image.open(file))
    return out


CHANGES = (
    Change("rotation", "degrees", (0, 10, 20, 30, 45), rotate),
    Change("shift", "of the width", (0, 0.05, 0.1, 0.2, 0.3), shift),
    Change("enlarged", "times", (1, 1.1, 1.25, 1.5, 2), scale),
    Change("made smaller", "times", (1, 0.9, 0.8, 0.65, 0.5), scale),
    Change("blur", "px deviation", (0, 0.5, 1, 2, 3), blur),
    Change("noise", "grey levels deviation", (0, 5, 10, 20, 40), add_noise),
    Change("occlusion", "of the side", (0, 0.15, 0.3, 0.45, 0.6), occlude),
    Change("JPEG", "quality", (95, 60, 30, 15, 5), jpeg),
)


@dataclass(frozen=True)
class Curve:
    """Right answers (levels,) among `count` pictures at each level of a change."""

    change: Change
    count: int
    hits: tuple[int, ...]

    @property
    def accuracy(self) -> tuple[float, ...]:
        """Shares of right answers (levels,)."""
        return tuple(hits / self.count for hits in self.hits)

    def tolerates(self, loss: float = 0.05) -> float | None:
        """The level where accuracy has fallen by `loss` (a share), by a straight line between levels; None: never."""
        floor, steps = self.accuracy[0] - loss, list(zip(self.change.levels, self.accuracy, strict=True))
        for (a, high), (b, low) in pairwise(steps):
            if low < floor:
                return a + (b - a) * (high - floor) / (high - low)
        return None


def curve(
    change: Change, images: Pixels, ids: NDArray[np.integer], ask: Callable[[Pixels], NDArray[np.floating]]
) -> Curve:
    """The same pictures at every level of a change. `ask` gives probabilities (N, K) for uint8 pictures."""
    hits = tuple(int((ask(change.apply(images, level)).argmax(1) == ids).sum()) for level in change.levels)
    return Curve(change, len(images), hits)
