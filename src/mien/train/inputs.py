"""What the net is fed in a step: a part of a batch, augmented and at the size of the phase."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.augment import batched
from mien.augment.mix import Mixing
from mien.core.recipe import Recipe
from mien.train.batches import AUGMENT, Batch, generator


@dataclass(frozen=True)
class Inputs:
    """A part of a batch as it is fed.

    Attributes:
        pictures: float (n, C, h, w) in units of 0–255, channels last.
        rows: (n,) positions in the training set.
        mixing: what they are mixed with, where the recipe mixes; partners are positions in the whole batch.
    """

    pictures: Tensor
    rows: Tensor
    mixing: Mixing | None


def make_inputs(images: Tensor, batch: Batch, recipe: Recipe, *, size: int | None = None) -> Inputs:
    """The part of `batch` out of a training set (N, C, H, W); `size` is the shorter side in px of what is fed."""
    rng = generator(recipe.train.seed, AUGMENT, batch.position)
    height, width = images.shape[2:]
    config, crop = recipe.augment, recipe.data.crop
    params = batched.draw(config, rng, batch.indices, epoch=batch.epoch, size=(height, width), crop=crop)
    pictures = batched.feed(images, params, indices=batch.indices, part=batch.part, config=config, crop=crop)
    if size is not None:
        reduced = reduced_sides(pictures.shape[2], pictures.shape[3], size)
        pictures = F.interpolate(pictures, reduced, mode="bilinear", antialias=True)
    rows = torch.from_numpy(batch.indices[batch.part]).to(images.device)
    return Inputs(pictures.contiguous(memory_format=torch.channels_last), rows, params[batch.part].mixing)


def reduced_sides(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in px of pictures whose shorter side becomes `size`; the longer one keeps the proportion."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)
