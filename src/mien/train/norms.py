"""Statistics of batch norms, estimated anew for weights that no batch ever ran through."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from mien.train.machine import Machine

BatchNorm = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def estimate_norms(
    model: nn.Module, images: Tensor, machine: Machine, *, batch_size: int, kept: Collection[str] = ()
) -> None:
    """Set the running statistics of a classifier's batch norms to the mean over batches of pictures.

    All else stays in eval mode: dropout would raise the variances. Every process computes the same, and the first
    one's result holds. A net without such norms is left as it is.

    Source: Izmailov et al. 2018 (arXiv 1803.05407, section 3.2); `torch.optim.swa_utils.update_bn` does the same
    with dropout on.

    Args:
        model: a classifier; its mode is put back.
        images: uint8 (n, C, H, W), at least one batch.
        machine: whose precision is used.
        batch_size: pictures at a time, at least 2: one has no variance. The last, smaller batch is left out.
        kept: names of the norms that keep their statistics.
    """
    found = [m for n, m in model.named_modules() if isinstance(m, BatchNorm) and n not in kept]
    norms = [norm for norm in found if norm.track_running_stats]
    if not norms:
        return
    modes, momenta = [(m, m.training) for m in model.modules()], [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over batches
        norm.train()
    try:
        size = min(max(batch_size, 2), len(images))
        for start in range(0, len(images) - size + 1, size):
            inputs = images[start : start + size].contiguous(memory_format=torch.channels_last)
            with machine.autocast():
                model(inputs)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
    machine.share_buffers(model)
