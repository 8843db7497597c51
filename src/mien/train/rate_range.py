"""The learning-rate range test: a short training whose rate grows from step to step, to see which rates a net bears.

Smith 2017 (arXiv 1506.01186, section 3.3). The rate grows by a constant factor instead of a constant step, so that
several powers of ten are covered alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.core.recipe_keys import AverageConfig
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train.batches import Batch, Batches
from mien.train.checkpoint import Progress
from mien.train.machine import Machine
from mien.train.prepare import prepare
from mien.train.step import DivergedError

Floats = NDArray[np.float64]
# The test is over when the loss has risen so far above its lowest, in units of how far it had come down.
_RISEN = 1.0
_MEMORY = 0.9  # of the running mean that decides on it
_WIDTH = 0.04  # of the smoothing, in units of the whole test
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class RateRange:
    """What a range test found.

    Attributes:
        rates, losses: (n,) of its steps.
        smoothed: (n,) the losses, averaged over neighbouring steps.
        steepest: the rate at which the loss fell fastest.
        lowest: the rate at which it was lowest: beyond it training becomes worse.
        suggestion: the highest rate to train with: the geometric mean of the two.
        still_falling: whether the loss was lowest at the very end of the range, so that higher rates may be better.
    """

    rates: Floats
    losses: Floats
    smoothed: Floats
    steepest: float
    lowest: float
    suggestion: float
    still_falling: bool = False

    def to_json(self) -> dict[str, Any]:
        """The three rates, whether they are the end of it, and every step."""
        return {
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "lowest": self.lowest,
            "still_falling": self.still_falling,
            "rates": self.rates.tolist(),
            "losses": self.losses.tolist(),
        }


def range_test(
    data: Dataset,
    recipe: Recipe,
    *,
    low: float,
    high: float,
    steps: int = 200,
    tell: Callable[[int, int], None] | None = None,
) -> RateRange:
    """Train from the recipe's start with rates from `low` to `high`, until the loss rises or `steps` are done.

    Everything is as the recipe says but schedule, averages and phases.

    Args:
        data: the packed set.
        recipe: of the training that the rate is for.
        low: the first rate.
        high: the last one.
        steps: how many, over the whole range.
        tell: called with the steps done and their number.

    Raises:
        MienError: rates that are no range, too few steps, what `prepare` refuses, or a loss that never fell.
    """
    if not 0 < low < high or steps < _FEWEST:
        raise MienError(
            f"a range test from {low:g} to {high:g} in {steps} steps is none",
            hint=f"0 < low < high, and at least {_FEWEST} steps",
        )
    machine = Machine(recipe.train)
    with TemporaryDirectory() as folder:
        parts, learner = prepare(data, _plain(recipe), RunDir(Path(folder)), machine)
        stage = parts.stages.at(learner, Progress())
        growth = math.log(high / low) / (steps - 1)
        stage.step.own_rate = lambda position: low * math.exp(growth * position)
        learner.model.train()
        rates, losses = [], []
        for batch in islice(_batches(stage.batches), steps):
            try:
                result = stage.step(learner, batch)
            except DivergedError:
                break
            rates.append(result.learning_rate)
            losses.append(result.loss)
            if tell is not None:
                tell(len(losses), steps)
            if _has_risen(losses):
                break
    return judge(np.array(rates), np.array(losses), ended=len(losses) == steps)


def _plain(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"phases": (), "average": AverageConfig()})


def _batches(batches: Batches) -> Iterator[Batch]:
    for epoch in count():
        yield from batches.epoch(epoch)


def _has_risen(losses: list[float]) -> bool:
    """Whether the running mean of the losses has risen as far above its lowest as that lies below its first."""
    if len(losses) < _FEWEST:
        return False
    means, mean = [], losses[0]
    for loss in losses:
        mean = _MEMORY * mean + (1 - _MEMORY) * loss
        means.append(mean)
    lowest = min(means)
    return means[-1] > lowest + _RISEN * max(means[0] - lowest, 0.1 * abs(means[0]))


def judge(rates: Floats, losses: Floats, *, ended: bool = False) -> RateRange:
    """What rates (n,), growing, and the losses (n,) of their steps say.

    Args:
        rates: of the steps.
        losses: of the same steps.
        ended: whether the highest rate was reached, and not a loss that rose or was no number.

    Raises:
        MienError: too few steps before the loss was no number any more, or it was lowest at the first rate.
    """
    if len(losses) < _FEWEST:
        raise MienError(
            f"after {len(losses)} steps, at a rate of {rates[-1] if len(rates) else 0:g}, the loss had risen",
            hint="begin lower: --low",
        )
    smoothed = smooth(losses)
    lowest = int(smoothed.argmin())
    if lowest == 0:
        raise MienError(
            f"the loss never fell between rates of {rates[0]:.2g} and {rates[-1]:.2g}", hint="begin lower: --low"
        )
    slope = np.gradient(smoothed, np.log(rates))
    steepest = int(slope[:lowest].argmin())
    suggestion = math.sqrt(rates[steepest] * rates[lowest])
    falling = ended and lowest == len(losses) - 1
    return RateRange(rates, losses, smoothed, float(rates[steepest]), float(rates[lowest]), suggestion, falling)


def rates_of(recipe: Recipe, rate: float) -> dict[str, float]:
    """The keys of a recipe with which it trains at `rate` as the test did: muon's rest moves in proportion."""
    optimiser = recipe.optimiser
    found = {"optimiser.learning_rate": rate}
    if optimiser.rest_learning_rate is not None:
        found["optimiser.rest_learning_rate"] = rate * optimiser.rest_learning_rate / optimiser.learning_rate
    return found


def smooth(losses: Floats) -> Floats:
    """Losses (n,) averaged over their neighbours by a bell curve; at the ends over fewer of them."""
    reach = np.arange(len(losses))
    weights = np.exp(-0.5 * ((reach[:, None] - reach) / (_WIDTH * len(losses))) ** 2)
    return np.asarray(weights @ losses / weights.sum(1))
