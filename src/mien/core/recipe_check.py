"""Keys of different tables of a recipe that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.core.recipe import Recipe
    from mien.core.recipe_keys import ScheduleConfig


def check(recipe: Recipe) -> None:
    """Raises MienError for keys of different tables that make no sense together."""
    _check_start(recipe)
    _check_heads(recipe)
    _check_validation(recipe)
    _check_warm_up(recipe)
    _check_averages(recipe)
    _check_snapshots(recipe)


def _check_start(recipe: Recipe) -> None:
    model = recipe.model
    for key, on in (("start_dirac", model.start_dirac), ("start_whitening", model.start_whitening)):
        if on and model.start_from:
            raise MienError(f"model.{key} would overwrite the weights of model.start_from", hint="take one of them")


def _check_heads(recipe: Recipe) -> None:
    if recipe.distill.teachers and recipe.distill.weight == 0:
        raise MienError("distill.weight = 0: nothing would be learned from distill.teachers", hint="such as 0.7")
    if recipe.data.votes and recipe.loss.votes_weight == 0:
        raise MienError(
            "loss.votes_weight = 0 would leave the FER+ head as it began, to be measured and exported all the same",
            hint="data.votes = false makes no such head",
        )


def _check_validation(recipe: Recipe) -> None:
    if recipe.data.train_on_val and recipe.stopping.patience_epochs is not None:
        raise MienError(
            "stopping.patience_epochs asks validation, which data.train_on_val trains on",
            hint="stopping.patience_epochs=none, and train.epochs as many as were right without validation",
        )


def _check_warm_up(recipe: Recipe) -> None:
    warm, epochs = recipe.schedule.warmup_epochs, recipe.train.epochs
    if warm >= epochs:
        raise MienError(
            f"schedule.warmup_epochs = {warm:g} takes all of train.epochs = {epochs}: the rate never gets to the top",
            hint=f"such as schedule.warmup_epochs={epochs / 10:g}",
        )


def _check_averages(recipe: Recipe) -> None:
    average, epochs = recipe.average, recipe.train.epochs
    if average.swa_from_epoch is not None and average.swa_from_epoch > epochs:
        raise MienError(
            f"average.swa_from_epoch = {average.swa_from_epoch} comes after the last epoch, {epochs}",
            hint="three quarters of the epochs are usual",
        )
    if average.swa_rate is not None and (average.swa_from_epoch or 0) - 1 < recipe.schedule.warmup_epochs:
        raise MienError(
            f"average.swa_rate begins with epoch {average.swa_from_epoch}, within schedule.warmup_epochs = "
            f"{recipe.schedule.warmup_epochs:g}",
            hint="a later average.swa_from_epoch: three quarters of the epochs are usual",
        )
    if average.ema_warmup_epochs >= epochs:
        raise MienError(
            f"average.ema_warmup_epochs = {average.ema_warmup_epochs:g} leaves none of {epochs} epochs to average",
            hint="lower it",
        )


def _check_snapshots(recipe: Recipe) -> None:
    average, epochs = recipe.average, recipe.train.epochs
    if average.snapshot_epochs is not None and average.snapshot_epochs > epochs:
        raise MienError(
            f"average.snapshot_epochs = {average.snapshot_epochs} comes after the last epoch, {epochs}",
            hint="lower it: no snapshot would be taken",
        )
    if recipe.schedule.name == "cosine-restarts" and average.snapshots and average.snapshot_epochs is None:
        _check_cycles(recipe.schedule, epochs)


def _check_cycles(schedule: ScheduleConfig, epochs: int) -> None:
    """Snapshots at ends of cycles need cycles that end with an epoch."""
    cycle = schedule.cycle_epochs
    end = schedule.warmup_epochs + cycle
    if end > epochs:
        raise MienError(
            f"average.snapshots: no cycle ends within train.epochs = {epochs}",
            hint="shorten schedule.cycle_epochs, or set average.snapshot_epochs",
        )
    while end <= epochs:
        if end % 1:
            raise MienError(
                f"average.snapshots at ends of cycles: the cycles do not end with an epoch, one ends at {end:g}",
                hint="whole schedule.warmup_epochs, cycle_epochs and cycle_growth, or set average.snapshot_epochs",
            )
        cycle *= schedule.cycle_growth
        end += cycle
