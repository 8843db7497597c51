"""Rules over the predictions of validation: weak classes, imbalance, calibration, how sure a figure is."""

from __future__ import annotations

import numpy as np

from mien.diagnose import advice
from mien.diagnose.chance import FEWEST, surely_below
from mien.diagnose.evidence import Answers, Evidence
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict
from mien.evaluate.metrics import ClassMetrics, calibration_error, confusion_matrix, per_class, reliability, wilson
from mien.page.words import listed, percent

FEWEST_ANSWERS = 50  # below which nothing is said of how sure they are


def weak_classes(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Classes of which most pictures are missed, where the whole does better; a note where it may be chance."""
    if e.answers is None:
        return None
    a = e.answers
    right = a.probabilities.argmax(1) == a.ids
    classes = per_class(confusion_matrix(a.ids, a.probabilities.argmax(1), len(a.labels)), a.labels)
    weak = [c for c in classes if c.support >= FEWEST and c.recall is not None and c.recall < limits.weak_recall]
    if not weak or right.mean() < e.chance + 0.1:
        return None
    shown = [f"{c.name} {percent(c.recall)} of {c.support}" for c in weak]
    sure = any(surely_below(c.recall or 0.0, c.support, limits.weak_recall) for c in weak)
    return Verdict(
        "weak-class",
        f"Weak {'class' if len(weak) == 1 else 'classes'}: {listed([c.name for c in weak])}",
        "Most pictures of these labels are called something else.",
        f"Recall: {listed(shown)}; accuracy of all {percent(float(right.mean()), 1)}.",
        "high" if sure else "low",
        "warning" if sure else "note",
        f"look at them: mien data show DATA{advice.rebalancing(e.recipe, '; ')}",
    )


def imbalance(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Rare classes in training whose recall is below the others'; of several, the one that lost most."""
    counts = {name: count for name, count in e.counts.get("train", {}).items() if count}
    if e.answers is None or len(counts) < 2:
        return None
    a, most = e.answers, max(counts.values())
    classes = per_class(confusion_matrix(a.ids, a.probabilities.argmax(1), len(a.labels)), a.labels)
    lost = [
        (own, others)
        for own in classes
        if own.name in counts and most >= limits.imbalance * counts[own.name]
        if (others := _cost(own, classes, limits)) is not None
    ]
    if not lost:
        return None
    own, others = max(lost, key=lambda one: one[1] - (one[0].recall or 0.0))
    sampler, more = advice.rebalancing(e.recipe), "more pictures of the label"
    return Verdict(
        "imbalance",
        f"Imbalance cost {own.name} its recall",
        f"{own.name} is so rare in training that answering anything else pays.",
        f"{counts[own.name]:,} of {sum(counts.values()):,} training pictures, the largest class has {most:,}; recall "
        f"{percent(own.recall)} of {own.support}, others {percent(others)} in the mean.",
        "high" if own.recall_interval is not None and own.recall_interval.high < others else "medium",
        "warning",
        f"{sampler} (effective-number where that is too little); {more}" if sampler else more,
    )


def _cost(own: ClassMetrics, classes: tuple[ClassMetrics, ...], limits: Thresholds) -> float | None:
    """The mean recall of the other classes where that of `own` is below it beyond chance; None where it is not."""
    others = [c.recall for c in classes if c.name != own.name and c.recall is not None]
    if own.recall is None or own.support < FEWEST or not others:
        return None
    mean = float(np.mean(others))
    far = mean - own.recall >= limits.imbalance_cost and surely_below(own.recall, own.support, mean)
    return mean if far else None


def certainty(answers: Answers) -> tuple[float, float]:
    """The share of right answers and their mean probability, 0 to 1."""
    right = float((answers.probabilities.argmax(1) == answers.ids).mean())
    return right, float(answers.probabilities.max(1).mean())


def too_sure(answers: Answers) -> bool:
    """Whether the mean probability is above the share of right answers beyond chance."""
    right, sure = certainty(answers)
    return surely_below(right, len(answers.ids), sure)


def calibration(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Probabilities above the share of right answers."""
    if e.answers is None or len(e.answers.ids) < FEWEST_ANSWERS:
        return None
    bins = reliability(e.answers.ids, e.answers.probabilities)
    error = calibration_error(bins)
    right, sure = certainty(e.answers)
    if error < limits.calibration or not too_sure(e.answers) or right < e.chance + 0.1:
        return None
    return Verdict(
        "over-confident",
        "Over-confident answers",
        "The net claims more certainty than it has; the order of its answers may still be right.",
        f"Mean probability {percent(sure, 1)}, right {percent(right, 1)}; calibration error {100 * error:.1f} points.",
        "high" if error > 1.5 * limits.calibration else "medium",
        "warning",
        f"mien calibrate RUN (temperature){advice.smoothing(e.recipe, '; or ')}",
    )


def wide_interval(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Too few validation pictures for small differences to mean anything."""
    count = sum(e.counts.get("val", {}).values())
    if not count or not e.has("val_accuracy"):
        return None
    best = float(e.column("val_accuracy").max())
    interval = wilson(round(best * count), count)
    assert interval is not None  # there are pictures
    half = (interval.high - interval.low) / 2
    if half < limits.wide_interval:
        return None
    return Verdict(
        "small-validation",
        "Too few validation pictures to compare by",
        "Differences between runs or epochs that are smaller than the interval say nothing.",
        f"{count:,} pictures: {percent(best, 1)} is {percent(interval.low, 1)} to {percent(interval.high, 1)} (95 %).",
        "high",
        "warning" if half > 2 * limits.wide_interval else "note",
        "a larger validation split (mien data split), or mien repeat with folds; mien compare pairs the pictures",
    )


RULES = (weak_classes, imbalance, calibration, wide_interval)
