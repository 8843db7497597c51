"""Spaces to search: a recipe, keys with choices or ranges, how to search, when to give up. TOML in, data out."""

from __future__ import annotations

import itertools
import math
import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field, ValidationError, model_validator

from mien.core import recipe as recipes
from mien.core.errors import MienError, unknown_name
from mien.core.recipe import Recipe
from mien.core.spec import Frozen

Value = bool | int | float | str


class Key(Frozen):
    """The values that a recipe key may take: choices, or a range."""

    choices: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = Field(default=False, description="even in the logarithm, for rates and strengths")

    @model_validator(mode="after")
    def _agree(self) -> Key:
        if bool(self.choices) == (self.low is not None or self.high is not None):
            raise MienError("a key has either choices or low and high", hint="choices = [0.1, 0.03]")
        if self.choices:
            return self
        if self.low is None or self.high is None or not self.low < self.high or (self.log and self.low <= 0):
            raise MienError(f"low = {self.low}, high = {self.high} is no range", hint="low below high; log: above 0")
        return self


class Space(Frozen):
    """What to search, and how."""

    name: str = "unnamed"
    recipe: str
    set: tuple[str, ...] = Field(default=(), description="settings of all trials")
    search: Literal["grid", "tpe"] = "grid"
    trials: int | None = Field(default=None, ge=1, description="of tpe; a grid has as many as it has points")
    figure: Literal["last_val_accuracy", "best_val_accuracy"] = "last_val_accuracy"
    pruning: Literal["none", "median", "hyperband"] = "none"
    pruning_from_epoch: int = Field(default=3, ge=1, description="no trial is given up before this epoch has ended")
    seed: int = 0
    keys: dict[str, Key] = Field(min_length=1)

    @model_validator(mode="after")
    def _agree(self) -> Space:
        ranges = [name for name, key in self.keys.items() if not key.choices]
        if self.search == "grid" and (ranges or self.trials is not None):
            what = f"{ranges[0]} is a range" if ranges else "trials is of tpe"
            raise MienError(f"search = grid: {what}", hint="give choices to every key, or search = tpe")
        if self.search == "tpe" and self.trials is None:
            raise MienError("search = tpe has no end", hint="trials = 30")
        return self

    @property
    def points(self) -> list[dict[str, Value]]:
        """Settings of each trial; empty ones where the search chooses them."""
        if self.search == "tpe":
            return [{}] * (self.trials or 0)
        choices = [key.choices for key in self.keys.values()]
        return [dict(zip(self.keys, point, strict=True)) for point in itertools.product(*choices)]


def read(path: Path) -> Space:
    """A space from a TOML file, its ends tried out on the recipe, so that a wrong key fails before anything trains.

    Raises:
        MienError: no such file, damaged TOML, an unknown key or a value that the recipe refuses.
    """
    if not path.is_file():
        raise MienError(f"{path}: no such file", hint="docs/tuning.md shows one")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise MienError(f"{path}: not valid TOML ({error})") from None
    return build({"name": path.stem, **tree}, source=str(path))


def build(tree: dict[str, Any], *, source: str) -> Space:
    """A Space from nested dictionaries. Raises MienError that names the wrong key."""
    for key in tree:
        if key not in Space.model_fields:
            raise unknown_name(f"key of a space in {source}:", key, Space.model_fields)
    try:
        space = Space.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MienError(f"{source}: {where} = {first['input']!r}: {first['msg']}") from None
    except MienError as error:
        raise MienError(f"{source}: {error.message}", hint=error.hint) from None
    _try(space)
    return space


def _try(space: Space) -> None:
    """Build the recipe of every point of a grid, or of both ends of every key."""
    if space.search == "grid":
        for point in space.points:
            recipe(space, point)
        return
    for name, key in space.keys.items():
        for value in key.choices or (key.low, key.high):
            if value is not None:
                recipe(space, {name: value})


def recipe(space: Space, point: dict[str, Value]) -> Recipe:
    """The recipe of a point. Raises MienError when it does not stand."""
    return recipes.read(space.recipe, (*space.set, *(_setting(name, value) for name, value in point.items())))


def longest(space: Space) -> int:
    """Most epochs that a trial can have."""
    key = space.keys.get("train.epochs")
    found = [] if key is None else [*key.choices, key.high]
    own = recipes.read(space.recipe, space.set).train.epochs
    return max((math.ceil(value) for value in found if isinstance(value, int | float)), default=own)


def _setting(name: str, value: Value) -> str:
    """`key=value` as --set reads it, strings quoted: a net's option may be called none."""
    return f"{name}={tomli_w.dumps({'v': value}).partition('=')[2].strip()}"
