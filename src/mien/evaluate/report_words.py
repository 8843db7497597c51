"""Figures as sentences that a newcomer understands, for the report and the end of a command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mien.evaluate.leaks import LeakFree
from mien.evaluate.metrics import ClassMetrics, Metrics, answers_depend, wilson
from mien.page.words import listed, percent, plural

# How much better a net may be on pictures it was trained on, in points: hardly, and as usual.
_SMALL_GAP, _WIDE_GAP = 3.0, 8.0
_MOST_NAMED = 3  # labels that are found equally often; of more only the number is said


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


def near_chance(metrics: Metrics) -> str:
    """That a net is no better than one label for all pictures, by its interval, and what that means; "" where it is.

    Where most pictures carry one label, a net may know much and not be surely better: only of one whose answers have
    nothing to do with the labels it is said that the rest is noise.
    """
    most = max(metrics.classes, key=lambda one: one.support)
    share = most.support / metrics.count
    if share == 1 or metrics.accuracy_interval.low > share:
        return ""
    if at_chance(metrics):
        return f"This net is hardly better than always answering “{most.name}”: what follows describes noise."
    return f"By accuracy alone, this net is hardly better than always answering “{most.name}”."


def at_chance(metrics: Metrics) -> bool:
    """Whether chance explains all answers: they may have nothing to do with the labels, of which there are several."""
    return max(one.support for one in metrics.classes) < metrics.count and not answers_depend(metrics.confusion)


def best_and_worst(metrics: Metrics) -> str:
    """The labels found most and least often, and what the latter is taken for."""
    present = [one for one in metrics.classes if one.recall is not None]
    if len(present) < 2:
        return f"All pictures carry the label {present[0].name}."
    best, worst = max(present, key=_recall), min(present, key=_recall)
    if _recall(best) == _recall(worst):
        return f"Every label is found equally often ({percent(best.recall)})."
    most, least = ([one for one in present if one.recall == end.recall] for end in (best, worst))
    text = f"Found most often: {_named(most)} ({percent(best.recall)}). Least often: {_named(least)} "
    text += f"({percent(worst.recall)})"
    if len(least) > 1:
        return f"{text}."
    taken = [mix_up for mix_up in mix_ups(metrics, most=len(metrics.labels) ** 2) if mix_up[0] == worst.name]
    answers = [answer for _, answer, count, _ in taken if count == taken[0][2]]
    return text + (f", mostly taken for {listed(answers)}." if 0 < len(answers) <= _MOST_NAMED else ".")


def _named(labels: Sequence[ClassMetrics]) -> str:
    """The names, or how many there are."""
    return listed([one.name for one in labels]) if len(labels) <= _MOST_NAMED else f"{len(labels)} labels"


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
    return leak_free_told(free.to_json())


def leak_free_told(free: Mapping[str, Any]) -> str:
    """The same of what `LeakFree.to_json` gives and metrics.json holds."""
    have = "picture has" if free["copies"] == 1 else "pictures have"
    return (
        f"{free['copies']:,} {have} a copy in training ({percent(free['copies_accuracy'], 1)} of them right). Without "
        f"them the figure is {with_ends(free)}."
    )


def with_ends(score: Mapping[str, Any]) -> str:
    """Accuracy and its interval, of a score as metrics.json holds it."""
    ends = score["accuracy_interval"]
    return f"{percent(score['accuracy'], 1)} ({100 * ends['low']:.1f} to {percent(ends['high'], 1)})"


def training(
    val_accuracy: Sequence[float],
    train_accuracy: Sequence[float],
    best_epoch: int,
    *,
    val_count: int = 0,
    overfits: bool = False,
    first: str = "",
) -> str:
    """What the curves show: the best epoch, and how far the pictures trained on are ahead of the others.

    Args:
        val_accuracy: by epoch, 0 to 1; NaN where no picture of validation has a label.
        train_accuracy: the same on training pictures; empty where it was not measured.
        best_epoch: whose weights were kept, from 1.
        val_count: pictures of validation; 0: not known, and chance is left out.
        overfits: whether a diagnosis found that training pictures were learned by heart.
        first: title of the first fault that it found.
    """
    best = val_accuracy[best_epoch - 1]
    text = f"The weights of epoch {best_epoch} of {len(val_accuracy)} were kept"
    if math.isnan(best):
        return f"{text}."
    text += f": {percent(best, 1)} on validation."
    if not train_accuracy or math.isnan(train := train_accuracy[best_epoch - 1]):
        return text
    interval = wilson(round(best * val_count), val_count)
    chance = interval is not None and interval.low <= train <= interval.high
    by_heart = overfits and not chance and 100 * (train - best) > _SMALL_GAP
    told = f" The diagnosis says first: {first}." if first and not by_heart else ""
    gap = _gap(100 * (train - best), by_heart=by_heart, later=overfits, within=val_count if chance else 0)
    return f"{text} On pictures it was trained on the net is {gap}{told}"


def _gap(points: float, *, by_heart: bool, later: bool, within: int) -> str:
    """How far training pictures are ahead; `within`: of so many validation pictures chance explains it.

    `later`: a diagnosis found overfitting, which a kept epoch that is hardly ahead came before.
    """
    if abs(points) <= _SMALL_GAP:
        told = "it did not yet know them by heart" if later else "it does not know them by heart"
        return f"hardly better or worse ({points:+.1f} points): {told}."
    side = f"{abs(points):.1f} points {'better' if points > 0 else 'worse'}"
    if within:
        return f"{side}, which chance explains with {plural(within, 'validation picture')}."
    if points < 0:
        return f"{side}: they are harder, or some of their labels are wrong."
    if by_heart:
        return f"{side}: it partly knows them by heart. More, or more varied, pictures help most."
    return f"{side}, which is usual." if points <= _WIDE_GAP else f"{side}."


def _recall(one: ClassMetrics) -> float:
    return one.recall if one.recall is not None else 0.0
