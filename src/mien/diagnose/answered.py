"""Rules over the predictions of validation: weak classes, confused pairs, imbalance, calibration,
how sure a figure is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.diagnose.chance import surely_above, surely_apart, surely_below
from mien.diagnose.evidence import Evidence
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict
from mien.evaluate.metrics import calibration_error, confusion_matrix, per_class, reliability, wilson
from mien.page.words import listed, percent

FEWEST = 8  # pictures of a class in validation, below which nothing is said of it


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
        "look at them: mien data show DATA; --set data.sampler=square-root",
    )


def imbalance(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """A rare class in training whose recall is below the others'."""
    counts = {name: count for name, count in e.counts.get("train", {}).items() if count}
    if e.answers is None or len(counts) < 2 or max(counts.values()) < limits.imbalance * min(counts.values()):
        return None
    rare = min(counts, key=lambda name: counts[name])
    a = e.answers
    if rare not in a.labels:
        return None
    classes = per_class(confusion_matrix(a.ids, a.probabilities.argmax(1), len(a.labels)), a.labels)
    own = next(c for c in classes if c.name == rare)
    others = [c.recall for c in classes if c.name != rare and c.recall is not None]
    if own.recall is None or own.support < FEWEST or float(np.mean(others)) - own.recall < limits.imbalance_cost:
        return None
    if not surely_below(own.recall, own.support, float(np.mean(others))):
        return None
    return Verdict(
        "imbalance",
        f"Imbalance cost {rare} its recall",
        f"{rare} is so rare in training that answering anything else pays.",
        f"{counts[rare]:,} of {sum(counts.values()):,} training pictures, the largest class has "
        f"{max(counts.values()):,}; recall "
        f"{percent(own.recall)} of {own.support}, others {percent(float(np.mean(others)))} in the mean.",
        "high" if own.recall_interval is not None and own.recall_interval.high < float(np.mean(others)) else "medium",
        "warning",
        "--set data.sampler=square-root (effective-number where that is too little); more pictures of the label",
    )


def confused_pair(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """A label whose pictures go to one other: swallowed by it, or relabelled as it; a note where neither is sure.

    Two labels that are alike are confused both ways, and each keeps most of its own pictures: that is the set, not the
    run. Swallowed: the other name is given more often than the right one, beyond chance.
    """
    if e.answers is None:
        return None
    a = e.answers
    confusion = confusion_matrix(a.ids, a.probabilities.argmax(1), len(a.labels))
    share = confusion / np.maximum(confusion.sum(1), 1)[:, None]
    np.fill_diagonal(share, 0)
    share[confusion.sum(1) < FEWEST] = 0
    moved = _moved_labels(e, confusion)
    right, other = moved or (int(i) for i in np.unravel_index(share.argmax(), share.shape))
    count, own = int(confusion[right, other]), int(confusion[right, right])
    swallowed = surely_above(count / max(count + own, 1), count + own, 0.5)
    if moved is None and share[right, other] < limits.confused_share:
        return None
    if moved is None and not swallowed and confusion.trace() / max(confusion.sum(), 1) < e.chance + 0.2:
        return None  # of a net that has learned little, what it confuses says nothing
    return Verdict(
        "confused-pair",
        f"{a.labels[right]} is called {a.labels[other]}",
        _why_confused(a.labels[right], a.labels[other], moved=moved is not None, swallowed=swallowed),
        f"{count} of {int(confusion[right].sum())} ({percent(float(share[right, other]))}), {own} are answered right; "
        f"the other way round {percent(float(share[other, right]))}.",
        "high" if swallowed else "medium" if moved else "low",
        "warning" if swallowed or moved else "note",
        "mien data audit DATA --labels, and look at the pair; merge them where the use allows (mien "
        "data subset --merge)",
    )


def _why_confused(right: str, other: str, *, moved: bool, swallowed: bool) -> str:
    if moved:
        return (
            f"Training has fewer {right} and more {other} than validation, by about as many, and {right} is answered "
            f"{other}: labels of the one seem to have become the other."
        )
    if swallowed:
        return (
            f"Pictures of {right} are answered {other} more often than {right}: labelled without a rule, or mixed up."
        )
    return f"Many pictures of {right} are answered {other}: the two are alike. That need not be a fault of the run."


def _moved_labels(e: Evidence, confusion: NDArray[np.int64]) -> tuple[int, int] | None:
    """The classes (from, to) between which labels of training seem to have moved; None: no such pair.

    The share of the one is below validation's, the other's above it, both beyond chance and by about as much, no other
    class moved as far, and pictures of the one are called the other more often than those of the rest are.
    """
    assert e.answers is not None
    labels = e.answers.labels
    train, val = (np.array([e.counts.get(s, {}).get(name, 0) for name in labels], float) for s in ("train", "val"))
    if not train.sum() or not val.sum():
        return None
    a, b = train / train.sum(), val / val.sum()
    lost, gained = int((a - b).argmin()), int((a - b).argmax())
    from_one, to_other = b[lost] - a[lost], a[gained] - b[gained]
    others = np.delete(np.abs(a - b), [lost, gained])
    if not 0.5 <= from_one / max(to_other, 1e-9) <= 2 or others.max(initial=0) > min(from_one, to_other) / 2:
        return None
    counts = int(train.sum()), int(val.sum())
    if not surely_apart(b[lost], counts[1], a[lost], counts[0]):
        return None
    if not surely_apart(a[gained], counts[0], b[gained], counts[1]):
        return None
    rest = np.delete(confusion, [lost, gained], axis=0)
    own, called = int(confusion[lost].sum()), int(rest.sum())
    if own < FEWEST or not called:
        return None
    if not surely_apart(confusion[lost, gained] / own, own, rest[:, gained].sum() / called, called):
        return None
    return lost, gained


def calibration(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Probabilities above the share of right answers."""
    if e.answers is None or len(e.answers.ids) < 50:
        return None
    bins = reliability(e.answers.ids, e.answers.probabilities)
    error = calibration_error(bins)
    sure = float(e.answers.probabilities.max(1).mean())
    right = float((e.answers.probabilities.argmax(1) == e.answers.ids).mean())
    if error < limits.calibration or not surely_below(right, len(e.answers.ids), sure) or right < e.chance + 0.1:
        return None
    return Verdict(
        "over-confident",
        "Over-confident answers",
        "The net claims more certainty than it has; the order of its answers may still be right.",
        f"Mean probability {percent(sure, 1)}, right {percent(right, 1)}; calibration error {100 * error:.1f} points.",
        "high" if error > 1.5 * limits.calibration else "medium",
        "warning",
        "mien calibrate RUN (temperature); or --set loss.label_smoothing=0.1",
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


RULES = (weak_classes, imbalance, confused_pair, calibration, wide_interval)
