"""Figures of merit of predictions, as functions of arrays: usable on the output of any framework.

Throughout, `ids` (N,) are the right classes and `probabilities` (N, K) have rows that sum to 1; the answer is
the most probable class, the first of equals. Plain numpy: scikit-learn, which the tests compare with, warns
about classes without pictures and about single classes, both of which are ordinary here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

Ids = NDArray[np.integer]
Probabilities = NDArray[np.floating]
BINS = 15


@dataclass(frozen=True)
class Interval:
    """The ends of a 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class ClassMetrics:
    """One class; a figure that is not defined (0/0) is None, with its interval.

    Attributes:
        support: pictures of the class.
        predicted: pictures that were called so.
        f1_interval: approximate, see `f1_interval`.
    """

    name: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    precision_interval: Interval | None
    recall_interval: Interval | None
    f1_interval: Interval | None


@dataclass(frozen=True)
class Reliability:
    """Pictures sorted by the probability of their answer into equal bins (m/M, (m+1)/M].

    Attributes:
        count: pictures in each bin (M,).
        confidence: mean probability of the answer in each bin, None where it is empty.
        accuracy: share of right answers in each bin, None where it is empty.
    """

    count: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class Metrics:
    """All figures of one set of predictions.

    Attributes:
        count: pictures scored.
        macro_f1: mean F1 over the classes that have pictures.
        log_loss: mean negative log probability of the right class, in nats.
        calibration_error: expected calibration error, 0 to 1, lower is better.
        confusion: pictures by right class (row) and answer (column).
    """

    labels: tuple[str, ...]
    count: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    log_loss: float
    calibration_error: float
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: Reliability

    def to_json(self) -> dict[str, Any]:
        """Everything as plain dictionaries, lists and numbers."""
        return asdict(self)


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a proportion (Wilson 1927); None without trials."""
    if trials == 0:
        return None
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    share = successes / trials
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = (z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) ** 0.5 / (1 + z2 / trials)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def answers_depend(confusion: Sequence[Sequence[int]]) -> bool:
    """Whether the answers surely have to do with the labels (95 %), in whatever shares these come.

    Cohen's kappa is held against 0 with its standard error under independence (Fleiss, Cohen, Everitt 1969, Psychol
    Bull 72:323). Answers that are surely wrong more often than by chance depend on the labels, too.

    Args:
        confusion: pictures by right class (row) and answer (column), at least one in all.
    """
    shares = np.asarray(confusion, np.float64) / np.sum(confusion)
    labels, answers = shares.sum(1), shares.sum(0)
    seen, chance = shares.trace(), float(labels @ answers)
    variance = chance + chance**2 - float((labels * answers) @ (labels + answers))
    limit = NormalDist().inv_cdf(0.975) * (max(variance, 0.0) / np.sum(confusion)) ** 0.5
    return bool(abs(seen - chance) > max(limit, 1e-9))


def f1_interval(true: int, false: int, missed: int) -> Interval | None:
    """An approximate 95 % interval of F1 from true positives, false positives and false negatives.

    F1 = 2J/(1 + J) with J = true/(true + false + missed), a proportion of the pictures that are of the class
    or were called so. Wilson's interval of J is carried over, which takes the number of those pictures as
    given; it stays within a few hundredths of the bootstrap over pictures (a test compares them). None for 0/0.
    """
    share = wilson(true, true + false + missed)
    return share and Interval(2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high))


def measure(ids: Ids, probabilities: Probabilities, labels: Sequence[str]) -> Metrics:
    """All figures for N ≥ 1 pictures.

    Args:
        ids: right classes (N,), 0 to K − 1.
        probabilities: (N, K), at least 0; rows are renormalised to 1 in float64.
        labels: the K names.

    Raises:
        MienError: no pictures, shapes that disagree, an id out of range, or a row that is no probabilities.
    """
    right, p = checked(ids, probabilities, len(labels))
    confusion = confusion_matrix(right, p.argmax(1), len(labels))
    hits = int(confusion.trace())
    interval = wilson(hits, len(right))
    assert interval is not None  # there are pictures
    bins = reliability(right, p)
    return Metrics(
        labels=tuple(labels),
        count=len(right),
        accuracy=hits / len(right),
        accuracy_interval=interval,
        macro_f1=macro_f1(confusion),
        log_loss=mean_log_loss(right, p),
        calibration_error=calibration_error(bins),
        classes=per_class(confusion, labels),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        reliability=bins,
    )


def checked(ids: Ids, probabilities: Probabilities, classes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ids (N,) as int64 and probabilities (N, K) as float64 with rows summing to 1; raises as `measure`."""
    right, p = np.asarray(ids, np.int64), np.asarray(probabilities, np.float64)
    if right.ndim != 1 or p.shape != (len(right), classes):
        raise MienError(f"ids {right.shape} and probabilities {p.shape} do not fit (N,) and (N, {classes})")
    if not len(right):
        raise MienError("no pictures to score", hint="choose a split that has labels")
    if outside := np.flatnonzero((right < 0) | (right >= classes)).tolist():
        raise MienError(f"row {outside[0]}: class id {right[outside[0]]} is not within 0…{classes - 1}")
    total = p.sum(1, keepdims=True)
    usable = np.isfinite(p).all(1) & (p >= 0).all(1) & (total[:, 0] > 0)
    if not usable.all():
        row = int(usable.argmin())
        raise MienError(f"row {row}: {p[row].tolist()} are no probabilities", hint="check the model for NaN")
    return right, p / total


