"""Two classifiers on the same pictures: which is better, by how much, and could chance have done it.

Functions of arrays, usable on the answers of any framework. Intervals of each accuracy alone overlap long after
a paired test has decided, since most pictures are easy or hard for both; so only the pairs count here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.evaluate.metrics import Interval, wilson

SURE = 0.05
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Paired:
    """The second classifier against the first, on the same pictures.

    Attributes:
        both, first_only, second_only, neither: pictures by who is right.
        difference: accuracy of the second less that of the first, −1 to 1.
        interval: of the difference, 95 %, see `paired_interval`.
        exact_p: exact McNemar test, two-sided. mid_p: the same with half of the observed outcome's probability.
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    difference: float
    interval: Interval
    exact_p: float
    mid_p: float

    @property
    def count(self) -> int:
        """Pictures."""
        return self.both + self.first_only + self.second_only + self.neither

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries and numbers."""
        return asdict(self)


def paired(first: Right, second: Right) -> Paired:
    """Compare two classifiers by where they are right, (N,) each, picture by picture.

    Raises:
        MienError: no pictures, or not as many of one as of the other.
    """
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise MienError(f"answers {a.shape} and {b.shape} are not to the same pictures")
    if not len(a):
        raise MienError("no pictures to compare", hint="choose a split that has labels")
    cells = int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum())
    exact, mid = mcnemar(cells[1], cells[2])
    difference = (cells[2] - cells[1]) / len(a)
    return Paired(*cells, difference=difference, interval=paired_interval(*cells), exact_p=exact, mid_p=mid)


def mcnemar(first_only: int, second_only: int) -> tuple[float, float]:
    """Exact and mid-p value of McNemar's test, two-sided: are pictures that only one gets right split evenly.

    The exact test doubles the binomial tail and is conservative; mid-p counts the observed outcome half, keeps
    close to its level and is the one to use (Fagerland, Lydersen, Laake 2013, BMC Med Res Methodol 13:91).
    Computed with whole numbers, so exact for any count. Both are 1 where no picture tells the two apart.
    """
    trials, fewer = first_only + second_only, min(first_only, second_only)
    term = tail = 1  # binomial coefficients of 0 successes, then up to `fewer`
    for k in range(1, fewer + 1):
        term = term * (trials - k + 1) // k
        tail += term
    whole = 1 << trials
    return min(1.0, 2 * tail / whole), min(1.0, (2 * tail - term) / whole)


def paired_interval(both: int, first_only: int, second_only: int, neither: int) -> Interval:
    """95 % interval of the paired difference second − first (Newcombe 1998, Stat Med 17:2635, method 10).

    Wilson's intervals of the two accuracies, put together with the correlation of the pairs taken into account.
    """
    n = both + first_only + second_only + neither
    p1, p2 = (both + first_only) / n, (both + second_only) / n
    one, two = wilson(both + first_only, n), wilson(both + second_only, n)
    assert one is not None  # there are pictures
    assert two is not None
    phi = _correlation(both, first_only, second_only, neither)
    low = _apart(p2 - two.low, one.high - p1, phi)
    high = _apart(two.high - p2, p1 - one.low, phi)
    return Interval(max(-1.0, p2 - p1 - low), min(1.0, p2 - p1 + high))


def _correlation(e: int, f: int, g: int, h: int) -> float:
    """Newcombe's φ, with his correction for continuity."""
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    if not margins:
        return 0.0
    covered = e * h - f * g
    return (max(covered - (e + f + g + h) / 2, 0.0) if covered > 0 else covered) / sqrt(margins)


def _apart(one: float, two: float, phi: float) -> float:
    return sqrt(max(one**2 - 2 * phi * one * two + two**2, 0.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in the same order (Holm 1979, Scand J Stat 6:65): the chance that any
    of them is a false alarm stays below the level they are held to."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def verdict(first: str, second: str, pair: Paired, p: float) -> str:
    """One sentence on a pair: who is better, or that this many pictures cannot tell."""
    points = abs(100 * pair.difference)
    if p < SURE:
        better, worse = (second, first) if pair.difference > 0 else (first, second)
        return f"{better} is better than {worse} by {points:.2f} points"
    decided = pair.first_only + pair.second_only
    if not decided:
        return f"{first} and {second} are right on the very same pictures"
    return f"{first} and {second} cannot be told apart: {points:.2f} points on {pair.count:,} pictures"
