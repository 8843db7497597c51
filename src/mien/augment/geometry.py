"""Flip, rotation, zoom, shift, shear, resized crop and perspective as one mapping a picture, so as one resampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.augment.params import (
    PERSPECTIVE,
    RESIZED_CROP,
    SHEAR,
    Bools,
    Floats,
    Ints,
    change_where,
    log_uniform,
    stream,
    uniform,
)
from mien.core.recipe import AugmentConfig

_GOLDEN = 0x9E3779B97F4A7C15
# Places a CPU resamples at a time, half a megabyte of them: the C library keeps so small a block, where it fetches a
# larger one from the system each time, page by page, and it stays in the core's cache.
_CACHED = 2**16


@dataclass(frozen=True)
class Geometry:
    """Where each of n pictures takes its pixels from. Arrays are (n,) unless it says otherwise; None: switched off."""

    flip: Bools
    rotation: Floats  # radians, anticlockwise
    zoom: Floats  # above 1 enlarges
    shift_x: Floats  # fraction of the picture's width; the content moves right
    shift_y: Floats
    crop_x: Ints  # px from the centre crop
    crop_y: Ints
    shear: Floats | None  # (n, 2): tangents, by which rows move sideways and columns up and down
    box: Floats | None  # (n, 4): width and height of the resized crop and its centre, in units of what is seen without
    tilt: Floats | None  # (n, 2): the picture turned away, in x and in y


def flips(mode: str, rng: np.random.Generator, indices: Ints, epoch: int) -> Bools:
    """`alternate` shows each picture flipped in every second epoch, starting by a hash of its index.

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds" (arXiv 2404.00498), section 3.6.
    """
    coins = rng.random(len(indices)) < 0.5
    if mode == "off":
        return np.zeros(len(indices), np.bool_)
    if mode == "random":
        return coins
    with np.errstate(over="ignore"):
        first = (indices.astype(np.uint64) * np.uint64(_GOLDEN)) >> np.uint64(63)
    flipped: Bools = (first + np.uint64(epoch)) % np.uint64(2) == 1
    return flipped


def draw(
    config: AugmentConfig,
    rng: np.random.Generator,
    indices: Ints,
    *,
    epoch: int,
    size: tuple[int, int],
    side: tuple[int, int],
) -> Geometry:
    """Geometry of the pictures at `indices`, of `size` (height, width) px, of which the net sees `side`."""
    n = len(indices)
    room = (size[0] - side[0], size[1] - side[1]) if config.random_crop else (0, 0)
    flip = flips(config.flip, rng, indices, epoch)
    rotation = uniform(rng, n, np.deg2rad(config.rotation_degrees))
    zoom = uniform(rng, n, config.zoom_fraction, 1.0)
    shift = [uniform(rng, n, config.shift_fraction) for _ in range(2)]
    # Uniforms scaled to whole pixels: a crop that is off consumes as many draws as one that is on.
    crop_yx = [np.floor(rng.random(n) * (r + 1)).astype(np.int64) - r // 2 for r in room]
    further = _shears(config, rng, n), _boxes(config, rng, n), _tilts(config, rng, n)
    return Geometry(flip, rotation, zoom, shift[0], shift[1], crop_yx[1], crop_yx[0], *further)


def _shears(config: AugmentConfig, rng: np.random.Generator, n: int) -> Floats | None:
    """One of the two tangents is 0, since both together are mostly a rotation."""
    if not config.shear_degrees:
        return None
    own = stream(rng, SHEAR)
    tangent = np.tan(uniform(own, n, np.deg2rad(config.shear_degrees)))
    sideways = own.random(n) < 0.5
    return np.stack([np.where(sideways, tangent, 0), np.where(sideways, 0, tangent)], 1).astype(np.float32)


def _boxes(config: AugmentConfig, rng: np.random.Generator, n: int) -> Floats | None:
    """Resized crops (Szegedy et al. 2015, arXiv 1409.4842, section 6).

    The area is uniform, the ratio of the sides log-uniform; a side that would not fit is cut to what there is.
    """
    if not config.resized_crop_fraction:
        return None
    own = stream(rng, RESIZED_CROP)
    area = 1 - config.resized_crop_fraction * own.random(n)
    ratio = log_uniform(own, n, config.resized_crop_stretch)
    width, height = np.sqrt(area * ratio).clip(max=1), np.sqrt(area / ratio).clip(max=1)
    x, y = ((1 - extent) / 2 * own.uniform(-1, 1, n) for extent in (width, height))
    return np.stack([width, height, x, y], 1).astype(np.float32)


def _tilts(config: AugmentConfig, rng: np.random.Generator, n: int) -> Floats | None:
    if not config.perspective:
        return None
    own = stream(rng, PERSPECTIVE)
    # Half in each direction, so that the denominator stays positive in every corner.
    return (config.perspective / 2 * own.uniform(-1, 1, (n, 2))).astype(np.float32)


def moves(config: AugmentConfig) -> bool:
    """Whether the recipe needs resampling (anything but flips and crops by whole pixels)."""
    linear = config.rotation_degrees or config.zoom_fraction or config.shift_fraction or config.shear_degrees
    return bool(linear or config.resized_crop_fraction or config.perspective)


def cut(pictures: Tensor, params: Geometry, side: tuple[int, int]) -> Tensor:
    """Crops by whole pixels and flips of pictures (n, C, H, W): float (n, C, *side), every pixel keeps its value."""
    height, width = pictures.shape[-2:]
    h, w = side
    top, left = (height - h) // 2 + params.crop_y, (width - w) // 2 + params.crop_x
    if (top == top[0]).all() and (left == left[0]).all():
        out = pictures[:, :, top[0] : top[0] + h, left[0] : left[0] + w]
    else:
        windows = pictures.unfold(2, h, 1).unfold(3, w, 1)
        which = torch.arange(len(pictures), device=pictures.device)
        down, right = (torch.from_numpy(at).to(pictures.device) for at in (top, left))
        out = windows[which, :, down, right]
    return change_where(out.to(torch.float32, copy=True), params.flip, lambda chosen: chosen.flip(3))


def mapping(params: Geometry, size: tuple[int, int], side: tuple[int, int], *, further: Floats | None = None) -> Floats:
    """Matrices (n, 3, 3) that send output positions to input positions, both −1…1 and homogeneous.

    Seen from the picture: the resized crop is cut out of it, then it is sheared and turned, then mirrored, then goes
    through `further` (n, 3, 3), affine mappings of a policy, then it is tilted: last, so that all of it stays in front.
    """
    (height, width), (h, w) = size, side
    cos, sin = np.cos(params.rotation) / params.zoom, np.sin(params.rotation) / params.zoom
    xx, xy, yx, yy = cos, -sin, sin, cos
    if params.shear is not None:
        a, b = params.shear.T
        xx, xy, yx, yy = cos - sin * b, cos * a - sin, sin + cos * b, sin * a + cos
    mirror = np.where(params.flip, -1.0, 1.0)
    # In px: input = box·R·S·mirror·output − shift + crop offset; scaled to −1…1 on either side.
    out = np.zeros((len(cos), 3, 3), np.float32)
    out[:, 0, 0], out[:, 0, 1] = mirror * xx * w / width, xy * h / width
    out[:, 1, 0], out[:, 1, 1] = mirror * yx * w / height, yy * h / height
    # The centre crop stands half a pixel before the middle where it leaves an odd number of pixels, as in `cut`.
    out[:, 0, 2] = 2 * ((params.crop_x - (width - w) % 2 / 2) / width - params.shift_x)
    out[:, 1, 2] = 2 * ((params.crop_y - (height - h) % 2 / 2) / height - params.shift_y)
    out[:, 2, 2] = 1
    if params.box is not None:
        out[:, :2, :2] *= params.box[:, :2, None]
        out[:, :2, 2] += 2 * params.box[:, 2:] * np.array([w / width, h / height], np.float32)
    if further is not None:
        out = out @ further
    if params.tilt is not None:
        # Output / (1 + tilt·output); the numerator takes the offset times the denominator.
        out[:, :2, :2] += out[:, :2, 2:] * params.tilt[:, None]
        out[:, 2, :2] = params.tilt
    return out


def resample(pictures: Tensor, matrices: Floats, side: tuple[int, int], *, padding: str) -> Tensor:
    """Pictures (n, C, H, W) through their mappings (n, 3, 3): float (n, C, *side), bilinear."""

    def part(rows: slice) -> Tensor:
        places = grid(matrices[rows], side, pictures.device)
        return F.grid_sample(pictures[rows].float(), places, padding_mode=padding, align_corners=False)

    n = len(pictures)
    at_once = max(1, _CACHED // (side[0] * side[1])) if pictures.device.type == "cpu" else n
    if n <= at_once:
        return part(slice(None))
    out = torch.empty(n, pictures.shape[1], *side)
    for start in range(0, n, at_once):
        out[start : start + at_once] = part(slice(start, start + at_once))
    return out


def grid(matrices: Floats, side: tuple[int, int], device: torch.device) -> Tensor:
    """Where mappings (n, 3, 3) send every pixel of `side`: x and y, −1…1, (n, *side, 2).

    All x of a picture come before all y: one product for the batch is eight times as fast as `F.affine_grid` on a CPU,
    to the same bits, and `F.grid_sample` reads such planes as fast as pairs.
    """
    theta, positions = torch.from_numpy(matrices).to(device), _positions(side, str(device))
    planes = (theta[:, :2].reshape(-1, 3) @ positions).view(-1, 2, *side)
    if matrices[:, 2, :2].any():
        planes = planes / (theta[:, 2] @ positions).view(-1, 1, *side)
    return planes.permute(0, 2, 3, 1)


@lru_cache(maxsize=8)
def _positions(side: tuple[int, int], device: str) -> Tensor:
    """x, y and 1 of every pixel's middle, −1…1 from border to border, (3, h·w)."""
    identity = torch.eye(2, 3, device=device).unsqueeze(0)
    places = F.affine_grid(identity, [1, 1, *side], align_corners=False).reshape(-1, 2)
    return torch.cat([places, torch.ones_like(places[:, :1])], 1).T.contiguous()
