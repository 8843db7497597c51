"""Exponential moving average of weights and norm statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ema:
    """Keeps averaged copies of every floating tensor of a model's state; whole numbers are copied.

    The decay is annealed, min(decay, (1 + t)/(10 + t)), so that early averages do not hold on to the start
    (Tarvainen & Valpola 2017, arXiv 1703.01780, use the same idea). Norm statistics are averaged as well:
    averaged weights with the last batch's statistics do not fit together.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the averages towards the model by one step."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                averaged.append(self.state[name])
                current.append(tensor)
            else:
                self.state[name].copy_(tensor)
        torch._foreach_lerp_(averaged, current, 1 - keep)