def mean_log_loss(ids: Ids, probabilities: Probabilities) -> float:
    """Mean −log p of the right class in nats; a zero counts as float64's epsilon, which costs 36.04 nats."""
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    of_right = p[np.arange(len(right)), right]
    return float(np.log(1 / of_right.clip(np.finfo(np.float64).eps)).mean())


def confusion_matrix(ids: Ids, answers: Ids, classes: int) -> NDArray[np.int64]:
    """Number of pictures (K, K) by right class (row) and answer (column)."""
    cells = np.asarray(ids, np.int64) * classes + np.asarray(answers, np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: NDArray[np.integer], labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Figures of each class from a confusion matrix (K, K), right classes in rows."""
    support, predicted = confusion.sum(1).tolist(), confusion.sum(0).tolist()
    return tuple(_one_class(name, int(confusion[i, i]), support[i], predicted[i]) for i, name in enumerate(labels))


def _one_class(name: str, true: int, support: int, predicted: int) -> ClassMetrics:
    return ClassMetrics(
        name=name,
        support=support,
        predicted=predicted,
        precision=true / predicted if predicted else None,
        recall=true / support if support else None,
        f1=2 * true / (support + predicted) if support else None,
        precision_interval=wilson(true, predicted),
        recall_interval=wilson(true, support),
        f1_interval=f1_interval(true, predicted - true, support - true) if support else None,
    )


def macro_f1(confusion: NDArray[np.integer]) -> float:
    """Mean F1 over the classes that have pictures; one that is never predicted counts as 0."""
    present = confusion.sum(1) > 0
    f1 = 2 * confusion.diagonal()[present] / (confusion.sum(1) + confusion.sum(0))[present]
    return float(f1.mean())


def reliability(ids: Ids, probabilities: Probabilities, *, bins: int = BINS) -> Reliability:
    """What a reliability diagram shows, in equal-width bins (Guo et al. 2017, arXiv 1706.04599, section 2)."""
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    confidence, hit = p.max(1), p.argmax(1) == right
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)

    def means(values: NDArray[Any]) -> tuple[float | None, ...]:
        sums = np.bincount(place, weights=values, minlength=bins)
        return tuple(float(s / n) if n else None for s, n in zip(sums, count, strict=True))

    return Reliability(count=tuple(count.tolist()), confidence=means(confidence), accuracy=means(hit))


def calibration_error(bins: Reliability) -> float:
    """Expected calibration error: the mean |accuracy − confidence| over bins, weighted by pictures."""
    gaps = [
        n * abs(a - c)
        for n, a, c in zip(bins.count, bins.accuracy, bins.confidence, strict=True)
        if a is not None and c is not None
    ]
    return sum(gaps) / sum(bins.count)
