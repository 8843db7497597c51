"""The training loop: epochs of steps, a measurement after each, checkpoints between."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from mien.core.files import write_json
from mien.core.recipe import Recipe
from mien.train import checkpoint
from mien.train.batches import Pictures
from mien.train.checkpoint import Progress
from mien.train.freeze import frozen_norms, train_mode
from mien.train.health import health_row, watched
from mien.train.machine import Machine
from mien.train.measure import Measured, measure
from mien.train.norms import estimate_norms
from mien.train.stages import Stage, Stages
from mien.train.step import DivergedError, Learner
from mien.train.store import RunStore


class Watcher(Protocol):
    """Sees how far a training is; draws a progress bar or nothing."""

    def step(self, progress: Progress, *, waited: float) -> None:
        """After each step; `waited` seconds were spent on gathering and augmenting its batch."""

    def epoch(self, row: dict[str, float | int]) -> None:
        """After each epoch."""


@dataclass(frozen=True)
class Parts:
    """What the loop works with.

    Attributes:
        stages: the phases, each with its batches and step.
        evaluated: the net that is measured, with the weights that count.
        val: the validation pictures.
        probe: training pictures that are measured like them, if any are.
        norms: training pictures (n, C, H, W) on which norms of averaged weights are estimated, where that is needed.
        store: writes what users see.
    """

    recipe: Recipe
    machine: Machine
    stages: Stages
    evaluated: nn.Module
    val: Pictures
    probe: Pictures | None
    norms: Tensor | None
    store: RunStore


def fit(parts: Parts, learner: Learner, progress: Progress, watcher: Watcher) -> Progress:
    """Train from where `progress` stands to the end of the recipe or until early stopping.

    Raises:
        DivergedError: the loss or a weight is not finite, which is also noted in the run.
    """
    try:
        return _fit(parts, learner, progress, watcher)
    except DivergedError as error:
        if parts.machine.is_first:
            told = {"epoch": progress.epoch + 1, "step": progress.step, "message": error.message}
            write_json(parts.store.run.diverged, told)
        raise


def _fit(parts: Parts, learner: Learner, progress: Progress, watcher: Watcher) -> Progress:
    rehearse(parts, learner)
    # A kill may have come between saving and publishing; inside an epoch the averages have moved on already.
    if progress.epoch and not progress.step and parts.machine.is_first:
        parts.store.publish(learner, progress)
    while progress.epoch < parts.recipe.train.epochs and not progress.stopped:
        stage = parts.stages.at(learner, progress)
        _epoch(parts, stage, learner, progress, watcher)
        _close(parts, stage, learner, progress)
        watcher.epoch(progress.rows[-1])
    return progress


def rehearse(parts: Parts, learner: Learner) -> None:
    """Measure two validation batches, so that a fault there shows now and not after the first epoch."""
    parts.evaluated.load_state_dict(learner.averaged())
    size = parts.recipe.train.eval_batch_size
    measure(parts.evaluated, parts.val, parts.machine, batch_size=size, batches=2)


def _epoch(parts: Parts, stage: Stage, learner: Learner, progress: Progress, watcher: Watcher) -> None:
    train_mode(learner.model)
    progress.per_epoch = stage.batches.per_epoch
    every = parts.recipe.train.checkpoint_minutes * 60
    saved = before = time.perf_counter()
    for batch in stage.batches.epoch(progress.epoch, first=progress.step):
        result = watched(stage.step, learner, batch, progress)
        progress.step += 1
        progress.position += 1
        progress.loss_sum += result.loss
        progress.norm_sum += result.gradient_norm
        progress.learning_rate = result.learning_rate
        now = time.perf_counter()
        progress.seconds += now - before
        before = now
        watcher.step(progress, waited=result.input_seconds)
        if every and now - saved > every and parts.machine.is_first:
            checkpoint.save(parts.store.run.resume, learner, progress)
            saved = before = time.perf_counter()


def _close(parts: Parts, stage: Stage, learner: Learner, progress: Progress) -> None:
    """Measure, note the epoch in the history, save."""
    started = time.perf_counter()
    _average(parts, learner, epoch=progress.epoch + 1)
    size = parts.recipe.train.eval_batch_size
    val = measure(parts.evaluated, parts.val, parts.machine, batch_size=size)
    probe = measure(parts.evaluated, parts.probe, parts.machine, batch_size=size) if parts.probe else None
    progress.rows.append(_row(progress, val, probe))
    looked_at = parts.probe or parts.val
    progress.health.append(health_row(parts.evaluated, learner, looked_at, progress, parts.machine))
    _judge(parts.recipe, progress, val, may_stop=_may_stop(parts, stage, progress.epoch + 1))
    if parts.recipe.schedule.name == "plateau":
        # A set with votes alone has no loss of labels: then the share of wrong answers to the votes.
        learner.plateau.update(1 - val.votes_accuracy if math.isnan(val.accuracy) else val.loss)
    progress.epoch += 1
    progress.step, progress.loss_sum, progress.norm_sum, progress.clipped = 0, 0.0, 0.0, 0
    progress.seconds += time.perf_counter() - started
    if parts.machine.is_first:
        checkpoint.save(parts.store.run.resume, learner, progress)
        parts.store.publish(learner, progress)
    parts.machine.wait()


def _average(parts: Parts, learner: Learner, *, epoch: int) -> None:
    """Let averages take in the epoch (from 1), and put the weights that count into `parts.evaluated`."""
    average = learner.average
    if average:
        average.after_epoch(learner.model, epoch=epoch)
    parts.evaluated.load_state_dict(learner.averaged())
    if average and average.state and parts.norms is not None:
        size, kept = parts.recipe.train.eval_batch_size, frozen_norms(learner.model)
        estimate_norms(parts.evaluated, parts.norms, parts.machine, batch_size=size, kept=kept)
        average.state = {name: tensor.clone() for name, tensor in parts.evaluated.state_dict().items()}


def _row(progress: Progress, val: Measured, probe: Measured | None) -> dict[str, float | int]:
    steps = max(progress.step, 1)
    row: dict[str, float | int] = {
        "epoch": progress.epoch + 1,
        "step": progress.position,
        "learning_rate": progress.learning_rate,
        "train_loss": progress.loss_sum / steps,
        "gradient_norm": progress.norm_sum / steps,
    }
    if probe:
        row |= {"train_eval_loss": probe.loss, "train_eval_accuracy": probe.accuracy}
    row |= {"val_loss": val.loss, "val_accuracy": val.accuracy}
    if not math.isnan(val.votes_accuracy):
        row["val_ferplus_accuracy"] = val.votes_accuracy
    return row


def _may_stop(parts: Parts, stage: Stage, epoch: int) -> bool:
    """Whether early stopping counts `epoch` (from 1): in the last phase, and once SWA has something to average."""
    return parts.stages.is_last(stage.phase) and epoch >= (parts.recipe.average.swa_from_epoch or 0)


def _judge(recipe: Recipe, progress: Progress, val: Measured, *, may_stop: bool) -> None:
    """Whether this epoch is the best so far, and whether it is time to stop.

    Validation that is trained on cannot choose: then the last epoch is the best. A figure that is no number is worse
    than any other, and a set with votes alone is judged by them.
    """
    if recipe.data.train_on_val:
        progress.best, progress.best_epoch = val.accuracy, progress.epoch + 1
        return
    figure = val.accuracy if recipe.stopping.metric == "accuracy" else -val.loss
    if math.isnan(val.accuracy):
        figure = val.votes_accuracy
    if progress.best is None or math.isnan(progress.best) or figure > progress.best:
        progress.best, progress.best_epoch, progress.waited = figure, progress.epoch + 1, 0
        return
    progress.waited += may_stop
    patience = recipe.stopping.patience_epochs
    progress.stopped = patience is not None and progress.waited >= patience
