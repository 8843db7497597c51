"""How many pictures each class has in each split, and what follows from that for training and for measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Figure, Finding, Plot, Severity
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats.base import Progress
from mien.page.words import listed, plural

# Largest to smallest class of train. SageMaker Debugger's ClassImbalance warns above 10; a note from half way there
# on a logarithmic scale.
WARN_RATIO, NOTE_RATIO = 10.0, 10**0.5
# Fewer pictures of a class in val or test leave its recall unknown by more than ±10 points (95 %, at a recall of .5).
FEW_MEASURED = 96
MOST_NAMED = 2  # a split; all of them stand in the table of counts
# Effective number of samples (1 − βⁿ)/(1 − β): Cui et al. 2019, arXiv 1901.05555, equation 2; β = .9999 is the value
# they found best on CIFAR-10 (section 5.2).
BETA = 0.9999
_WHY = (
    "A net learns rare classes last and answers them least; and what is measured on few pictures is known only "
    "roughly, however many digits it is printed with."
)


@dataclass(frozen=True)
class Counts:
    """Pictures by split and class.

    Attributes:
        table: int64 (S, K), splits in rows.
        splits: the S names, train first.
        names: the K classes.
    """

    table: NDArray[np.int64]
    splits: tuple[str, ...]
    names: tuple[str, ...]

    def of(self, split: str) -> NDArray[np.int64]:
        """Pictures of each class (K,); zeros for a split that is not there."""
        if split not in self.splits:
            return np.zeros(len(self.names), np.int64)
        row: NDArray[np.int64] = self.table[self.splits.index(split)]
        return row


def count(label: NDArray[np.integer], split: NDArray[np.str_], names: Sequence[str]) -> Counts:
    """Count labels (N,) by split (N,); pictures with a negative label are left out."""
    found = set(split.tolist())
    present = [*(name for name in SPLITS if name in found), *sorted(found - set(SPLITS))]
    table = [np.bincount(label[(split == name) & (label >= 0)], minlength=len(names)) for name in present]
    return Counts(np.array(table, np.int64).reshape(len(present), len(names)), tuple(present), tuple(names))


def effective_number(pictures: NDArray[np.integer], *, beta: float = BETA) -> NDArray[np.float64]:
    """Effective number of samples of classes with `pictures` (K,) each: (1 − βⁿ)/(1 − β).

    Source: Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples", arXiv 1901.05555, equation 2.
    """
    return np.asarray((1 - np.power(beta, pictures)) / (1 - beta), np.float64)


def counts(label: NDArray[np.integer], split: NDArray[np.str_], names: Sequence[str]) -> Finding:
    """The finding `counts` of labels (N,), −1 for none, split names (N,) and K class names."""
    found = count(label, split, names)
    severity, troubles = _troubles(found)
    train = found.of("train")
    return Finding(
        name="counts",
        severity=severity,
        verdict=" ".join([_summary(found), *troubles]),
        why=_WHY,
        action=_action(found) if troubles else "",
        figures=_figures(found, unlabelled=int((label < 0).sum())),
        plots=(
            Plot("Pictures of each class", found.names, dict(zip(found.splits, found.table, strict=True)), "pictures"),
            Plot(
                "Training pictures, and their effective number",
                found.names,
                {"pictures": train, "effective number": effective_number(train).round(0)},
                f"β = {BETA}",
            ),
        ),
    )


def check(data: Dataset, tell: Progress) -> list[Finding]:
    """Counts of a packed set."""
    tell(len(data), len(data))
    return [counts(data.label, data.split, data.labels.names)]


def _troubles(found: Counts) -> tuple[Severity, list[str]]:
    """The worst severity, and a sentence for each trouble."""
    severity, said = Severity.FINE, []
    ratio = _ratio(found.of("train"))
    if ratio > NOTE_RATIO:
        severity = Severity.WARNING if ratio > WARN_RATIO else Severity.NOTE
        small, large = _extremes(found)
        said.append(f"Train has {ratio:.1f} times as many pictures of {large} as of {small}.")
    for name in found.splits:
        row = found.of(name)
        missing = np.flatnonzero(row == 0)
        if len(missing) and row.any():  # a split without any label is for prediction
            # What is measured but was never shown makes figures of the whole misleading.
            measured = name == "train" and found.table[:, missing].any()
            severity = max(severity, Severity.SEVERE if measured else Severity.WARNING)
            said.append(f"No picture in {name} of {listed([found.names[i] for i in missing])}.")
    for split in found.splits:
        if few := _few(found, split):
            severity = max(severity, Severity.NOTE)
            said.append(few)
    return severity, said


def _few(found: Counts, split: str) -> str:
    """A sentence on the classes of val or test with few pictures, and how far off their recall may be; or none."""
    row = found.of(split)
    few = np.flatnonzero((row > 0) & (row < FEW_MEASURED))
    if split == "train" or not len(few):
        return ""
    told = [
        f"{found.names[i]} in {split} ({plural(number, 'picture')}: recall ±{100 * 0.98 / sqrt(number):.0f} points)"
        for number, i in sorted(zip(row[few].tolist(), few.tolist(), strict=True))
    ]
    if len(told) <= MOST_NAMED:
        return f"Too few to measure well: {listed(told)}."
    return f"Too few to measure well: {len(told)} classes in {split}, of which {told[0]} has the fewest."


def _ratio(pictures: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """Largest to smallest class, of those that are there; 1 without any."""
    present = pictures[pictures > 0]
    return float(present.max() / present.min()) if len(present) else 1.0


def _extremes(found: Counts) -> tuple[str, str]:
    train = found.of("train")
    present = np.flatnonzero(train)
    small, large = present[train[present].argmin()], int(train.argmax())
    return found.names[small], found.names[large]


def _summary(found: Counts) -> str:
    parts = [f"{name} {int(row.sum()):,}" for name, row in zip(found.splits, found.table, strict=True)]
    return f"{plural(int(found.table.sum()), 'labelled picture')} in {len(found.names)} classes: {listed(parts)}."


def _action(found: Counts) -> str:
    if "train" in found.splits and (found.of("train") == 0).any():
        return "Add pictures of the missing class, or leave it out (mien data subset DATA --drop CLASS --out NEW)."
    return (
        "Read macro-F1 and the recall of each class, not accuracy alone. A class-balanced sampler or loss weights lift "
        "rare classes at some cost to common ones; more pictures of the rare class do better."
    )


def _figures(found: Counts, *, unlabelled: int) -> dict[str, Figure]:
    train = found.of("train")
    effective = effective_number(train)
    figures: dict[str, Figure] = {
        "pictures": int(found.table.sum()),
        "unlabelled": unlabelled,
        "largest_to_smallest": round(_ratio(train), 2),
        "effective_largest_to_smallest": round(_ratio(effective), 2),
    }
    for split, row in zip(found.splits, found.table, strict=True):
        figures |= {f"{split}_{name}": int(c) for name, c in zip(found.names, row, strict=True)}
    return figures | {f"effective_{n}": round(float(e), 1) for n, e in zip(found.names, effective, strict=True)}
