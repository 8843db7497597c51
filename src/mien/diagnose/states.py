"""States that a run can be in and that more than one rule has to know of."""

from __future__ import annotations

import math

from mien.diagnose.evidence import Evidence
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


def exploded(e: Evidence, limits: Thresholds) -> bool:
    """Whether the loss was no number any more, or rose far above the first epoch's or the first step's."""
    if e.diverged is not None:
        return True
    if not e.has("train_loss"):
        return False
    loss = e.column("train_loss")
    first = float(e.column("first_loss")[0]) if e.has("first_loss") else math.inf
    return bool(loss.max() > min(limits.loss_explodes * loss[0], limits.loss_breaks * first))
