"""Dropout with masks from a fast generator: on a CPU torch draws its own one number after the other."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16


def keep_mask(x: Tensor, rate: float) -> Tensor:
    """0 with probability `rate`, else 1/(1 − rate), in the shape, type and memory layout of `x`.

    The bits come from numpy's SFC64, seeded by one number from torch's generator, so `torch.manual_seed` repeats
    them. The rate is rounded to 1/65536, at most 65535 of them, and the scale fits the rounded rate, so the
    expectation stays exact.
    """
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    seed = int(torch.randint(1 << 62, ()).item())
    bits = np.random.SFC64(seed).random_raw((x.numel() + 3) // 4)
    kept = torch.from_numpy(bits.view(np.uint16)[: x.numel()] >= dropped)
    mask = kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))
    # Values are independent: any order fills the layout of `x`, and the right layout keeps the product fast.
    dense = x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))
    return mask.as_strided(x.shape, x.stride()) if dense else mask.view(x.shape)


@final
class Dropout(nn.Module):
    """Dropout as in Srivastava et al. 2014 (JMLR 15), inverted: training scales, evaluation does nothing."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        return x * keep_mask(x.detach(), self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
