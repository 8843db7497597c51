"""Blur, sharpness and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.augment import noise
from mien.augment.params import BLUR, NOISE, SHARPNESS, Floats, Ints, column, stream, uniform
from mien.core.recipe import AugmentConfig


@dataclass(frozen=True)
class Filters:
    """What happens to n pictures, in this order. None: switched off."""

    blur: Floats | None  # deviation of the Gaussian in px; 0 leaves a picture as it is
    sharpness: Floats | None  # factor: 0 smooth, 1 as it is, 2 sharp
    noise: Floats | None  # deviation, fraction of the full range
    place: Ints | None  # of the noise, in its table


def draw(config: AugmentConfig, rng: np.random.Generator, n: int) -> Filters:
    """Filters of n pictures."""
    noisy = stream(rng, NOISE) if config.noise else None
    # Below 0 a picture would not be smoother but turned into the negative of its details.
    factor = uniform(stream(rng, SHARPNESS), n, config.sharpness, 1.0).clip(0) if config.sharpness else None
    return Filters(
        blur=(config.blur_pixels * stream(rng, BLUR).random(n)).astype(np.float32) if config.blur_pixels else None,
        sharpness=factor,
        noise=(config.noise * noisy.random(n)).astype(np.float32) if noisy else None,
        place=noise.places(noisy, n) if noisy else None,
    )


def apply(pictures: Tensor, params: Filters) -> Tensor:
    """Pictures (n, C, H, W), float, filtered."""
    out = pictures
    if params.blur is not None:
        out = blur(out, params.blur)
    if params.sharpness is not None:
        out = sharpen(out, column(params.sharpness, out))
    if params.noise is not None and params.place is not None:
        grain = noise.normal(params.place, out) * (255 * column(params.noise, out))
        out = (out + grain).clamp_(0, 255)
    return out


def blur(pictures: Tensor, sigma: Floats) -> Tensor:
    """Gaussian blur of each picture by its own deviation (n,) in px; beyond the border there is nothing to mix in.

    Two matrix products: at 48 px that is faster than a convolution with a kernel of each picture's own.
    """
    deviation = torch.from_numpy(sigma).to(pictures.device)
    down, across = (_gaussian(side, deviation) for side in pictures.shape[2:])
    return down @ pictures @ across.transpose(2, 3)


def _gaussian(side: int, sigma: Tensor) -> Tensor:
    """Matrices (n, 1, side, side) whose rows are Gaussians around the diagonal and sum to 1."""
    place = torch.arange(side, device=sigma.device)
    exponent = place.square() / (2 * sigma.square()).clamp_min(1e-4)[:, None]
    # Below a millionth nothing is left: farther out there are denormal numbers, which are thirty times as slow.
    kernel = F.threshold(torch.exp(-exponent.clamp_max(14)), 1e-6, 0)
    weight = kernel[:, (place[:, None] - place).abs()].unsqueeze(1)
    return weight / weight.sum(3, keepdim=True)


def sharpen(pictures: Tensor, factor: Tensor) -> Tensor:
    """Away from the smoothed picture (above 1) or towards it, as Pillow's `ImageEnhance.Sharpness`; 0–255.

    Smoothing is the 3×3 mean with the middle five times as heavy; pixels of the border stay as they are.
    """
    down, across = (_neighbours(side, str(pictures.device)) for side in pictures.shape[2:])
    smooth = (down @ (pictures @ across)).add_(pictures, alpha=4).div_(13)
    out = torch.lerp(smooth, pictures, factor).clamp_(0, 255)
    for edge in (0, -1):
        out[:, :, edge], out[..., edge] = pictures[:, :, edge], pictures[..., edge]
    return out


@lru_cache(maxsize=8)
def _neighbours(side: int, device: str) -> Tensor:
    """The matrix (side, side) that sums a value and those before and after it."""
    place = torch.arange(side, device=device)
    return ((place[:, None] - place).abs() <= 1).float()
