"""Brightness, contrast, gamma, histogram equalisation, posterise and solarise.

The curves work on pictures (n, C, H, W) and, for policies, on tables of 256 levels shaped as pictures of one column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.augment.params import (
    EQUALISE,
    GAMMA,
    POSTERISE,
    SOLARISE,
    Bools,
    Floats,
    change_where,
    column,
    log_uniform,
    stream,
    uniform,
)
from mien.core.recipe import AugmentConfig

LEVELS = 256
WHITE = LEVELS - 1


@dataclass(frozen=True)
class Colour:
    """What happens to the values of n pictures, in this order. None: switched off."""

    equalise: Bools | None
    gamma: Floats | None  # exponent of values in units of the full range; above 1 darkens
    contrast: Floats  # factor around the picture's mean
    brightness: Floats  # added, fraction of the full range
    posterise: Bools | None
    solarise: Bools | None


def draw(config: AugmentConfig, rng: np.random.Generator, n: int) -> Colour:
    """Colour of n pictures."""

    def coins(probability: float, number: int) -> Bools | None:
        return stream(rng, number).random(n) < probability if probability else None

    contrast, brightness = uniform(rng, n, config.contrast, 1.0), uniform(rng, n, config.brightness)
    return Colour(
        equalise=coins(config.equalise_probability, EQUALISE),
        gamma=log_uniform(stream(rng, GAMMA), n, config.gamma) if config.gamma else None,
        contrast=contrast,
        brightness=brightness,
        posterise=coins(config.posterise_probability, POSTERISE),
        solarise=coins(config.solarise_probability, SOLARISE),
    )


def apply_(pictures: Tensor, params: Colour, config: AugmentConfig) -> Tensor:
    """Pictures (n, C, H, W), float, with their colours changed, which may happen in place.

    What draws nothing keeps every bit.
    """
    out = pictures
    if params.equalise is not None:
        out = change_where(out, params.equalise, equalise)
    if params.gamma is not None:
        out = (out / WHITE).pow(column(params.gamma, out)) * WHITE
    if config.contrast or config.brightness:
        mean = out.mean((1, 2, 3), keepdim=True)
        factor, offset = column(params.contrast, out), column(255 * params.brightness, out)
        out = out.sub_(mean).mul_(factor).add_(mean).add_(offset).clamp_(0, 255)
    if params.posterise is not None:
        step = 2.0 ** (8 - config.posterise_bits)
        out = change_where(out, params.posterise, lambda chosen: posterise(chosen, step))
    if params.solarise is not None:
        threshold = config.solarise_threshold * WHITE
        out = change_where(out, params.solarise, lambda chosen: solarise(chosen, threshold))
    return out


def equalise(pictures: Tensor) -> Tensor:
    """Each channel of each picture with its histogram equalised; values count as whole levels."""
    levels = whole_levels(pictures)
    return look_up(levels, equalising(histogram(levels)))


def posterise(values: Tensor, step: Tensor | float) -> Tensor:
    """Values down to the next multiple of `step`: with a step of 2^k the k lowest bits of a level are dropped."""
    return (values / step).floor() * step


def solarise(values: Tensor, threshold: Tensor | float) -> Tensor:
    """Values at or above the threshold turned into their negative."""
    return torch.where(values >= threshold, WHITE - values, values)


def histogram(levels: Tensor) -> Tensor:
    """How many pixels (n, C, 256) of pictures (n, C, H, W) of whole levels, int64, have each level."""
    flat = levels.flatten(2)
    ones = torch.ones(1, device=levels.device).expand_as(flat)
    return torch.zeros(*flat.shape[:2], LEVELS, device=levels.device).scatter_add_(2, flat, ones)


def whole_levels(pictures: Tensor) -> Tensor:
    """Pictures as whole levels 0–255, int64."""
    return pictures.round().clamp_(0, WHITE).long()


def equalising(counts: Tensor) -> Tensor:
    """The table (n, C, 256) that equalises histograms (n, C, 256), as Pillow's `ImageOps.equalize` makes it.

    With a step of 1/255 of all pixels but those of the highest level that occurs, level v becomes the number of whole
    steps below it, rounded. A channel of one level, or of too few pixels for a step, stays as it is.
    """
    place = torch.arange(LEVELS, device=counts.device)
    highest = torch.where(counts > 0, place, -1).amax(2, keepdim=True)
    rest = counts.sum(2, keepdim=True) - counts.gather(2, highest.clamp_min(0))
    step = (rest / WHITE).floor()
    below = counts.cumsum(2) - counts
    table = (((step / 2).floor() + below) / step.clamp_min(1)).floor().clamp_max(WHITE)
    return torch.where(step > 0, table, place.to(table.dtype))


def look_up(levels: Tensor, tables: Tensor) -> Tensor:
    """Values (n, C, H, W) of whole levels, int64, in tables (n, C, 256)."""
    return tables.gather(2, levels.flatten(2)).view(levels.shape)
