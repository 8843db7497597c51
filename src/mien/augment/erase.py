"""Cutout, Random Erasing, Hide-and-Seek and GridMask: parts of a picture are hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.augment import noise
from mien.augment.params import GRID, HIDE, RANDOM_ERASING, Bools, Floats, Ints, change_where, column, stream, take
from mien.core.recipe import AugmentConfig

# Patches in a row and a column of which one draw hides some; 0: none. The authors' code of Hide-and-Seek takes patches
# of 0, 16, 32, 44 or 56 of 224 px by equal chances.
CELLS = np.array([0, 14, 7, 5, 4])
_TRIES, _ROUNDS = 8, 50  # boxes drawn at once for a picture, and how often before it is left as it is


@dataclass(frozen=True)
class Grid:
    """GridMask of n pictures, all (n,)."""

    unit: Floats  # side of a unit in px; 0 leaves a picture as it is
    offset_x: Floats  # px
    offset_y: Floats
    rotation: Floats  # radians


@dataclass(frozen=True)
class Erase:
    """What is hidden of n pictures, in this order. Boxes (n, 4) are top, left, bottom, right, empty if bottom ≤ top."""

    square: Ints  # Cutout, filled with the picture's mean
    box: Ints | None  # Random Erasing
    place: Ints | None  # of its noise
    cells: Ints | None  # Hide-and-Seek: patches in a row, 0 for none
    hidden: Bools | None  # (n, 14, 14), of which the first `cells` rows and columns count
    grid: Grid | None


def draw(config: AugmentConfig, rng: np.random.Generator, n: int, *, epoch: int, side: tuple[int, int]) -> Erase:
    """What is hidden of n pictures of `side` (height, width) px in epoch `epoch`, counted from 0."""
    square = _squares(rng, n, side, config.erase_pixels, config.erase_probability)
    box = place = cells = hidden = None
    if config.random_erasing_probability:
        own = stream(rng, RANDOM_ERASING)
        box = np.where((own.random(n) < config.random_erasing_probability)[:, None], _boxes(config, own, n, side), 0)
        place = noise.places(own, n)
    if config.hide_probability:
        own = stream(rng, HIDE)
        cells = own.choice(CELLS, n)
        hidden = own.random((n, CELLS.max(), CELLS.max()), np.float32) < config.hide_probability
    return Erase(square, box, place, cells, hidden, _grid(config, rng, n, epoch=epoch, side=min(side)))


def _squares(rng: np.random.Generator, n: int, side: tuple[int, int], pixels: int, probability: float) -> Ints:
    """One square a picture with its centre anywhere, cut at the border (Cutout, arXiv 1708.04552, section 3.2)."""
    centre = rng.integers(0, side, (n, 2))
    on = rng.random(n) < probability
    top_left = centre - pixels // 2
    boxes = np.concatenate([top_left.clip(0), (top_left + pixels).clip(max=side)], axis=1)
    return np.where(on[:, None], boxes, 0)


def _boxes(config: AugmentConfig, rng: np.random.Generator, n: int, side: tuple[int, int]) -> Ints:
    """Boxes (n, 4) of Random Erasing (arXiv 1708.04896, algorithm 1): drawn again until they lie inside the picture."""
    low, high = config.random_erasing_area
    flat = config.random_erasing_aspect
    boxes, waiting = np.zeros((n, 4), np.int64), np.arange(n)
    for _ in range(_ROUNDS):
        tries = (len(waiting), _TRIES)
        area, ratio = rng.uniform(low, high, tries) * side[0] * side[1], rng.uniform(flat, 1 / flat, tries)
        extent = np.stack([np.sqrt(area * ratio), np.sqrt(area / ratio)], 2).round().astype(np.int64).clip(1)
        corner = rng.integers(0, side, (*tries, 2))
        fits = (corner + extent <= side).all(2)
        first = np.arange(len(waiting)), fits.argmax(1)
        found = np.concatenate([corner[first], (corner + extent)[first]], 1)
        boxes[waiting] = np.where(fits.any(1)[:, None], found, 0)
        waiting = waiting[~fits.any(1)]
        if not len(waiting):
            break
    return boxes


def _grid(config: AugmentConfig, rng: np.random.Generator, n: int, *, epoch: int, side: int) -> Grid | None:
    """GridMask (arXiv 2001.04086, section 3): units of d px, moved by up to d px; the chance grows over epochs."""
    if not config.grid_mask_probability:
        return None
    own = stream(rng, GRID)
    ramp = min(1.0, epoch / config.grid_mask_ramp_epochs) if config.grid_mask_ramp_epochs else 1.0
    on = own.random(n) < config.grid_mask_probability * ramp
    low, high = config.grid_mask_unit
    unit = np.where(on, own.uniform(low, high, n) * side, 0)
    x, y, angle = own.random(n) * unit, own.random(n) * unit, own.random(n) * 2 * np.pi
    rotation = angle if config.grid_mask_rotation else np.zeros(n)
    return Grid(*(values.astype(np.float32) for values in (unit, x, y, rotation)))


def apply_(pictures: Tensor, params: Erase, config: AugmentConfig) -> Tensor:
    """Pictures (n, C, H, W), float and contiguous, with parts hidden, which may happen in place.

    A picture of which nothing is hidden keeps every bit.
    """
    out = pictures
    if config.erase_pixels:
        _cut_out(out, params.square, config.erase_pixels)
    if params.box is not None and params.place is not None:
        change = _erased_with_noise if config.random_erasing_fill == "noise" else _erased_with_mean
        out = change_where(out, params.box[:, 2] > params.box[:, 0], change, params.box, params.place)
    if params.cells is not None and params.hidden is not None:
        out = change_where(out, params.cells > 0, _patched, params.cells, params.hidden)
    if params.grid is not None:
        seen, keep = take(params.grid, np.flatnonzero(params.grid.unit)), config.grid_mask_keep
        out = change_where(out, params.grid.unit > 0, lambda chosen: _filled(chosen, _unseen(seen, keep, chosen)))
    return out


def _erased_with_noise(pictures: Tensor, boxes: Ints, place: Ints) -> Tensor:
    return _filled(pictures, inside(boxes, pictures), noise.even(place, pictures) * 255)


def _erased_with_mean(pictures: Tensor, boxes: Ints, _: Ints) -> Tensor:
    return _filled(pictures, inside(boxes, pictures))


def _cut_out(pictures: Tensor, boxes: Ints, pixels: int) -> None:
    """Fill boxes of at most `pixels` a side with their picture's mean: only what lies in them is touched."""
    _, channels, height, width = pictures.shape
    which = np.flatnonzero(boxes[:, 2] > boxes[:, 0])
    first, last = boxes[which, :2, None], boxes[which, 2:, None] - 1
    # Rows and columns (m, 2, pixels); a box that the border cuts names its last ones more than once.
    reach = np.minimum(first + np.arange(pixels), last)
    offset = reach[:, :1, :, None] * width + reach[:, 1:, None, :]
    places = (which[:, None] * channels + np.arange(channels))[..., None, None] * (height * width) + offset
    means = pictures.mean((1, 2, 3)).index_select(0, torch.from_numpy(which).to(pictures.device))
    pictures.view(-1)[torch.from_numpy(places).to(pictures.device)] = means.view(-1, 1, 1, 1)


