"""What the families of augmentation share: generators of their own, and parameters that can be cut like arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Which pictures of a batch, by position.
Part = slice | Ints
T = TypeVar("T")

# Streams of `stream`: one a change, so that switching one on leaves the draws of all others as they were.
SHEAR, RESIZED_CROP, PERSPECTIVE, WATERMARK, AUTO, RAND, GAMMA, EQUALISE, POSTERISE, SOLARISE = range(10)
BLUR, SHARPNESS, NOISE, RANDOM_ERASING, HIDE, GRID, MIX = range(10, 17)


def stream(rng: np.random.Generator, number: int) -> np.random.Generator:
    """A generator of its own, by the seed of `rng` and the number: it neither moves `rng` nor depends on its draws."""
    seed = rng.bit_generator.seed_seq
    if not isinstance(seed, np.random.SeedSequence):
        raise TypeError("augmentation needs a generator made by numpy.random.default_rng")
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number)))


def uniform(rng: np.random.Generator, n: int, extent: float, centre: float = 0.0) -> Floats:
    """(n,) float32, uniform within `extent` around `centre`."""
    return (centre + extent * rng.uniform(-1, 1, n)).astype(np.float32)


def log_uniform(rng: np.random.Generator, n: int, extent: float) -> Floats:
    """(n,) float32 factors from 1/(1 + extent) to 1 + extent, as often below 1 as above."""
    return np.exp(math.log1p(extent) * rng.uniform(-1, 1, n)).astype(np.float32)


def take(params: T, part: Part) -> T:
    """The parameters of some pictures: every array of a dataclass cut along its first axis; None stays None."""
    if params is None:
        return params
    if isinstance(params, np.ndarray):
        return params[part]  # type: ignore[return-value]
    cut: dict[str, Any] = {f.name: take(getattr(params, f.name), part) for f in fields(params)}  # type: ignore[arg-type]
    return replace(params, **cut)  # type: ignore[type-var]


def change_where(pictures: Tensor, which: Bools, change: Callable[..., Tensor], *values: NDArray[Any]) -> Tensor:
    """Pictures (n, C, H, W) with those of `which` (n,) put through `change`, which gets their rows of `values` as well.

    The others keep every bit.
    """
    chosen = np.flatnonzero(which)
    if not len(chosen):
        return pictures
    rows = torch.from_numpy(chosen).to(pictures.device)
    changed = change(pictures.index_select(0, rows), *(v[chosen] for v in values))
    return pictures.index_copy(0, rows, changed)


def truth(values: Bools, like: Tensor) -> Tensor:
    """Values (n,) as (n, 1, 1, 1) on the device of `like`."""
    return torch.from_numpy(values).to(like.device).view(-1, 1, 1, 1)


def column(values: NDArray[Any], like: Tensor) -> Tensor:
    """Values (n,) as float32 (n, 1, 1, 1) on the device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device, torch.float32).view(-1, 1, 1, 1)
