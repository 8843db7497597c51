"""The rule over pairs of classes: one that is swallowed by another, or whose labels have become the other's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.diagnose.chance import FEWEST, OF_MANY, surely_above, surely_apart
from mien.diagnose.evidence import Evidence
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict
from mien.evaluate.metrics import confusion_matrix
from mien.page.words import percent


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
    # Of a net that has learned little, what it confuses says nothing.
    if moved is None and (
        share[right, other] < limits.confused_share or confusion.trace() / max(confusion.sum(), 1) < e.chance + 0.2
    ):
        return None
    count, own = int(confusion[right, other]), int(confusion[right, right])
    swallowed = _swallows(confusion, right, other) and not _is_rare(e, a.labels[right], a.labels[other], limits)
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


def _swallows(confusion: NDArray[np.int64], right: int, other: int) -> bool:
    """Whether pictures of the one are called the other more often than their own name, beyond chance."""
    count, own = int(confusion[right, other]), int(confusion[right, right])
    return surely_above(count / max(count + own, 1), count + own, 0.5)


def _is_rare(e: Evidence, name: str, than: str, limits: Thresholds) -> bool:
    """Whether training has so few of a class that its pictures go to the other for that reason alone."""
    train = e.counts.get("train", {})
    return bool(train) and train.get(than, 0) > limits.rarer * train.get(name, 0)


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


def _moved(one: float, one_count: int, other: float, other_count: int) -> float:
    """How far two shares of a class are apart; 0 where chance explains it."""
    high, low = sorted(((one, one_count), (other, other_count)), reverse=True)
    return high[0] - low[0] if surely_apart(*high, *low, deviations=OF_MANY) else 0.0


def _moved_labels(e: Evidence, confusion: NDArray[np.int64]) -> tuple[int, int] | None:
    """The classes (from, to) between which labels of training seem to have moved; None: no such pair.

    The share of the one is below validation's, the other's above it, both beyond chance and by about as much, no other
    class moved as far, and pictures of the one are called the other more often than those of the rest, or than right.
    """
    assert e.answers is not None
    labels = e.answers.labels
    train, val = (np.array([e.counts.get(s, {}).get(name, 0) for name in labels], float) for s in ("train", "val"))
    if not train.sum() or not val.sum():
        return None
    a, b = train / train.sum(), val / val.sum()
    lost, gained = int((a - b).argmin()), int((a - b).argmax())
    counts = int(train.sum()), int(val.sum())
    far = np.array([_moved(x, counts[0], y, counts[1]) for x, y in zip(a.tolist(), b.tolist(), strict=True)])
    less, more = sorted((far[lost], far[gained]))
    if less <= 0 or more > 2 * less or np.delete(far, [lost, gained]).max(initial=0) > less / 2:
        return None
    rest = np.delete(confusion, [lost, gained], axis=0)
    own, called = int(confusion[lost].sum()), int(rest.sum())
    if own < FEWEST or not called:
        return None
    if not _swallows(confusion, lost, gained) and not surely_apart(
        confusion[lost, gained] / own, own, rest[:, gained].sum() / called, called
    ):
        return None
    return lost, gained


RULES = (confused_pair,)
