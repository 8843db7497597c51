"""Spaces to search: a recipe, keys with choices or ranges, how to search, when to give up. TOML in, data out."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field, ValidationError, model_validator

from mien.core import recipe as recipes
from mien.core.errors import MienError, unknown_name
from mien.core.invalid import invalid
from mien.core.named_toml import parse
from mien.core.recipe import Recipe
from mien.core.spec import Frozen

Value = bool | int | float | str
Point = dict[str, Value]
_SEED = "train.seed"
_ALL_CORNERS = 200  # points of a search with ranges that are all tried; of more, those on the edges of one corner


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
        twice = next((choice for place, choice in enumerate(self.choices) if choice in self.choices[:place]), None)
        if twice is not None:
            raise MienError(f"choices hold {twice!r} twice, which would train the same twice", hint="name it once")
        if self.choices:
            return self
        if self.low is None or self.high is None or not self.low < self.high or (self.log and self.low <= 0):
            raise MienError(f"low = {self.low}, high = {self.high} is no range", hint="low below high; log: above 0")
        if math.isinf(self.low) or math.isinf(self.high):
            raise MienError(f"low = {self.low}, high = {self.high} has no end", hint="give two finite numbers")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether it is a range of whole numbers: both ends are."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def tried(self) -> tuple[Value, ...]:
        """All choices; of a range the ends, and where it is not of whole numbers something between."""
        if self.choices:
            return self.choices
        low, high = self.low or 0, self.high or 0
        return (low, high) if self.is_whole else (low, low + 0.382 * (high - low), high)


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
        if _SEED in self.keys:
            raise MienError(
                f"{_SEED} is no key to search: the best of some seeds is chance",
                hint="`mien repeat --seeds 3` shows what seeds change",
            )
        return self

    @property
    def points(self) -> list[Point]:
        """Settings of each trial; empty ones where the search chooses them."""
        if self.search == "tpe":
            return [{}] * (self.trials or 0)
        choices = [key.choices for key in self.keys.values()]
        return [dict(zip(self.keys, point, strict=True)) for point in itertools.product(*choices)]


def read(path: Path) -> Space:
    """A space from a TOML file, tried out on the recipe, so that a wrong key fails before anything trains.

    Raises:
        MienError: no such file, damaged TOML, an unknown key or a value that the recipe refuses.
    """
    if not path.is_file():
        raise MienError(f"{path}: no such file", hint="docs/tuning.md shows one")
    return build({"name": path.stem, **parse(path.read_bytes(), source=str(path))}, source=str(path))


def build(tree: dict[str, Any], *, source: str) -> Space:
    """A Space from nested dictionaries. Raises MienError that names the wrong key."""
    _check_keys(tree, source)
    try:
        space = Space.model_validate(tree)
    except ValidationError as error:
        raise invalid(source, error) from None
    except MienError as error:
        raise MienError(f"{source}: {error.message}", hint=error.hint) from None
    _try(space, source)
    return space


def _check_keys(tree: dict[str, Any], source: str) -> None:
    for key in tree:
        if key not in Space.model_fields:
            raise unknown_name(f"key of a space in {source}:", key, Space.model_fields)
    keys = tree.get("keys")
    for name, values in keys.items() if isinstance(keys, dict) else ():
        for key in values if isinstance(values, dict) else ():
            if key not in Key.model_fields:
                raise unknown_name(f"key of {name} in {source}:", key, Key.model_fields)


def _try(space: Space, source: str) -> None:
    """Build the recipe of every point of a grid, or of the corners of what a search may draw from.

    Whole points, since keys may need each other; a range that is not of whole numbers is asked for something between
    its ends, too, which a key of whole numbers refuses.
    """
    for point in tried(space):
        try:
            recipe(space, point)
        except MienError as error:
            hint = error.hint
            if any(not key.choices and not key.is_whole for key in space.keys.values()):
                hint = hint or "a range of whole numbers has two whole ends, such as low = 16, high = 128"
            raise MienError(f"{source}: {what_then(point, error)}", hint=hint) from None


def tried(space: Space) -> list[Point]:
    """Points that stand for all that a trial may have: all of a grid, the corners of what a search draws from."""
    return space.points if space.search == "grid" else _corners(space)


def what_then(point: Point, error: MienError) -> str:
    """What a trial of this point would fail with."""
    told = ", ".join(f"{name} = {value}" for name, value in point.items())
    return f"a trial might have {told}, and then: {error.message}"


def _corners(space: Space) -> list[Point]:
    """All combinations of choices and ends; where they are many, each of a key's beside the first of all others."""
    tried = {name: key.tried for name, key in space.keys.items()}
    if math.prod(map(len, tried.values())) <= _ALL_CORNERS:
        return [dict(zip(tried, point, strict=True)) for point in itertools.product(*tried.values())]
    first, last = ({name: values[place] for name, values in tried.items()} for place in (0, -1))
    return [first, last, *({**first, name: value} for name, values in tried.items() for value in values[1:])]


def recipe(space: Space, point: Point) -> Recipe:
    """The recipe of a point. Raises MienError when it does not stand."""
    return recipes.read(space.recipe, (*space.set, *(setting(name, value) for name, value in point.items())))


def longest(space: Space) -> int:
    """Most epochs that a trial can have."""
    key = space.keys.get("train.epochs")
    found = [] if key is None else [*key.choices, key.high]
    own = recipes.read(space.recipe, space.set).train.epochs
    return max((math.ceil(value) for value in found if isinstance(value, int | float)), default=own)


def setting(name: str, value: Value) -> str:
    """`key=value` as --set reads it, strings quoted: a net's option may be called none."""
    return f"{name}={tomli_w.dumps({'v': value}).partition('=')[2].strip()}"
