"""What a diagnosis looks at, as arrays and plain values: anyone's, of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.recipe import Recipe

Column = NDArray[np.float64]
HEALTH_PICTURES = 256  # behind a `probe_*`, `plain_*` or `batch_norm_*` figure, at most: `train.health.PICTURES`


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of validation: right classes (n,), probabilities (n, K), the K names."""

    ids: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Splits:
    """How validation relates to training, by pixels.

    Attributes:
        copied: share of validation pictures whose pixels or group are in training too.
        shift: mean brightness, and contrast, of validation minus training, in deviations of training's pictures.
        val_count: pictures of validation, with a label or without.
        looked_at: pictures of training, and of validation, behind `shift`.
    """

    copied: float
    shift: tuple[float, float]
    val_count: int
    looked_at: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Fed:
    """What the net is fed: mean and deviation in evaluation, and how training differs (a sentence; empty: not)."""

    mean: float
    deviation: float
    difference: str = ""


@dataclass(frozen=True, eq=False)
class Targets:
    """What training pictures count for in the loss of each head: their weight where they have a target, otherwise 0.

    Attributes:
        labels: (n,) of the label head.
        votes: (n,) of the FER+ head; 0 where there is none.
    """

    labels: Column
    votes: Column


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that rules may look at. What is missing is None or empty, and rules that need it stay silent.

    Attributes:
        recipe: how the run was trained.
        history: columns (epochs,) of `history.csv`, see docs/training.md.
        health: columns (epochs,) of `health.csv`, with `dead:LAYER` and `spread:LAYER`.
        counts: split → label → pictures.
        diverged: epoch, step and message where the loss was not finite.
        answers: to validation.
        splits: by pixels.
        fed: to the net.
        targets: of the pictures of an epoch.
        audit: what `audit.json` holds.
    """

    recipe: Recipe
    history: Mapping[str, Column]
    health: Mapping[str, Column] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    diverged: Mapping[str, Any] | None = None
    answers: Answers | None = None
    splits: Splits | None = None
    fed: Fed | None = None
    targets: Targets | None = None
    audit: Mapping[str, Any] | None = None

    def column(self, name: str) -> Column:
        """A column of the history or of health without missing values; empty when it is not there."""
        found = self.history.get(name, self.health.get(name, np.zeros(0)))
        return np.asarray(found, np.float64)

    def has(self, *names: str) -> bool:
        """Whether all these columns are there with a value in each epoch."""
        return all(len(c) > 0 and bool(np.isfinite(c).all()) for c in map(self.column, names))

    @property
    def epochs(self) -> int:
        return len(self.column("val_loss"))

    @property
    def chance(self) -> float:
        """Accuracy of always answering the most frequent class of validation; 0 where counts are missing."""
        val = self.counts.get("val", {})
        return max(val.values(), default=0) / max(sum(val.values()), 1)

    @property
    def train_count(self) -> int:
        """Pictures that are trained on."""
        return sum(self.counts.get("train", {}).values()) + (self.val_count if self.recipe.data.train_on_val else 0)

    @property
    def val_count(self) -> int:
        """Pictures behind a validation accuracy."""
        return sum(self.counts.get("val", {}).values())

    @property
    def probe_count(self) -> int:
        """Pictures behind a training accuracy in evaluation mode."""
        return min(self.recipe.train.probe, self.train_count)

    @property
    def health_count(self) -> int:
        """Pictures behind an accuracy of health.csv: training pictures, or validation where there is no probe."""
        return min(HEALTH_PICTURES, self.probe_count or self.val_count)
