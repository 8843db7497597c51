"""What is minimised. Every loss returns one value per picture, so that weights and masks stay outside."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy (n,) of logits (n, K) with ids (n,); ids of −1 give 0.

    Label smoothing as in Szegedy et al. 2016 (arXiv 1512.00567), section 7: the target is
    (1 − s)·one-hot + s/K.
    """
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="none", label_smoothing=smoothing)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """−Σ target·log softmax(logits), (n,), for targets (n, K) that are distributions or rows of zeros (giving 0)."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(1)


def best_of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    """−log of the largest probability among the classes with target 1, (n,); rows of zeros give 0.

    The multi-target loss of FER+ (arXiv 1608.01041, equation 4).
    """
    chosen = F.log_softmax(logits, dim=1).masked_fill(targets == 0, -torch.inf).amax(1)
    return torch.where(targets.any(1), -chosen, torch.zeros_like(chosen))
