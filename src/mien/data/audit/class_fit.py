"""Do val and test have train's proportions of classes?"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from mien.data.audit.counts import count
from mien.data.audit.finding import Figure, Finding, Severity
from mien.page.words import listed, percent

# Cohen's w: .1 small, .3 medium (Cohen 1988); chance is ruled out first.
NOTE_W, WARN_W, CHANCE = 0.1, 0.3, 0.001


def class_fit(label: NDArray[np.integer], split: NDArray[np.str_], names: Sequence[str]) -> Finding:
    """The finding `class-fit` of labels (N,), −1 for none, split names (N,) and K class names."""
    found = count(label, split, names)
    train = found.of("train")
    severity = Severity.FINE
    said: list[str] = []
    figures: dict[str, Figure] = {}
    for other in found.splits:
        row = found.of(other)
        if other == "train" or not row.any() or not train.any():
            continue
        w, chance = association(train, row)
        figures |= {f"{other}_w": round(w, 4), f"{other}_p": float(f"{chance:.3g}")}
        if chance < CHANCE and w >= NOTE_W:
            severity = max(severity, Severity.WARNING if w >= WARN_W else Severity.NOTE)
            said.append(f"{other} has not train's proportions of classes (w = {w:.2f}): {_largest(train, row, names)}.")
        else:
            said.append(f"{other} has train's proportions of classes (w = {w:.2f}).")
    return Finding(
        name="class-fit",
        severity=severity,
        verdict=" ".join(said) or "Only one split has labels: there are no proportions to compare.",
        why="Accuracy weighs each class by its pictures: with other proportions it is another figure.",
        action="" if severity == Severity.FINE else "Read macro-F1 and recalls, or split anew: mien data split.",
        figures=figures,
    )


def association(first: NDArray[np.integer], second: NDArray[np.integer]) -> tuple[float, float]:
    """Cohen's w of two rows of counts (K,), and the probability of so much by chance (chi-squared test).

    Both rows weigh the same whatever their length, and what chance alone would bring on average is taken off w².
    """
    table = np.stack([first, second])[:, (first + second) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = chi2_contingency(table, correction=False)
    by_chance = result.dof / 4 * (1 / int(first.sum()) + 1 / int(second.sum()))
    shares = table / table.sum(1, keepdims=True)
    expected = shares.mean(0)
    w2 = float((np.square(shares - expected) / expected).mean(0).sum())
    return sqrt(max(w2 - by_chance, 0.0)), float(result.pvalue)


def _largest(first: NDArray[np.integer], second: NDArray[np.integer], names: Sequence[str]) -> str:
    """The classes whose shares differ most, in words."""
    a, b = first / first.sum(), second / second.sum()
    most = np.argsort(-np.abs(b - a), kind="stable")[:2]
    return listed([f"{names[i]} {percent(b[i], 1)} instead of {percent(a[i], 1)}" for i in most])
