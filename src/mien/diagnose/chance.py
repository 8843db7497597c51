"""How much of a difference the number of pictures allows: what rules ask before they believe one."""

from __future__ import annotations

import math

from mien.evaluate.metrics import wilson

ONE_SIDED = 0.9  # a two-sided interval of 90 % has 5 % below it
Z = 1.645  # deviations of a normal distribution, 5 % on one side
LEVEL = 0.05  # of a test that has no side, such as chi-squared
OF_MANY = 2.5  # deviations for the largest of seven differences: with 4 % chance one is beyond where there is none
FEWEST = 8  # pictures of a class in validation, below which nothing is said of it


def surely_above(share: float, count: int, limit: float) -> bool:
    """Whether a share of `count` pictures is above the limit beyond chance (Wilson 1927, 5 % on one side)."""
    interval = wilson(round(share * count), count, confidence=ONE_SIDED)
    return interval is not None and interval.low > limit


def surely_below(share: float, count: int, limit: float) -> bool:
    """Whether a share of `count` pictures is below the limit beyond chance (Wilson 1927, 5 % on one side)."""
    interval = wilson(round(share * count), count, confidence=ONE_SIDED)
    return interval is not None and interval.high < limit


def deviation(share: float, count: int) -> float:
    """Standard deviation of a share of `count` pictures; half a picture on each side keeps it above 0 at 0 and 1."""
    if count <= 0:
        return math.inf
    kept = (share * count + 0.5) / (count + 1)
    return math.sqrt(kept * (1 - kept) / count)


def surely_apart(high: float, high_count: int, low: float, low_count: int, *, deviations: float = Z) -> bool:
    """Whether a share is above another one, of other pictures, beyond chance (normal approximation, 5 % on one side).

    Of the same pictures twice this is careful: their chance is shared in part. More `deviations` are for the largest of
    several differences.
    """
    return high - low > deviations * math.hypot(deviation(high, high_count), deviation(low, low_count))
