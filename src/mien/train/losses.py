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


def focal(logits: Tensor, labels: Tensor, gamma: float, smoothing: float = 0.0) -> Tensor:
    """−Σ q·(1 − p)^γ·log p, (n,), with p = softmax(logits) and q the smoothed target; ids of −1 give 0.

    Lin et al. 2017 (arXiv 1708.02002, equation 4) with a softmax for their sigmoid; without smoothing only the
    label's term stays. γ = 0 is cross entropy.
    """
    classes = logits.shape[1]
    log_p = F.log_softmax(logits, dim=1)
    # A power below 1 has no gradient at zero.
    doubt = (1 - log_p.exp()).clamp_min(torch.finfo(log_p.dtype).eps) ** gamma
    target = (1 - smoothing) * F.one_hot(labels.clamp_min(0), classes) + smoothing / classes
    return torch.where(labels >= 0, -(target * doubt * log_p).sum(1), 0.0)


def squared_hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ max(0, 1 − t·z)² over the classes, (n,), with t = 1 for the label and −1 for the others; ids of −1 give 0.

    The L2-SVM, one against rest, that won FER2013 (Tang 2013, arXiv 1306.0239, equation 10) with C = 1: the paper's
    ½w² is the weight decay.
    """
    sign = 2.0 * F.one_hot(labels.clamp_min(0), logits.shape[1]) - 1
    return torch.where(labels >= 0, (1 - sign * logits).clamp_min(0).square().sum(1), 0.0)


def soften(probabilities: Tensor, temperature: float) -> Tensor:
    """softmax(log p / T) along the last axis: a net's answer at another temperature; rows that sum to 0 stay 0."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(-1, keepdim=True).clamp_min(torch.finfo(powers.dtype).tiny)


def distillation(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T²·cross entropy (n,) of logits at temperature T with a teacher's answers (n, K) at the same temperature.

    Hinton et al. 2015 (arXiv 1503.02531, section 2): T² keeps the size of the gradients as T changes.
    """
    return temperature**2 * soft_cross_entropy(logits / temperature, targets)
