"""Figures as sentences that a newcomer understands, for the report and the end of a command."""

from __future__ import annotations

from collections.abc import Sequence

from mien.evaluate.leaks import LeakFree
from mien.evaluate.metrics import ClassMetrics, Metrics
from mien.page.words import percent

# How much better a net may be on pictures it was trained on, in points, before a reader should worry.
_SMALL_GAP, _WIDE_GAP = 3.0, 8.0


def headline(metrics: Metrics, measured_on: str) -> str:
    """How many of how many pictures were given their own label."""
    hits = sum(row[i] for i, row in enumerate(metrics.confusion))
    share = percent(metrics.accuracy, 1)
    return f"{hits:,} of {metrics.count:,} {measured_on} were given the label they carry: {share}."


def spread(metrics: Metrics) -> str:
    """How far chance moves the figure, and what no skill would reach."""
    interval = metrics.accuracy_interval
    most = max(metrics.classes, key=lambda one: one.support)
    blind = percent(most.support / metrics.count)
    return (
        f"With this many pictures, chance alone moves the figure between {100 * interval.low:.1f} and "
        f"{percent(interval.high, 1)} (95 % interval). Always answering “{most.name}” would be right for {blind}."
    )


def best_and_worst(metrics: Metrics) -> str:
    """The labels found most and least often, and what the latter is taken for."""
    present = [one for one in metrics.classes if one.recall is not None]
    if len(present) < 2:
        return f"All pictures carry the label {present[0].name}."
    best, worst = max(present, key=_recall), min(present, key=_recall)
    if _recall(best) == _recall(worst):
        return f"Every label is found equally often ({percent(best.recall)})."
    text = (
        f"Found most often: {best.name} ({percent(best.recall)}). Least often: {worst.name} ({percent(worst.recall)})"
    )
    taken = [mix_up for mix_up in mix_ups(metrics, most=len(metrics.labels) ** 2) if mix_up[0] == worst.name]
    return text + (f", mostly taken for {taken[0][1]}." if taken else ".")


def mix_ups(metrics: Metrics, *, most: int = 5) -> list[tuple[str, str, int, float]]:
    """Label, wrong answer, pictures, and their share of the label's pictures, the largest share first."""
    found = [
        (name, metrics.labels[j], count, count / sum(counts))
        for i, (name, counts) in enumerate(zip(metrics.labels, metrics.confusion, strict=True))
        for j, count in enumerate(counts)
        if i != j and count
    ]
    return sorted(found, key=lambda one: -one[3])[:most]


def leak_free(free: LeakFree) -> str:
    """The figure without pictures that have a copy in training, and how those were answered."""
    interval = free.metrics.accuracy_interval
    have = "picture has" if free.copies == 1 else "pictures have"
    return (
        f"{free.copies:,} {have} a copy in training ({percent(free.copies_accuracy, 1)} of them right). Without them "
        f"the figure is {percent(free.metrics.accuracy, 1)} ({100 * interval.low:.1f} to {percent(interval.high, 1)})."
    )


def training(val_accuracy: Sequence[float], train_accuracy: Sequence[float], best_epoch: int) -> str:
    """What the curves show: the best epoch, and how far the pictures trained on are ahead of the others."""
    best = val_accuracy[best_epoch - 1]
    text = f"The weights of epoch {best_epoch} of {len(val_accuracy)} were kept: {percent(best, 1)} on validation."
    if not train_accuracy:
        return text
    gap = 100 * (train_accuracy[best_epoch - 1] - best)
    return f"{text} On pictures it was trained on the net is {_gap(gap)}"


def _gap(points: float) -> str:
    if points > _WIDE_GAP:
        return f"{points:.1f} points better: it partly knows them by heart. More, or more varied, pictures help most."
    if points > _SMALL_GAP:
        return f"{points:.1f} points better, which is usual."
    return f"hardly better or worse ({points:+.1f} points): it does not know them by heart."


def _recall(one: ClassMetrics) -> float:
    return one.recall if one.recall is not None else 0.0
