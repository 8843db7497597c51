"""The learning rate as a function of time: a factor between the floor and 1, of the recipe and the epoch alone."""

from __future__ import annotations

import math

from mien.core.recipe import Recipe
from mien.core.recipe_keys import ScheduleConfig

_ONE_CYCLE_START = 1 / 25  # Smith & Topin 2019 (arXiv 1708.07120), and torch's OneCycleLR


def rate_factor(recipe: Recipe, epoch: float, plateau: float = 1.0) -> float:
    """The learning rate in units of the recipe's at `epoch` (fractional, from 0): schedule, or the rate of SWA.

    `plateau` is the factor of the schedule of that name so far.
    """
    average = recipe.average
    if average.swa_rate is not None and average.swa_from_epoch and epoch >= average.swa_from_epoch - 1:
        return average.swa_rate
    return factor(recipe.schedule, epoch, recipe.train.epochs) * plateau


def factor(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    """The learning rate in units of the recipe's, at `epoch` (fractional, from 0) of `epochs`.

    The plateau schedule is 1 here; its state lives in `Plateau`.
    """
    warm = config.warmup_epochs
    if epoch < warm:
        if config.name == "one-cycle":
            return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * (1 - math.cos(math.pi * epoch / warm)) / 2
        return max(epoch / warm, 1e-3)
    return max(_decay(config, epoch - warm, max(epochs - warm, 1e-9)), config.floor)


def _decay(config: ScheduleConfig, epoch: float, length: float) -> float:
    if config.name in ("cosine", "one-cycle"):
        return _cosine(epoch / length, config.floor)
    if config.name == "cosine-restarts":
        since, cycle = cycle_at(config, epoch)
        return _cosine(since / cycle, config.floor)
    if config.name == "exponential":
        return math.pow(config.gamma, epoch)
    if config.name == "step":
        return math.pow(config.gamma, int(epoch / config.step_epochs))
    return 1.0


def _cosine(done: float, floor: float) -> float:
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(done, 1))) / 2


def cycle_at(config: ScheduleConfig, epoch: float) -> tuple[float, float]:
    """How long the cycle at `epoch` after the warm-up has gone on, and how long it is, in epochs.

    Warm restarts of Loshchilov & Hutter 2017 (arXiv 1608.03983, equation 5): cycle i has T₀ · T_multⁱ epochs.
    """
    since, cycle = epoch, config.cycle_epochs
    while since >= cycle:
        since, cycle = since - cycle, cycle * config.cycle_growth
    return since, cycle


def ends_cycle(config: ScheduleConfig, epoch: int) -> bool:
    """Whether a cycle of warm restarts is over when `epoch` (from 1) is: the next one begins at its end."""
    after = epoch - config.warmup_epochs
    return after > 0 and cycle_at(config, after)[0] < 1e-9


class Plateau:
    """Multiplies the rate by gamma when the loss has not improved (relative 1e-4) for more than `patience_epochs`.

    So does torch's ReduceLROnPlateau. Early stopping ends one epoch sooner: at its `patience_epochs`.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        self.factor, self.best, self.waited = 1.0, math.inf, 0

    def update(self, loss: float) -> None:
        """Take notice of an epoch's validation loss."""
        if loss < self.best * (1 - 1e-4):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.config.patience_epochs:
            self.factor, self.waited = max(self.factor * self.config.gamma, self.config.floor), 0
