"""Mixup and CutMix: two pictures become one, and the labels follow by the same shares.

A partner is any picture of the global batch. `needed` and `within` let a process that takes a part of the batch
prepare the partners that lie outside of it, so that several processes make the pictures of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.augment.erase import inside
from mien.augment.params import MIX, Floats, Ints, column, stream
from mien.core.recipe import AugmentConfig


@dataclass(frozen=True)
class Mixing:
    """What each of n pictures is mixed with.

    Attributes:
        partner: (n,) positions in the global batch; a picture that is not mixed is its own partner.
        weight: (n,) share of the picture's own label; the partner's label has the rest.
        blend: (n,) share of the picture's own values in every pixel: Mixup. 1 with CutMix.
        box: (n, 4) top, left, bottom, right of what shows the partner: CutMix. Empty with Mixup.
    """

    partner: Ints
    weight: Floats
    blend: Floats
    box: Ints

    def needed(self, part: slice) -> Ints:
        """Positions in the global batch to prepare for `part`: its own, then partners that lie outside of it."""
        own = np.arange(len(self.partner))[part]
        return np.concatenate([own, np.setdiff1d(self.partner[part], own)])

    def within(self, part: slice) -> Mixing:
        """The mixing of `part`, with partners as positions in `needed(part)`."""
        needed = self.needed(part)
        place = np.zeros(len(self.partner), np.int64)
        place[needed] = np.arange(len(needed))
        return Mixing(place[self.partner[part]], self.weight[part], self.blend[part], self.box[part])


def draw(config: AugmentConfig, rng: np.random.Generator, n: int, side: tuple[int, int]) -> Mixing | None:
    """Mixing of n pictures of `side` (height, width) px; None where the recipe mixes nothing.

    With both on, each mixed picture takes one of them by even chances.

    Source: Mixup, Zhang et al. 2018 (arXiv 1710.09412, section 2): λ ~ Beta(α, α). CutMix, Yun et al. 2019
    (arXiv 1905.04899, equations 1 and 2): the box has √(1 − λ) of each side and its centre anywhere; λ becomes the
    share of pixels that stay, as in the authors' code, where the border cuts the box. Here λ and partner are each
    picture's own, where the authors' code draws one λ a batch.
    """
    if not (config.mixup_alpha or config.cutmix_alpha):
        return None
    own = stream(rng, MIX)
    on = own.random(n) < config.mix_probability
    cuts = own.random(n) < (0.5 if config.mixup_alpha and config.cutmix_alpha else float(config.cutmix_alpha > 0))
    shares = [own.beta(alpha or 1, alpha or 1, n) for alpha in (config.mixup_alpha, config.cutmix_alpha)]
    partner = np.where(on, own.permutation(n), np.arange(n))
    box = np.where((on & cuts)[:, None], _boxes(own, shares[1], side), 0)
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    blend = np.where(on & ~cuts, shares[0], 1).astype(np.float32)
    weight = np.where(cuts, 1 - area / (side[0] * side[1]), blend).astype(np.float32)
    return Mixing(partner, weight, blend, box)


def _boxes(rng: np.random.Generator, share: np.ndarray, side: tuple[int, int]) -> Ints:
    centre = rng.integers(0, side, (len(share), 2))
    extent = (np.sqrt(1 - share)[:, None] * side).astype(np.int64)
    top_left = centre - extent // 2
    return np.concatenate([top_left.clip(0), (top_left + extent).clip(max=side)], axis=1)


def apply(pictures: Tensor, mixing: Mixing) -> Tensor:
    """The first n of `pictures` (m, C, H, W), float, mixed with their partners, which are positions in `pictures`.

    A picture with weight 1 keeps every bit.
    """
    n = len(mixing.partner)
    own = pictures[:n]
    other = pictures.index_select(0, torch.from_numpy(mixing.partner).to(pictures.device))
    out = torch.lerp(other, own, column(mixing.blend, own)) if (mixing.blend < 1).any() else own
    if not mixing.box.any():
        return out
    return torch.where(inside(mixing.box, own), other, out)
