"""Augmentation of a whole batch at once: parameters are drawn for each picture first, then applied.

`draw` uses a numpy generator and touches no picture; `apply` is deterministic, so a batch can be replayed, split
over processes, or shown on a sheet, with the same result. All geometry is one resampling pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.augment import colour, erase, filters, geometry, mix, overlay, policy
from mien.augment.params import Floats, Ints, Part, take
from mien.core.recipe import AugmentConfig


@dataclass(frozen=True)
class Params:
    """What happens to each of n pictures, in this order. None: the recipe switches that family off."""

    geometry: geometry.Geometry
    overlay: overlay.Overlay | None
    policy: policy.Policy | None
    colour: colour.Colour
    filters: filters.Filters
    erase: erase.Erase
    mixing: mix.Mixing | None  # not part of `apply`; partners are positions in the batch as it was drawn

    def __len__(self) -> int:
        return len(self.geometry.flip)

    def __getitem__(self, part: Part) -> Params:
        return take(self, part)


def draw(
    config: AugmentConfig,
    rng: np.random.Generator,
    indices: Ints,
    *,
    epoch: int,
    size: tuple[int, int],
    crop: int | None = None,
) -> Params:
    """Parameters for the pictures at `indices` of the training set.

    Args:
        config: strengths; zero switches a change off without disturbing the draws of the others.
        rng: the generator of this step.
        indices: (n,), positions in the training set; alternating flips depend on them.
        epoch: counted from 0.
        size: height and width of the pictures in px.
        crop: side in px of what the net sees.
    """
    n, side = len(indices), (crop, crop) if crop else size
    # The oldest changes share `rng`, in this order; every other one has a stream of its own.
    moved = geometry.draw(config, rng, indices, epoch=epoch, size=size, side=side)
    coloured = colour.draw(config, rng, n)
    return Params(
        geometry=moved,
        overlay=overlay.draw(config, rng, n),
        policy=policy.draw(config, rng, n),
        colour=coloured,
        filters=filters.draw(config, rng, n),
        erase=erase.draw(config, rng, n, epoch=epoch, side=side),
        mixing=mix.draw(config, rng, n, side),
    )


def apply(pictures: Tensor, params: Params, config: AugmentConfig, *, crop: int | None = None) -> Tensor:
    """Pictures (n, C, H, W), uint8 or float in units of 0–255, changed as `params` say: float (n, C, crop, crop).

    Mixup and CutMix need the whole batch: see `feed`.
    """
    size = (pictures.shape[2], pictures.shape[3])
    # From here on these are pictures of our own, which the families may change in place.
    out = _placed(pictures, params, config, (crop, crop) if crop else size).contiguous()
    if params.overlay is not None:
        out = overlay.apply(out, params.overlay)
    if params.policy is not None:
        out = policy.apply(out, params.policy)
    out = colour.apply_(out, params.colour, config)
    out = filters.apply(out, params.filters)
    return erase.apply_(out, params.erase, config)


def feed(
    images: Tensor, params: Params, *, indices: Ints, part: slice, config: AugmentConfig, crop: int | None = None
) -> Tensor:
    """What the net is fed of `part` of a batch: float (n, C, crop, crop), with Mixup and CutMix.

    Args:
        images: the training set (N, C, H, W).
        params: as drawn for the whole batch.
        indices: positions of the whole batch in the training set.
        part: of the batch; a process that takes a part prepares partners from outside of it as well.
        config: as they were drawn by.
        crop: side in px of what the net sees.
    """
    mixing = params.mixing
    needed: Part = part if mixing is None else mixing.needed(part)
    rows = torch.from_numpy(indices[needed]).to(images.device)
    out = apply(images.index_select(0, rows), params[needed], config, crop=crop)
    return out if mixing is None else mix.apply(out, mixing.within(part))


def _placed(pictures: Tensor, params: Params, config: AugmentConfig, side: tuple[int, int]) -> Tensor:
    """Crop, flip and all other geometry, a policy's too; without resampling where a picture only flips and crops."""
    further = params.policy.geometry(side) if params.policy is not None else None
    if geometry.moves(config):
        return geometry.resample(pictures, _mapping(pictures, params, side, further), side, padding=config.padding)
    out = geometry.cut(pictures, params.geometry, side)
    if further is None:
        return out
    moved = np.flatnonzero((further != np.eye(3)).any((1, 2)))
    rows = torch.from_numpy(moved).to(pictures.device)
    matrices = _mapping(pictures, params[moved], side, further[moved])
    return out.index_copy(0, rows, geometry.resample(pictures[rows], matrices, side, padding=config.padding))


def _mapping(pictures: Tensor, params: Params, side: tuple[int, int], further: Floats | None) -> Floats:
    return geometry.mapping(params.geometry, (pictures.shape[2], pictures.shape[3]), side, further=further)
