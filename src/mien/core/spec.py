"""What a model file knows about itself: labels, input, normalisation, calibration. Travels inside the weights."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mien.core.errors import MienError, nearest
from mien.core.invalid import invalid
from mien.core.labels import LabelSet, identify, mapping

SPEC_KEY = "mien"
# Fields that say how faces are cut out of photos: no part of the net, and export may have measured them.
FRAMING = ("face_margin", "face_shift", "face_level")
# Files of others are read: what a number in them can ask for has bounds.
_MOST_SIDE = 4096
MOST_MARGIN = 10.0
NormaliseKind = Literal["unit", "symmetric", "dataset", "picture", "equalise"]


class Frozen(BaseModel):
    """Immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalise(Frozen):
    """How uint8 pixels become the net's input; applied inside the graph.

    unit: x/255. symmetric: x/127.5 − 1. dataset: (x/255 − mean)/std with the training set's figures per channel.
    picture: each picture to mean 0 and deviation 1. equalise: each picture's histogram equalised, then to ±1.
    """

    kind: NormaliseKind = "dataset"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


class Head(Frozen):
    """One classifier on the net: its label set and the temperature its logits are divided by."""

    name: str
    labels: tuple[str, ...]
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @property
    def label_set(self) -> LabelSet:
        return identify(self.labels)


class ModelSpec(Frozen):
    """Everything that is needed to use the weights without the recipe or the code that trained them."""

    format: Literal[1] = 1
    architecture: str
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    height: int = Field(gt=0, le=_MOST_SIDE)
    width: int = Field(gt=0, le=_MOST_SIDE)
    channels: Literal[1, 3] = 1
    crop: int | None = Field(default=None, description="side of the centre square the net looks at; None: all")
    normalise: Normalise = Normalise()
    heads: tuple[Head, ...] = Field(min_length=1)
    default_head: str | None = Field(
        default=None, description="which head answers when neither head nor labels are asked for; None: the first"
    )
    face_margin: float = Field(
        default=1.15, gt=0, le=MOST_MARGIN, description="side of the crop in units of the detector's box"
    )
    face_shift: float = Field(
        default=0.0, ge=-2, le=2, description="how far the crop is below the box, in units of its side"
    )
    face_level: bool = Field(default=True, description="whether faces are turned until the eyes are level")
    abstain_below: float | None = Field(
        default=None, ge=0, le=1, description="below this probability the answer is 'unsure'"
    )
    provenance: dict[str, str] = Field(default_factory=dict)

    @field_validator("heads")
    @classmethod
    def _distinct(cls, heads: tuple[Head, ...]) -> tuple[Head, ...]:
        # Answers and ONNX outputs go by the name of their head.
        if len({head.name for head in heads}) != len(heads):
            raise MienError(f"two heads have the same name: {', '.join(head.name for head in heads)}")
        return heads

    @model_validator(mode="after")
    def _default_is_a_head(self) -> ModelSpec:
        if self.default_head is not None:
            self.head(self.default_head)
        return self

    def best_head(self, labels: LabelSet) -> tuple[Head, int]:
        """The head with most of `labels`, of equals the one with fewest others; and how many of them it has."""

        def shared(head: Head) -> int:
            return int(mapping(head.label_set, labels).any(0).sum())

        best = max(self.heads, key=lambda head: (shared(head), -len(head.labels)))
        return best, shared(best)

    def head(self, name: str | None = None) -> Head:
        """A head by name, or the default one. Raises MienError for a name that is not there."""
        wanted = name or self.default_head or self.heads[0].name
        for head in self.heads:
            if head.name == wanted:
                return head
        raise MienError(f"the model has no head {wanted!r}", hint=nearest(wanted, (head.name for head in self.heads)))

    @property
    def input_side(self) -> tuple[int, int]:
        """Height and width of what the convolutions see."""
        return (self.crop, self.crop) if self.crop else (self.height, self.width)

    def to_metadata(self) -> dict[str, str]:
        """The spec as string metadata for safetensors and ONNX."""
        return {SPEC_KEY: self.model_dump_json()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str] | None, *, source: str) -> ModelSpec:
        """Read the spec back. Raises MienError naming `source` when it is missing or damaged."""
        text = (metadata or {}).get(SPEC_KEY)
        if text is None:
            raise MienError(
                f"{source}: carries no mien spec", hint="use a file written by `mien train` or `mien export`"
            )
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            raise invalid(f"{source}: its spec", error) from None
        except (ValueError, RecursionError) as error:
            raise MienError(f"{source}: its spec cannot be read ({error})") from None
