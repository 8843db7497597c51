"""Pixels 0–255 to the net's input, as a module that training, evaluation and the exported graph share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.core import spec
from mien.core.errors import MienError

LEVELS = 256


class Normalise(nn.Module):
    """Pictures (N, C, H, W), uint8 or float in units of 0–255, to float32 of the same shape.

    See `core.spec.Normalise` for the kinds. Nothing is stored with the weights: the spec holds the figures.

    Raises:
        MienError: kind "dataset" without one mean and one positive deviation per channel.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, how: spec.Normalise, channels: int) -> None:
        super().__init__()
        self.kind = how.kind
        scale, shift = _affine(how, channels)
        self.register_buffer("scale", torch.tensor(scale).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, -1, 1, 1), persistent=False)
        self.per_picture: Callable[[Tensor], Tensor] | None = _PER_PICTURE.get(how.kind)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * self.scale + self.shift if self.per_picture is None else self.per_picture(x)

    def extra_repr(self) -> str:
        return f"kind={self.kind!r}"


def _affine(how: spec.Normalise, channels: int) -> tuple[list[float], list[float]]:
    """Scale and shift per channel of the kinds that are one multiply-add per pixel."""
    if how.kind == "symmetric":
        return [1 / 127.5], [-1.0]
    if how.kind != "dataset":
        return [1 / 255], [0.0]
    lengths_fit = len(how.mean) == len(how.std) and len(how.mean) in (1, channels)
    if not lengths_fit or min(how.std) <= 0:
        raise MienError(
            f"normalisation by the data set needs mean and positive std for {channels} channel(s), "
            f"got mean {how.mean} and std {how.std}",
            hint="measure them on the training pictures, in units of 0–1, or take another kind",
        )
    scale = [1 / (255 * s) for s in how.std]
    return scale, [-m / s for m, s in zip(how.mean, how.std, strict=True)]


def standardise(x: Tensor) -> Tensor:
    """Each picture (C, H, W) to mean 0 and population deviation 1.

    The deviation counts as at least 1/√(pixels), as in TensorFlow's `per_image_standardization`: the least
    that whole grey levels can have unless all are equal, so a constant picture gives zeros.
    """
    centred = x - x.mean((1, 2, 3), keepdim=True)
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp_min(1 / math.sqrt(x[0].numel()))


def equalise(x: Tensor) -> Tensor:
    """Each channel of each picture with its histogram equalised, to −1…1; values count as whole levels.

    With cdf(v) pixels at or below level v, n in all and m at the lowest level present: (cdf(v) − m)/(n − m),
    which is OpenCV's `equalizeHist` before it rounds; a constant picture gives −1.
    """
    levels = x.round().clamp(0, LEVELS - 1).flatten(2).long()
    counts = torch.zeros(*levels.shape[:2], LEVELS, device=x.device)
    below = counts.scatter_add(2, levels, torch.ones_like(levels, dtype=counts.dtype)).cumsum(2)
    lowest = below.gather(2, levels.amin(2, keepdim=True))
    rank = (below.gather(2, levels) - lowest) / (levels.shape[2] - lowest).clamp_min(1)
    return (rank * 2 - 1).view_as(x)


_PER_PICTURE: dict[str, Callable[[Tensor], Tensor]] = {"picture": standardise, "equalise": equalise}
