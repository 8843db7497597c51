"""One step: draw, augment, forward, loss, backward, update, average. The only place where weights change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.augment import batched
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.train.average import Ema
from mien.train.batches import AUGMENT, TARGETS, TORCH, Batch, Pictures, generator
from mien.train.losses import best_of_targets, smoothed_cross_entropy, soft_cross_entropy
from mien.train.machine import Machine
from mien.train.optim import set_rate
from mien.train.schedule import Plateau, factor


@dataclass
class Learner:
    """What a training changes: the model (wrapped for many processes), optimiser, averages, plateau."""

    model: nn.Module
    wrapped: nn.Module
    optimiser: torch.optim.Optimizer
    ema: Ema | None
    plateau: Plateau

    def averaged(self) -> dict[str, Tensor]:
        """The weights that are validated and exported: the averages where there are any."""
        return self.ema.state if self.ema else self.model.state_dict()


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


class Step:
    """Calls with a learner and a batch do one update and return a `StepResult`."""

    def __init__(self, recipe: Recipe, pictures: Pictures, machine: Machine, *, per_epoch: int) -> None:
        self.recipe, self.pictures, self.machine = recipe, pictures, machine
        self.per_epoch = per_epoch

    def __call__(self, learner: Learner, batch: Batch) -> StepResult:
        position = batch.epoch * self.per_epoch + batch.step
        recipe = self.recipe
        time = batch.epoch + batch.step / self.per_epoch
        shape = factor(recipe.schedule, time, recipe.train.epochs) * learner.plateau.factor
        rate = recipe.optimiser.learning_rate * shape
        set_rate(learner.optimiser, rate)
        # Dropout masks depend on seed, step and process alone: a resumed run draws the same ones.
        seed = generator(recipe.train.seed, TORCH, position, self.machine.rank).integers(2**62)
        torch.manual_seed(int(seed))
        started = perf_counter()
        inputs, indices = self._inputs(batch, position)
        input_seconds = perf_counter() - started
        learner.optimiser.zero_grad(set_to_none=True)
        with self.machine.autocast():
            logits = learner.wrapped(inputs)
        loss = self._loss(tuple(x.float() for x in logits), batch, indices)
        shown = self.machine.mean(loss.detach()).item()
        self._check(shown, batch, position)
        self.machine.backward(loss)
        norm = self._clip(learner.model)
        learner.optimiser.step()
        self.machine.share_buffers(learner.model)
        if learner.ema:
            learner.ema.update(learner.model)
        return StepResult(shown, norm.item(), rate, input_seconds)

    def _inputs(self, batch: Batch, position: int) -> tuple[Tensor, Tensor]:
        recipe, images = self.recipe, self.pictures.images
        size = (images.shape[2], images.shape[3])
        rng = generator(recipe.train.seed, AUGMENT, position)
        crop = recipe.data.crop
        params = batched.draw(recipe.augment, rng, batch.indices, epoch=batch.epoch, size=size, crop=crop)
        indices = torch.from_numpy(batch.indices[batch.part]).to(images.device)
        inputs = batched.apply(images[indices], params[batch.part], recipe.augment, crop=crop)
        return inputs.contiguous(memory_format=torch.channels_last), indices

    def _loss(self, logits: tuple[Tensor, ...], batch: Batch, indices: Tensor) -> Tensor:
        """The mean over the batch; a picture without target for a head adds nothing, so parts of a batch add up."""
        config, pictures = self.recipe.loss, self.pictures
        loss = smoothed_cross_entropy(logits[0], pictures.labels[indices], config.label_smoothing)
        if pictures.votes is not None and len(logits) > 1:
            loss = loss + config.votes_weight * self._vote_loss(logits[1], batch, indices)
        return (loss * pictures.weight[indices]).mean()

    def _vote_loss(self, logits: Tensor, batch: Batch, indices: Tensor) -> Tensor:
        assert self.pictures.votes is not None
        targets = self.pictures.votes[indices]
        scheme = self.recipe.loss.vote_scheme
        if scheme == "multi-target":
            return best_of_targets(logits, targets)
        if scheme == "probability":
            targets = self._drawn(targets, batch)
        return soft_cross_entropy(logits, targets)

    def _drawn(self, targets: Tensor, batch: Batch) -> Tensor:
        """One class for each picture from its distribution; rows of zeros stay zero."""
        rng = generator(self.recipe.train.seed, TARGETS, batch.epoch * self.per_epoch + batch.step)
        points = rng.random((len(batch.indices), 1), np.float32)[batch.part]
        point = torch.from_numpy(points).to(targets.device)
        edges = targets.cumsum(1)
        drawn = (point * edges[:, -1:] >= edges).sum(1).clamp(max=targets.shape[1] - 1)
        one_hot = torch.eye(targets.shape[1], device=targets.device)[drawn]
        return torch.where(targets.any(1, keepdim=True), one_hot, targets)

    def _check(self, loss: float, batch: Batch, position: int) -> None:
        if not math.isfinite(loss):
            raise MienError(
                f"the loss became {loss} at step {position} (epoch {batch.epoch + 1}, batch {batch.step + 1})",
                hint="the last good state is kept: mien resume RUN --set optimiser.learning_rate=… (lower); "
                "or start a new run with optimiser.clip_norm",
            )

    def _clip(self, model: nn.Module) -> Tensor:
        limit = self.recipe.optimiser.clip_norm
        if limit is not None:
            return nn.utils.clip_grad_norm_(model.parameters(), limit)
        return nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


def make_learner(model: nn.Module, optimiser: Any, recipe: Recipe, machine: Machine) -> Learner:
    """A learner at its start."""
    wrapped = machine.wrap(model)
    ema = Ema(model, recipe.average.ema_decay) if recipe.average.ema_decay else None
    return Learner(model, wrapped, optimiser, ema, Plateau(recipe.schedule))
