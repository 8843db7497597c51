"""The learning rate as a function of time: a factor between the floor and 1, of the recipe and the epoch alone."""

from __future__ import annotations

import math

from mien.core.recipe import ScheduleConfig

_ONE_CYCLE_START = 1 / 25  # Smith & Topin 2019 (arXiv 1708.07120), and torch's OneCycleLR


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
        return config.floor + (1 - config.floor) * (1 + math.cos(math.pi * min(epoch / length, 1))) / 2
    if config.name == "exponential":
        return math.pow(config.gamma, epoch)
    if config.name == "step":
        return math.pow(config.gamma, int(epoch / config.step_epochs))
    return 1.0


class Plateau:
    """Multiplies the rate by gamma when the loss has not improved for `patience_epochs` (relative 1e-4)."""

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
