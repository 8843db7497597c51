"""Averages of weights and norm statistics: exponential (EMA) and plain (SWA)."""

from __future__ import annotations

import math
from typing import Protocol, final

import torch
from torch import Tensor, nn

from mien.core.recipe import Recipe
from mien.core.recipe_keys import AverageConfig


class Average(Protocol):
    """What a learner keeps besides its weights.

    Attributes:
        state: the averaged `state_dict`; empty as long as there is no average.
        count: how many states it is made of.
        stale_norms: whether norm statistics in `state` were averaged without fitting the averaged weights.
    """

    state: dict[str, Tensor]
    count: int
    stale_norms: bool

    def after_step(self, model: nn.Module, *, time: float) -> None:
        """Take notice of a step that began at `time` in epochs."""

    def after_epoch(self, model: nn.Module, *, epoch: int) -> None:
        """Take notice of the end of an epoch, counted from 1."""


def make_average(model: nn.Module, recipe: Recipe) -> Average | None:
    """The average of a recipe at its start; None where it has none."""
    if recipe.average.ema_decay:
        return Ema(model, recipe.average, epochs=recipe.train.epochs)
    return Swa(recipe.average.swa_from_epoch) if recipe.average.swa_from_epoch else None


@torch.no_grad()
def _move(state: dict[str, Tensor], model: nn.Module, share: float) -> None:
    """Move averages towards a model's state by `share`; whole numbers are copied."""
    averaged: list[Tensor] = []
    current: list[Tensor] = []
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            averaged.append(state[name])
            current.append(tensor)
        else:
            state[name].copy_(tensor)
    torch._foreach_lerp_(averaged, current, share)


@final
class Ema:
    """Exponential moving average of every floating tensor of a model's state.

    The decay is annealed, by default as min(decay, (1 + t)/(10 + t)), so that early averages do not hold on to the
    start (Tarvainen & Valpola 2017, arXiv 1703.01780, use the same idea). Norm statistics are averaged as well:
    averaged weights with the last batch's statistics do not fit together.
    """

    stale_norms = False

    def __init__(self, model: nn.Module, config: AverageConfig, *, epochs: int) -> None:
        self.config, self.epochs, self.count = config, epochs, 0
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def keep(self, time: float) -> float:
        """How much of the averages stays in the step that comes after `count` others, at `time` in epochs."""
        decay = self.config.ema_decay
        if self.config.ema_annealing == "count":
            return min(decay, (1 + self.count) / (10 + self.count))
        if self.config.ema_annealing == "cosine":
            # Grill et al. 2020 (arXiv 2006.07733, section 3.2): from the decay to 1.
            return 1 - (1 - decay) * (1 + math.cos(math.pi * min(time / self.epochs, 1))) / 2
        return decay

    def after_step(self, model: nn.Module, *, time: float) -> None:
        """Move the averages towards the model by one step; during the warm-up they are the model."""
        if time < self.config.ema_warmup_epochs:
            _move(self.state, model, 1.0)
            return
        self.count += 1
        _move(self.state, model, 1 - self.keep(time))

    def after_epoch(self, model: nn.Module, *, epoch: int) -> None:
        """Nothing: every step has been noticed."""


@final
class Swa:
    """The plain mean of the weights at the ends of epochs (Izmailov et al. 2018, arXiv 1803.05407, algorithm 1).

    Norm statistics have to be estimated anew for the mean (its section 3.2): `train.norms` does that.
    """

    stale_norms = True

    def __init__(self, from_epoch: int) -> None:
        self.from_epoch, self.count = from_epoch, 0
        self.state: dict[str, Tensor] = {}

    def after_step(self, model: nn.Module, *, time: float) -> None:
        """Nothing: only the ends of epochs count."""

    def after_epoch(self, model: nn.Module, *, epoch: int) -> None:
        """Take the weights in, from `from_epoch` on."""
        if epoch < self.from_epoch:
            return
        if not self.state:
            self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        self.count += 1
        _move(self.state, model, 1 / self.count)
