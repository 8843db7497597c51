"""What the seeds of two steps say about their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean over paired seeds of a step's figure minus that of the step before, with a t interval.

    Attributes:
        mean: in the unit of the figures.
        low, high: of the interval at `LEVEL`; None for one pair, which says nothing about spread.
        pairs: seeds that both steps have.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int


def paired(now: Mapping[int, float], before: Mapping[int, float]) -> Difference | None:
    """Student's t interval over the seeds (by number) that both have; None when they share none.

    With n seeds there are n − 1 degrees of freedom: with two of them the interval is 12.7 standard errors wide
    either way, so that it seldom excludes 0.
    """
    values = np.array([now[seed] - before[seed] for seed in sorted(now.keys() & before.keys())])
    if not len(values):
        return None
    mean = float(values.mean())
    if len(values) == 1:
        return Difference(mean, None, None, 1)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return Difference(mean, mean - reach, mean + reach, len(values))
