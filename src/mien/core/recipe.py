"""Recipes: what to train and how, as data. TOML in, frozen typed models out; a wrong key names its neighbour."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, model_validator

from mien.core.augmentation import AugmentConfig as AugmentConfig
from mien.core.errors import MienError, unknown_name
from mien.core.invalid import invalid
from mien.core.named_toml import read_tree, shipped_names
from mien.core.phases import CHECKED, phases
from mien.core.recipe_check import check
from mien.core.recipe_keys import (
    AverageConfig,
    DistillConfig,
    LossConfig,
    OptimiserConfig,
    PhaseConfig,
    Sampler,
    ScheduleConfig,
)
from mien.core.spec import Frozen, NormaliseKind

Fraction = typing.Annotated[float, Field(ge=0, le=1)]
Scalar = bool | int | float | str


class ModelConfig(Frozen):
    """Which net: a name that `mien models` lists, and its options."""

    name: str = "mien-m"
    options: dict[str, Scalar] = Field(default_factory=dict)
    start_from: str | None = Field(default=None, description="run folder or weights (.safetensors) of the same net")
    start_dirac: bool = Field(
        default=False, description="padded convolutions start by passing their input on (arXiv 2404.00498, section 3.3)"
    )
    start_whitening: bool = Field(
        default=False, description="the first convolution starts by whitening its input (the same, section 3.2)"
    )


class DataConfig(Frozen):
    """What the net sees."""

    crop: int | None = Field(default=None, gt=0, description="side in px of the square the net sees; None: all")
    normalise: NormaliseKind | Literal["model"] = Field(default="dataset", description="model: of a timm net")
    votes: bool = Field(default=True, description="add a second head on FER+ votes where the set has them")
    train_on_val: bool = Field(default=False, description="train on train + val; val is then no measure any more")
    sampler: Sampler = Field(
        default="shuffle", description="how often an epoch shows each class; shuffle: every picture once"
    )
    effective_number_beta: float = Field(
        default=0.999, ge=0, lt=1, description="of the sampler effective-number: 0 is shuffle, near 1 class-balanced"
    )


class StoppingConfig(Frozen):
    """Early stopping on the validation metric; None: train to the end."""

    patience_epochs: int | None = Field(default=None, ge=1)
    metric: Literal["accuracy", "loss"] = "accuracy"


class TrainConfig(Frozen):
    """The loop."""

    epochs: int = Field(default=32, ge=1)
    batch_size: int = Field(default=128, ge=2, description="over all processes together")
    eval_batch_size: int = Field(default=512, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    probe: int = Field(default=4096, ge=0, description="training pictures measured in eval mode each epoch")
    checkpoint_minutes: float = Field(default=2, ge=0)
    events: bool = Field(default=True, description="write TensorBoard event files into the run folder")


class Recipe(Frozen):
    """Everything that decides a training, apart from the data."""

    name: str = "unnamed"
    about: str = ""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    distill: DistillConfig = DistillConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    average: AverageConfig = AverageConfig()
    stopping: StoppingConfig = StoppingConfig()
    train: TrainConfig = TrainConfig()
    phases: tuple[PhaseConfig, ...] = Field(default=(), description="parts of the training with keys of their own")

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Recipe:
        if self.augment.random_crop and self.data.crop is None:
            raise MienError("augment.random_crop needs data.crop", hint="set data.crop, such as 44")
        if (self.augment.erase_probability > 0) != (self.augment.erase_pixels > 0):
            raise MienError("augment.erase_pixels and augment.erase_probability go together", hint="set both or none")
        if not (info.context or {}).get(CHECKED):
            check(self)
        phases(self)
        return self


def names() -> list[str]:
    """The recipes that come with mien."""
    return shipped_names("recipes")


def read(name_or_path: str, settings: Sequence[str] = ()) -> Recipe:
    """A recipe by the name of a shipped one or by the path of a TOML file, with `key.path=value` settings applied.

    Raises:
        MienError: no such recipe, damaged TOML, an unknown key (names the nearest) or a value out of range.
    """
    tree = read_tree("recipe", name_or_path, folder="recipes")
    return build(apply_settings(tree, settings), source=name_or_path)


def read_own(path: Path) -> Recipe:
    """The recipe that a run was trained by, from its folder: as it was, also where a training would refuse it by now.

    Raises:
        MienError: no such file, damaged TOML, or keys and values that no recipe has.
    """
    return build(read_tree("recipe", str(path), folder="recipes"), source=str(path), begun=True)


def apply_settings(tree: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The tree of a recipe with settings such as `train.epochs=5` or `augment.flip="random"` written into it."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise MienError(f"--set {setting}: not of the form key.path=value", hint="--set train.epochs=5")
        *parents, last = key.strip().split(".")
        branch: Any = tree
        for parent in parents:
            branch = _branch(branch, parent, setting)
        if not isinstance(branch, dict):
            raise MienError(f"--set {setting}: {parents[-1]!r} is a list of tables", hint="phases.1.size=32")
        branch[last] = _value(text.strip())
    return tree


def _branch(tree: Any, key: str, setting: str) -> Any:
    """The table under a key, made if it is not there; in a list of tables the key is their number: `phases.2.size`."""
    if isinstance(tree, list):
        if not (key.isdecimal() and 0 < int(key) <= len(tree)):
            raise MienError(f"--set {setting}: {key!r} is none of {len(tree)} tables", hint="they count from 1")
        return tree[int(key) - 1]
    branch = tree.setdefault(key, {})
    if not isinstance(branch, dict | list):
        raise MienError(f"--set {setting}: {key!r} is a value, not a table")
    return branch


def _value(text: str) -> Any:
    """A TOML value, or the text itself when it is none (so that names need no quotes); `none` is None."""
    if text.lower() in ("none", "null"):
        return None
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def build(tree: dict[str, Any], *, source: str, begun: bool = False) -> Recipe:
    """A Recipe from nested dictionaries. Raises MienError that names the wrong key and the nearest right one.

    Whether the tables go together is not asked of one by which a training has `begun`.
    """
    check_keys(tree, source=source)
    try:
        return Recipe.model_validate(tree, context={CHECKED: begun})
    except ValidationError as error:
        raise invalid(source, error) from None


def check_keys(tree: dict[str, Any], *, source: str) -> None:
    """Raise MienError with the nearest right name for a key that no recipe has."""
    _check_keys(tree, Recipe, source, "")


def _check_keys(tree: dict[str, Any], model: type[BaseModel], source: str, prefix: str) -> None:
    for key, value in tree.items():
        field = model.model_fields.get(key)
        if field is None:
            known = [*model.model_fields, *(() if prefix else _leaves(model))]
            raise unknown_name(f"recipe key in {source}:", prefix + key, [prefix + k for k in known])
        kind = field.annotation
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
            _check_keys(value, kind, source, f"{prefix}{key}.")
        elif isinstance(value, list):
            tables = [k for k in typing.get_args(kind) if isinstance(k, type) and issubclass(k, BaseModel)]
            for number, table in enumerate(value if tables else [], 1):
                # What is no table is left to the validation that follows.
                if isinstance(table, dict):
                    _check_keys(table, tables[0], source, f"{prefix}{key}.{number}.")


def _leaves(model: type[BaseModel]) -> list[str]:
    """All dotted keys, so that `epochs` is answered with `train.epochs`."""
    parts = {k: f.annotation for k, f in model.model_fields.items()}
    return [
        f"{k}.{leaf}"
        for k, kind in parts.items()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for leaf in kind.model_fields
    ]


def keys_called(name: str) -> list[str]:
    """Dotted keys whose last part is `name`, hyphens for underscores: `epochs` is `train.epochs`.

    >>> keys_called("batch-size")
    ['train.batch_size']
    """
    return [key for key in _leaves(Recipe) if key.rpartition(".")[2] == name.replace("-", "_")]


def to_tree(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries without None, ready for a TOML writer; `build` reads it back."""
    return recipe.model_dump(mode="json", exclude_none=True)
