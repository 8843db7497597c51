"""Phases of a training: stretches of epochs with keys of their own, each with the whole recipe that holds in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mien.core.errors import MienError, unknown_name
from mien.core.invalid import invalid
from mien.core.recipe_keys import PhaseConfig

if TYPE_CHECKING:
    from mien.core.recipe import Recipe

CHECKED = "checked"  # in the context of a validation: the tables of the recipe are known to go together


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        number: from 1.
        first, end: its first epoch and the one after its last, from 0.
        config: its own keys.
        recipe: the run's recipe with them in it, without phases.
    """

    number: int
    first: int
    end: int
    config: PhaseConfig
    recipe: Recipe


def phases(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a recipe, in order; a recipe without any has one, which is all of it.

    Raises:
        MienError: phases that do not add up to the training, or keys that do not go together in one of them.
    """
    configs = recipe.phases or (PhaseConfig(),)
    ends = _ends(configs, recipe.train.epochs)
    starts = [0, *ends[:-1]]
    return tuple(
        Phase(i, start, end, config, _merged(recipe, config, i) if recipe.phases else recipe)
        for i, (config, start, end) in enumerate(zip(configs, starts, ends, strict=True), 1)
    )


def _ends(configs: tuple[PhaseConfig, ...], epochs: int) -> list[int]:
    lengths = [config.epochs for config in configs]
    for number, length in enumerate(lengths[:-1], 1):
        if length is None:
            raise MienError(f"phases: phase {number} has no epochs", hint="only the last phase may go on to the end")
    *starts, total = accumulate((length or 0 for length in lengths), initial=0)
    if starts[-1] >= epochs:
        longest = max(range(len(lengths) - 1), key=lambda i: lengths[i] or 0) + 1
        raise MienError(
            f"phases: they take {starts[-1]} epochs before the last phase begins, train.epochs is {epochs}",
            hint=f"train.epochs of at least {starts[-1] + 1}, or shorten phases.{longest}.epochs",
        )
    if lengths[-1] is not None and total != epochs:
        raise MienError(
            f"phases: they take {total} epochs, train.epochs is {epochs}",
            hint="leave out epochs of the last phase, which then goes on to the end, or change train.epochs",
        )
    return [*starts[1:], epochs]


def _merged(recipe: Recipe, config: PhaseConfig, number: int) -> Recipe:
    _check(recipe, config, number)
    tree: dict[str, Any] = recipe.model_dump() | {"phases": ()}
    tree["augment"] |= config.augment
    tree["data"]["sampler"] = config.sampler or recipe.data.sampler
    tree["optimiser"]["learning_rate"] *= config.learning_rate_factor
    try:
        # What recipe_check asks, no phase changes.
        return type(recipe).model_validate(tree, context={CHECKED: True})
    except ValidationError as error:
        raise invalid(f"phase {number}", error) from None
    except MienError as error:
        raise MienError(f"phase {number}: {error.message}", hint=error.hint) from None


def _check(recipe: Recipe, config: PhaseConfig, number: int) -> None:
    for key in config.augment:
        known = type(recipe.augment).model_fields
        if key not in known:
            raise unknown_name(f"key of phase {number}:", f"augment.{key}", [f"augment.{name}" for name in known])
    if config.size is not None and recipe.data.crop is not None and config.size > recipe.data.crop:
        raise MienError(
            f"phase {number}: size = {config.size} is larger than data.crop = {recipe.data.crop}",
            hint="a phase reduces the pictures; leave size out for all of them",
        )
    if config.pictures == "hard" and number == 1 and recipe.model.start_from is None:
        raise MienError(
            "phase 1: pictures = hard, but an untrained net gets nearly everything wrong",
            hint="begin with a phase on all pictures, or with model.start_from",
        )
