"""Ladders: a base recipe and steps that change one thing each, as data. TOML in, frozen typed models out."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from mien.core import recipe as recipes
from mien.core.errors import MienError, unknown_name
from mien.core.invalid import invalid
from mien.core.named_toml import read_tree, shipped_names
from mien.core.recipe import Recipe
from mien.core.spec import Frozen

Name = str
Figure = Literal["last_val_accuracy", "best_val_accuracy", "truth"]


class DataRule(Frozen):
    """What a step does to the data set before it trains."""

    drop: tuple[str, ...] = Field(default=(), description="classes that are left out, of val too")
    per_class: int | None = Field(default=None, ge=2, description="training pictures of each class, drawn once")
    times: int = Field(default=1, ge=1, le=20, description="how often each training picture is present")
    val: Literal["own", "train"] = Field(default="own", description="train: validation is a copy of training")
    zoom_train: float = Field(default=1, gt=0.2, le=1, description="side of the middle that is kept and enlarged")
    zoom_val: float = Field(default=1, gt=0.2, le=1, description="the same, of validation pictures")


class Step(Frozen):
    """One step of a ladder."""

    name: Name = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    about: str = ""
    claim: str = Field(default="", description="what others report, for the table")
    come_from: Name | None = Field(default=None, alias="from", description="the step it changes; None: the one before")
    recipe: str | None = Field(default=None, description="another recipe to go on from, instead of that step's")
    set: tuple[str, ...] = Field(default=(), description="settings such as train.epochs=10, as for --set")
    data: DataRule | None = Field(
        default=None, description="None: the data of the step it comes from, with another recipe as well"
    )
    snapshots: int | None = Field(
        default=None, ge=2, description="train nothing: the mean of so many last snapshots of the step it comes from"
    )


class Ladder(Frozen):
    """A base recipe, what all steps share, and the steps."""

    name: str = "unnamed"
    about: str = ""
    recipe: str
    set: tuple[str, ...] = Field(default=(), description="settings of all steps; a step's own come after them")
    seeds: int = Field(default=3, ge=1)
    figure: Figure = Field(default="last_val_accuracy", description="what steps are compared by; truth: see DataRule")
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _agree(self) -> Ladder:
        known: list[str] = []
        for number, step in enumerate(self.steps):
            if step.name in known:
                raise MienError(f"{self.name}: two steps are called {step.name!r}", hint="give each its own name")
            if step.come_from is not None and step.come_from not in known:
                raise unknown_name(f"earlier step of {self.name}:", step.come_from, known)
            if step.snapshots is not None and (not number or step.set or step.recipe or step.data):
                raise MienError(
                    f"{self.name}: {step.name} averages snapshots, so it trains nothing and changes nothing else",
                    hint="take set, recipe and data out of it, and let it come after a step that keeps snapshots",
                )
            known.append(step.name)
        return self


class Planned(Frozen):
    """A step with everything that it took over from the steps before it."""

    step: Step
    before: Name | None = Field(description="the step it is compared with")
    trained: Name = Field(description="the step whose runs it is about: itself, or the one whose snapshots it averages")
    recipe: Recipe
    data: DataRule


def names() -> list[str]:
    """The ladders that come with mien."""
    return shipped_names("ladders")


def read(name_or_path: str) -> Ladder:
    """A ladder by the name of a shipped one or by the path of a TOML file.

    Raises:
        MienError: no such ladder, damaged TOML, an unknown key, or steps that do not fit together.
    """
    return build(read_tree("ladder", name_or_path, folder="ladders"), source=name_or_path)


def build(tree: dict[str, Any], *, source: str) -> Ladder:
    """A Ladder from nested dictionaries. Raises MienError that names the wrong key."""
    _check_keys(tree, source)
    try:
        return Ladder.model_validate(tree)
    except ValidationError as error:
        raise invalid(source, error) from None


def _check_keys(tree: dict[str, Any], source: str) -> None:
    """Raise MienError for an unknown key; what is no table or no list is left to the model."""
    _known(tree, list(Ladder.model_fields), f"{source}:", "")
    steps = tree.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
        fields = ["from" if name == "come_from" else name for name in Step.model_fields]
        _known(step, fields, f"{source}:", f"steps.{number}.")
        data = step.get("data") if isinstance(step, dict) else None
        _known(data, list(DataRule.model_fields), f"{source}:", f"steps.{number}.data.")


def _known(tree: Any, fields: list[str], source: str, prefix: str) -> None:
    for key in tree if isinstance(tree, dict) else ():
        if key not in fields:
            raise unknown_name(f"ladder key in {source}", prefix + key, [prefix + name for name in fields])


def plan(ladder: Ladder, settings: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> list[Planned]:
    """Every step with its whole recipe and data rule; `settings` are put over all of them, such as fewer epochs.

    With `only` the steps of these names, in the ladder's order; the others need not stand with such settings.

    Raises:
        MienError: naming the step whose recipe does not stand, or that averages snapshots nobody keeps; a step in
            `only` that is not there.
    """
    names = [step.name for step in ladder.steps]
    for name in only:
        if name not in names:
            raise unknown_name("step", name, names)
    known: dict[str, tuple[str, tuple[str, ...], DataRule]] = {}
    trained: dict[str | None, str] = {}
    found: list[Planned] = []
    for number, step in enumerate(ladder.steps):
        before = step.come_from or (ladder.steps[number - 1].name if number else None)
        base, so_far, data = known[before] if before else (ladder.recipe, ladder.set, DataRule())
        # An ensemble has no runs of its own: what comes from it averages those that it has averaged.
        trained[step.name] = step.name if step.snapshots is None else trained[before]
        # Another recipe brings its own keys: those of the steps before were meant for the old one. Their data stay,
        # or the two steps could not be compared.
        base, so_far = (base, so_far) if step.recipe is None else (step.recipe, ladder.set)
        known[step.name] = base, (*so_far, *step.set), step.data or data
        if only and step.name not in only:
            continue
        recipe = _recipe(base, (*known[step.name][1], *settings), f"{ladder.name}, step {step.name}")
        found.append(
            Planned(step=step, before=before, trained=trained[step.name], recipe=recipe, data=known[step.name][2])
        )
        if step.snapshots is not None and recipe.average.snapshots < step.snapshots:
            raise MienError(
                f"{ladder.name}: {step.name} averages {step.snapshots} snapshots, its recipe keeps "
                f"{recipe.average.snapshots}",
                hint=f"average.snapshots={step.snapshots} in the step it comes from",
            )
    return found


def _recipe(base: str, settings: tuple[str, ...], where: str) -> Recipe:
    try:
        return recipes.read(base, settings)
    except MienError as error:
        raise MienError(f"{where}: {error.message}", hint=error.hint) from None
