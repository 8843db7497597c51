"""What a batch costs: the recipe's losses over both heads, one value for each picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.core.recipe import Recipe
from mien.train import losses
from mien.train.batches import Pictures

# For each head what teachers say (n, K) of a batch, None where none teaches it.
Taught = tuple[Tensor | None, ...]


@final
class Objective:
    """Called with logits and the pictures they belong to, returns their losses.

    Args:
        recipe: its tables `loss` and `distill`.
        pictures: labels, votes and weights of the training set.
        class_weights: (K,) of the first head's labels; None: all 1.

    Attributes:
        teachers: for each head the teachers' answers (N, K) at the temperature of `distill`, None without.
        present: teachers that are asked in each step instead, if any are.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: Pictures,
        *,
        class_weights: NDArray[np.float32] | None = None,
    ) -> None:
        self.config, self.distill, self.pictures = recipe.loss, recipe.distill, pictures
        self.teachers: Sequence[Tensor | None] = (None, None)
        self.present: Callable[[Tensor], Taught] | None = None
        self.class_weight: Tensor | None = None
        if class_weights is not None:
            weights = torch.from_numpy(class_weights).to(pictures.labels.device)
            self.class_weight = weights[pictures.labels.clamp_min(0)]

    def said(self, pictures: Tensor) -> Taught | None:
        """What teachers that are asked in each step say of the batch (n, C, h, w) that is fed; None without them."""
        return self.present(pictures) if self.present is not None else None

    def __call__(
        self, logits: tuple[Tensor, ...], rows: Tensor, points: Tensor | None = None, said: Taught | None = None
    ) -> Tensor:
        """Losses (n,), times the pictures' own weights.

        A picture without target for a head adds nothing, so parts of a batch add up.

        Args:
            logits: float32, (n, K) for each head.
            rows: positions (n,) in the training set.
            points: (n, 1), uniform in 0–1: what the scheme `probability` draws its targets with.
            said: see there; None: the answers of `teachers` count, if there are any.
        """
        if said is None:
            said = tuple(None if answers is None else answers[rows] for answers in self.teachers)
        loss = self._taught(self._label_loss(logits[0], rows), logits[0], said[0])
        if self.pictures.votes is not None and len(logits) > 1:
            votes = self._taught(self._vote_loss(logits[1], rows, points), logits[1], said[1])
            loss = loss + self.config.votes_weight * votes
        return loss * self.pictures.weight[rows]

    def _label_loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        config, labels = self.config, self.pictures.labels[rows]
        if config.name == "focal":
            loss = losses.focal(logits, labels, config.focal_gamma, config.label_smoothing)
        elif config.name == "svm":
            loss = losses.squared_hinge(logits, labels)
        else:
            loss = losses.smoothed_cross_entropy(logits, labels, config.label_smoothing)
        return loss if self.class_weight is None else loss * self.class_weight[rows]

    def _vote_loss(self, logits: Tensor, rows: Tensor, points: Tensor | None) -> Tensor:
        assert self.pictures.votes is not None
        targets = self.pictures.votes[rows]
        if self.config.vote_scheme == "multi-target":
            return losses.best_of_targets(logits, targets)
        if points is not None:
            targets = drawn(targets, points)
        return losses.soft_cross_entropy(logits, targets)

    def _taught(self, own: Tensor, logits: Tensor, said: Tensor | None) -> Tensor:
        """A head's own loss and, where it has teachers, what they said, by the weight of `distill`."""
        if said is None:
            return own
        taught = losses.distillation(logits, said, self.distill.temperature)
        return (1 - self.distill.weight) * own + self.distill.weight * taught


def drawn(targets: Tensor, points: Tensor) -> Tensor:
    """One class, as one-hot (n, K), for each distribution by a point (n, 1) in 0–1; rows of zeros stay zero."""
    edges = targets.cumsum(1)
    chosen = (points * edges[:, -1:] >= edges).sum(1).clamp(max=targets.shape[1] - 1)
    one_hot = torch.eye(targets.shape[1], device=targets.device)[chosen]
    return torch.where(targets.any(1, keepdim=True), one_hot, targets)
