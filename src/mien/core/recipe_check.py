"""Keys of different tables of a recipe that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.core.recipe import Recipe


def check(recipe: Recipe) -> None:
    """Raises MienError for keys of start, distillation, averages and schedule that make no sense together."""
    _check_start(recipe)
    _check_distillation(recipe)
    _check_averages(recipe)
    _check_cycles(recipe)


def _check_start(recipe: Recipe) -> None:
    model = recipe.model
    for key, on in (("start_dirac", model.start_dirac), ("start_whitening", model.start_whitening)):
        if on and model.start_from:
            raise MienError(f"model.{key} would overwrite the weights of model.start_from", hint="take one of them")


def _check_distillation(recipe: Recipe) -> None:
    if recipe.distill.teachers and recipe.distill.weight == 0:
        raise MienError("distill.weight = 0: nothing would be learned from distill.teachers", hint="such as 0.7")


def _check_averages(recipe: Recipe) -> None:
    average, epochs = recipe.average, recipe.train.epochs
    if average.swa_from_epoch is not None and average.swa_from_epoch > epochs:
        raise MienError(
            f"average.swa_from_epoch = {average.swa_from_epoch} comes after the last epoch, {epochs}",
            hint="three quarters of the epochs are usual",
        )
    if average.ema_warmup_epochs >= epochs:
        raise MienError(
            f"average.ema_warmup_epochs = {average.ema_warmup_epochs:g} leaves none of {epochs} epochs to average",
            hint="lower it",
        )


def _check_cycles(recipe: Recipe) -> None:
    """Snapshots at ends of cycles need cycles that end with an epoch."""
    schedule, average = recipe.schedule, recipe.average
    if schedule.name != "cosine-restarts" or not average.snapshots or average.snapshot_epochs:
        return
    ends = schedule.warmup_epochs + schedule.cycle_epochs
    if ends % 1 or schedule.cycle_epochs % 1 or (schedule.cycle_epochs * schedule.cycle_growth) % 1:
        raise MienError(
            "average.snapshots at ends of cycles: the cycles of cosine-restarts do not end with an epoch",
            hint="whole schedule.warmup_epochs, cycle_epochs and cycle_growth, or set average.snapshot_epochs",
        )
    if ends > recipe.train.epochs:
        raise MienError(
            f"average.snapshots: no cycle ends within train.epochs = {recipe.train.epochs}",
            hint="shorten schedule.cycle_epochs, or set average.snapshot_epochs",
        )
