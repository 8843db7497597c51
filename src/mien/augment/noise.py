"""Noise that can be replayed on any device: each picture reads a stretch of one fixed table from a place of its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from mien.augment.params import Ints

PLACES = 1 << 18
_SEED = 48


@lru_cache(maxsize=8)
def _table(kind: str, length: int, device: str) -> Tensor:
    rng = np.random.default_rng(_SEED)
    values = rng.standard_normal(length, np.float32) if kind == "normal" else rng.random(length, np.float32)
    return torch.from_numpy(values).to(device)


def places(rng: np.random.Generator, n: int) -> Ints:
    """Where n pictures begin to read, (n,)."""
    return rng.integers(0, PLACES, n)


def normal(start: Ints, like: Tensor) -> Tensor:
    """Standard normal values of the shape of `like` (n, C, H, W) from places (n,)."""
    return _read("normal", start, like)


def even(start: Ints, like: Tensor) -> Tensor:
    """Uniform values in 0–1 of the shape of `like` (n, C, H, W) from places (n,)."""
    return _read("even", start, like)


def _read(kind: str, start: Ints, like: Tensor) -> Tensor:
    pixels = like[0].numel()
    windows = _table(kind, PLACES + pixels, str(like.device)).unfold(0, pixels, 1)
    return windows[torch.from_numpy(start).to(like.device)].view(like.shape)
