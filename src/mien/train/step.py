"""One step: draw, augment, forward, loss, backward, update, average. The only place where weights change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.train.average import Average, make_average
from mien.train.batches import TARGETS, TORCH, Batch, Pictures, generator
from mien.train.inputs import Inputs, make_inputs
from mien.train.machine import Machine
from mien.train.objective import Objective
from mien.train.optim import Optimiser
from mien.train.schedule import Plateau, rate_factor


@dataclass
class Learner:
    """What a training changes: the model (wrapped for many processes), optimiser, averages, plateau."""

    model: nn.Module
    wrapped: nn.Module
    optimiser: Optimiser
    average: Average | None
    plateau: Plateau

    def averaged(self) -> dict[str, Tensor]:
        """The weights that are validated and exported: the averages where there are any."""
        return self.average.state if self.average and self.average.state else self.model.state_dict()


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        loss: mean over the global batch.
        gradient_norm: before clipping.
        learning_rate: of this step.
        input_seconds: spent on gathering and augmenting the batch.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    input_seconds: float


class DivergedError(MienError):
    """The loss or a weight is not finite."""


class Step:
    """Calls with a learner and a batch do one update and return a `StepResult`.

    Args:
        recipe: the recipe, with the keys of the phase in it.
        pictures: the training set.
        machine: whose processes share each batch.
        objective: what a batch costs; None: the recipe's losses without class weights and teachers.
        size: side in px to which augmented pictures are resized; None: as they are.

    Attributes:
        own_rate: the learning rate of the step with so many before it; None: as the recipe's schedule says.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: Pictures,
        machine: Machine,
        *,
        objective: Objective | None = None,
        size: int | None = None,
    ) -> None:
        self.recipe, self.pictures, self.machine, self.size = recipe, pictures, machine, size
        self.objective = objective or Objective(recipe, pictures)
        self.own_rate: Callable[[int], float] | None = None

    def __call__(self, learner: Learner, batch: Batch) -> StepResult:
        recipe = self.recipe
        rate = self.rate_of(learner, batch)
        learner.optimiser.set_rate(rate)
        # Dropout masks depend on seed, step and process alone: a resumed run draws the same ones.
        seed = generator(recipe.train.seed, TORCH, batch.position, self.machine.rank).integers(2**62)
        torch.manual_seed(int(seed))
        started = perf_counter()
        fed = make_inputs(self.pictures.images, batch, recipe, size=self.size)
        input_seconds = perf_counter() - started
        learner.optimiser.zero_grad()
        with self.machine.autocast():
            logits = learner.wrapped(fed.pictures)
        loss = self._loss(tuple(x.float() for x in logits), fed, batch).mean()
        shown = self.machine.mean(loss.detach()).item()
        self._check(shown, batch)
        self.machine.backward(loss)
        norm = self._clip(learner.model)
        learner.optimiser.step()
        self.machine.share_buffers(learner.model)
        if learner.average:
            learner.average.after_step(learner.model, time=batch.time)
        return StepResult(shown, norm.item(), rate, input_seconds)

    def rate_of(self, learner: Learner, batch: Batch) -> float:
        """The learning rate of a batch's step."""
        if self.own_rate is not None:
            return self.own_rate(batch.position)
        factor = rate_factor(self.recipe, batch.time, learner.plateau.factor)
        return self.recipe.optimiser.learning_rate * factor

    def _loss(self, logits: tuple[Tensor, ...], fed: Inputs, batch: Batch) -> Tensor:
        """Losses (n,); of two pictures in one both losses, by their shares (arXiv 1710.09412, 1905.04899)."""
        points, said = self._points(batch), self.objective.said(fed.pictures)
        own = self.objective(logits, fed.rows, points, said)
        if fed.mixing is None:
            return own
        partners = torch.from_numpy(batch.indices[fed.mixing.partner]).to(fed.rows.device)
        share = torch.from_numpy(fed.mixing.weight).to(fed.rows.device)
        return own * share + self.objective(logits, partners, points, said) * (1 - share)

    def _points(self, batch: Batch) -> Tensor | None:
        """What the scheme `probability` draws targets with: (n, 1), uniform in 0–1."""
        if self.recipe.loss.vote_scheme != "probability":
            return None
        rng = generator(self.recipe.train.seed, TARGETS, batch.position)
        points = rng.random((len(batch.indices), 1), np.float32)[batch.part]
        return torch.from_numpy(points).to(self.pictures.labels.device)

    def _check(self, loss: float, batch: Batch) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at step {batch.position} (epoch {batch.epoch + 1}, batch {batch.step + 1})",
                hint="the last good state is kept: mien resume RUN --set optimiser.learning_rate=… (lower); "
                "or start a new run with optimiser.clip_norm",
            )

    def _clip(self, model: nn.Module) -> Tensor:
        limit = self.recipe.optimiser.clip_norm
        if limit is not None:
            return nn.utils.clip_grad_norm_(model.parameters(), limit)
        return nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


def make_learner(model: nn.Module, optimiser: Optimiser, recipe: Recipe, machine: Machine) -> Learner:
    """A learner at its start."""
    average = make_average(model, recipe)
    return Learner(model, machine.wrap(model), optimiser, average, Plateau(recipe.schedule))
