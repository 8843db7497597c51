"""States that a run can be in and that more than one rule has to know of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.diagnose.chance import surely_apart, surely_below
from mien.diagnose.evidence import Column, Evidence
from mien.diagnose.thresholds import Thresholds

DEAD, SPREAD = "dead:", "spread:"


def last(e: Evidence, prefix: str) -> dict[str, float]:
    """The last epoch's figure of each layer, in the order of the net."""
    names = [name for name in e.health if name.startswith(prefix) and e.has(name)]
    return {name.removeprefix(prefix): float(e.column(name)[-1]) for name in names}


def vanished(e: Evidence, limits: Thresholds) -> bool:
    """Whether the first layer gives next to nothing: its weights are gone, and all else follows from that."""
    first = next(iter(last(e, SPREAD).values()), None)
    return first is not None and first < limits.spread_vanished


def steady(recipe: Recipe, epochs: int) -> NDArray[np.int64]:
    """Those of so many epochs, from 0, whose loss and accuracy can be held against others'.

    A phase on what was answered wrong has a higher loss and a lower accuracy by design, until the epoch after it.
    """
    hard = (phase for phase in phases(recipe) if phase.config.pictures == "hard")
    return np.setdiff1d(np.arange(epochs), [epoch for phase in hard for epoch in range(phase.first, phase.end + 1)])


def exploded(e: Evidence, limits: Thresholds) -> bool:
    """Whether the loss was no number any more, or rose far above the first epoch's or the first step's."""
    if e.diverged is not None:
        return True
    if not e.has("train_loss"):
        return False
    loss = e.column("train_loss")
    loss = loss[steady(e.recipe, len(loss))]
    first = float(e.column("first_loss")[0]) if e.has("first_loss") else math.inf
    return len(loss) > 0 and bool(loss.max() > min(limits.loss_explodes * loss[0], limits.loss_breaks * first))


def gained(accuracy: Column, limits: Thresholds) -> tuple[float, float]:
    """The best accuracy before the last part of the run, and in that part; 0 before where the part is all of it."""
    part = max(1, round(limits.late_share * len(accuracy)))
    return float(accuracy[:-part].max(initial=0)), float(accuracy[-part:].max())


def still_rising(e: Evidence, limits: Thresholds) -> bool:
    """Whether validation and training pictures together were answered better in the last part, beyond chance."""
    val, train = (gained(e.column(name), limits) for name in ("val_accuracy", "train_eval_accuracy"))
    count = e.val_count + e.probe_count
    before, after = ((v * e.val_count + t * e.probe_count) / max(count, 1) for v, t in zip(val, train, strict=True))
    return (
        val[1] - val[0] >= limits.late_gain
        and after - before >= limits.late_gain
        and surely_apart(after, count, before, count)
    )


def stopped_unlearned(e: Evidence, limits: Thresholds) -> bool:
    """Whether the training pictures were still answered badly at the end, and no better than before.

    Where training accuracy was not measured, validation must be near chance for that.
    """
    if not e.has("train_eval_accuracy"):
        return e.has("val_accuracy") and float(e.column("val_accuracy")[-1]) < e.chance + 0.1
    train = float(e.column("train_eval_accuracy")[-1])
    return surely_below(train, e.probe_count, limits.underfit_accuracy) and not still_rising(e, limits)
