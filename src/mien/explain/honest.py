"""Calibration measured on pictures it was not fitted on: each half of a split is judged by the other half's fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.evaluate.metrics import Ids, Interval, Metrics, Probabilities, checked, measure, wilson
from mien.explain.temperature import LEAST_ANSWERED, fit_temperature, halves, soften, threshold_for


@dataclass(frozen=True)
class Answered:
    """What is left when a model says nothing below a probability.

    Attributes:
        count: pictures.
        answered: those that got an answer.
        precision: share of right answers among those; None where there are none.
        interval: its 95 % interval (Wilson).
    """

    count: int
    answered: int
    precision: float | None
    interval: Interval | None

    @property
    def coverage(self) -> float:
        """Share of the pictures that got an answer."""
        return self.answered / self.count

    def to_json(self) -> dict[str, Any]:
        """As plain numbers."""
        return asdict(self) | {"coverage": self.coverage}


@dataclass(frozen=True)
class CrossFit:
    """Each half of the pictures under the temperature, and the threshold, that the other half asked for.

    Attributes:
        temperatures: of the two fits; how far they lie apart says how well the temperature is known.
        metrics: of all pictures, each softened by the fit that did not see it.
        answered: under the other half's threshold; None where no precision was asked for, or a half has no threshold.
    """

    temperatures: tuple[float, float]
    metrics: Metrics
    answered: Answered | None


def answered(ids: Ids, probabilities: Probabilities, threshold: float | NDArray[np.floating]) -> Answered:
    """What answers of at least `threshold` (one, or one a picture) come to, for N ≥ 1 pictures."""
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    given = p.max(1) >= threshold
    count, hits = int(given.sum()), int((given & (p.argmax(1) == right)).sum())
    return Answered(len(right), count, hits / count if count else None, wilson(hits, count))


def cross_fit(
    ids: Ids,
    probabilities: Probabilities,
    labels: tuple[str, ...],
    *,
    groups: NDArray[np.integer],
    precision: float | None = None,
    own: tuple[Ids, Probabilities] | None = None,
) -> CrossFit:
    """Fit on one half, measure on the other, both ways round.

    Args:
        ids: right classes (N,).
        probabilities: (N, K), uncalibrated.
        labels: the K names.
        groups: (N,); near duplicates, or pictures of one person, share a number ≥ 0 and stay in one half.
        precision: wished share of right answers, 0–1; None: no threshold.
        own: right classes (N,) and probabilities (N, L) over all labels of the head that answers, where it has more
            than the pictures: the threshold is one of these. None: the same as above.

    Raises:
        MienError: as `metrics.measure`, or fewer than `LEAST_ANSWERED` pictures a half.
    """
    first = halves(groups)
    right, whole = own or (ids, probabilities)
    if min(first.sum(), (~first).sum()) < LEAST_ANSWERED:
        raise MienError(
            f"{len(first)} labelled pictures are too few to calibrate on",
            hint=f"at least {2 * LEAST_ANSWERED}, or more where copies have to stay together",
        )
    softened, given = np.array(probabilities, np.float64), np.array(whole, np.float64)
    thresholds, fits = np.full(len(first), np.nan), []
    for judged in (first, ~first):
        fit = fit_temperature(ids[~judged], probabilities[~judged])
        softened[judged] = soften(probabilities[judged], fit)
        if precision is not None:
            given[judged] = soften(whole[judged], fit)
            threshold = threshold_for(right[~judged], soften(whole[~judged], fit), precision)
            thresholds[judged] = np.nan if threshold is None else threshold
        fits.append(fit)
    known = precision is not None and not np.isnan(thresholds).any()
    left = answered(right, given, thresholds) if known else None
    return CrossFit((fits[0], fits[1]), measure(ids, softened, labels), left)