def _filled(pictures: Tensor, where: Tensor, fill: Tensor | None = None) -> Tensor:
    """Pictures with `fill` (their own mean if not given) where `where` (n, 1, H, W) is true."""
    return torch.where(where, pictures.mean((1, 2, 3), keepdim=True) if fill is None else fill, pictures)


def inside(boxes: Ints, like: Tensor) -> Tensor:
    """Which pixels (n, 1, H, W) lie in the boxes (n, 4) of top, left, bottom, right."""
    box = torch.from_numpy(boxes).to(like.device)
    rows = torch.arange(like.shape[2], device=like.device)
    columns = torch.arange(like.shape[3], device=like.device)
    in_rows = (rows >= box[:, :1]) & (rows < box[:, 2:3])
    in_columns = (columns >= box[:, 1:2]) & (columns < box[:, 3:4])
    return (in_rows[:, :, None] & in_columns[:, None, :]).unsqueeze(1)


def _patched(pictures: Tensor, cells: Ints, hidden: Bools) -> Tensor:
    """Pictures without the hidden ones of their `cells` × `cells` patches."""
    number, chosen = (torch.from_numpy(values).to(pictures.device) for values in (cells, hidden))
    row, col = (torch.arange(k, device=pictures.device) * number[:, None] // k for k in pictures.shape[2:])
    rows = chosen.gather(1, row[:, :, None].expand(-1, -1, chosen.shape[2]))
    return _filled(pictures, rows.gather(2, col[:, None, :].expand(-1, row.shape[1], -1)).unsqueeze(1))


def _unseen(grid: Grid, keep: float, like: Tensor) -> Tensor:
    """Which pixels (n, 1, H, W) GridMask hides: those beyond the first part `keep` of a unit, across and down."""
    y, x = (torch.arange(k, device=like.device) - (k - 1) / 2 for k in like.shape[2:])
    values = (grid.unit, grid.offset_x, grid.offset_y, np.cos(grid.rotation), np.sin(grid.rotation))
    unit, offset_x, offset_y, cos, sin = (column(v, like) for v in values)
    across = (x * (cos / unit)).add(y[:, None] * (sin / unit)).add_(offset_x / unit)
    down = (y[:, None] * (cos / unit)).sub(x * (sin / unit)).add_(offset_y / unit)
    return (_part(across) >= keep) & (_part(down) >= keep)


def _part(values: Tensor) -> Tensor:
    """How far into its unit a value lies, 0 to 1. (`%` does the same, slowly.)"""
    return values - values.floor()
