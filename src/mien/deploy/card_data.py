"""What a model card says, as data: the JSON that lies beside a shipped model and can be measured again.

Shares are between 0 and 1; intervals are at 95 %. Needs neither torch nor the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mien.core.errors import MienError
from mien.core.invalid import invalid
from mien.core.spec import Frozen

Precision = Literal["fp32", "fp16", "int8"]


class Share(Frozen):
    """A share of right answers among so many pictures, with its interval (Wilson 1927)."""

    pictures: int = Field(ge=0)
    accuracy: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class ClassFigure(Frozen):
    """One class; a figure that is not defined (no such picture, no such answer) is None."""

    name: str
    pictures: int
    recall: float | None
    precision: float | None


class Figure(Frozen):
    """The answers of one head, held against one kind of truth, with one kind of test-time augmentation.

    `leak_free` leaves out the pictures with a copy in train, `copies` of them; None where there are none.
    `log_loss` is in nats, `calibration_error` the expected calibration error (Guo et al. 2017, section 2).
    """

    scored_on: str
    tta: str
    head: str
    overall: Share
    leak_free: Share | None
    copies: int
    macro_f1: float
    log_loss: float
    calibration_error: float
    classes: tuple[ClassFigure, ...]


class SliceFigure(Frozen):
    """The score, without augmentation, among pictures that have something in common."""

    scored_on: str
    name: str
    overall: Share


class Measured(Frozen):
    """Figures and what they were measured on; `fingerprint` is that of the split alone."""

    dataset: str
    split: str
    fingerprint: str
    pictures: int
    date: str
    figures: tuple[Figure, ...]
    slices: tuple[SliceFigure, ...]

    def of(self, scored_on: str, tta: str = "none") -> Figure | None:
        """The figure for one kind of truth, or None."""
        return next((f for f in self.figures if (f.scored_on, f.tta) == (scored_on, tta)), None)


class Training(Frozen):
    """Where the weights come from. What the run folder does not say is empty or None."""

    command: str
    recipe: str
    weights: str
    epochs: int
    minutes: float | None
    machine: dict[str, str]
    data: dict[str, str]
    data_licence: str


class Comparison(Frozen):
    """A smaller file against the fp32 one: on the same pictures, and by turns on the same thread.

    `accuracy_change` is by kind of truth, new minus old; `speed_ratio` the median time of one face in fp32 over that of
    the smaller file.
    """

    precision: Precision
    calibration_pictures: int
    bytes: int
    fp32_bytes: int
    accuracy_change: dict[str, float]
    speed_ratio: float
    pays: bool


class Card(Frozen):
    """A shipped model's card. `comparisons` are those of the smaller files that were tried, with the fp32 one."""

    format: Literal[1] = 1
    name: str
    mien: str
    sha256: str
    bytes: int
    precision: Precision
    parameters: int
    training: Training
    measured: Measured
    comparisons: tuple[Comparison, ...] = ()
    calibration: dict[str, float] = Field(
        default_factory=dict, description="head → calibration error on the half that its temperature was not fitted on"
    )


def read_card(path: Path) -> Card:
    """The card in a JSON file. Raises MienError when it is missing or damaged."""
    try:
        return Card.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MienError(f"{path}: the card cannot be read ({error.strerror})", hint=_OF_A_SHIPPED) from None
    except ValidationError as error:
        raise MienError(invalid(f"{path}: no model card", error).message, hint=_OF_A_SHIPPED) from None


def card_path(model: Path) -> Path:
    """Where the card's JSON of a model lies: beside it, under its name."""
    return model.with_suffix(".json")


def to_json(card: Card) -> dict[str, Any]:
    """As plain dictionaries, lists and numbers."""
    return card.model_dump(mode="json")


_OF_A_SHIPPED = "a card is NAME.json beside NAME.onnx: take both from the same release"
