"""The answers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.deploy.photos import Face, Photo

LabelSetName = Literal["fer2013", "ferplus8", "ferplus10", "fer5"]
WHAT_A_LABEL_IS = (
    "An expression label says how a face looks in one picture to the people who labelled the training pictures. "
    "It does not say what a person feels, intends or is like."
)
_MODEL_NAME = "name of the run whose export answers, else of the model file"


class BoxAnswer(BaseModel):
    """In pixels of the upright picture, (0, 0) its upper left corner; may reach over the edge."""

    left: float
    top: float
    right: float
    bottom: float


class FaceAnswer(BaseModel):
    """One face and how it looks to the model."""

    number: int | None = Field(default=None, description="in streams: the same as long as the face is followed")

    box: BoxAnswer
    landmarks: list[tuple[float, float]] = Field(
        description="x and y of both eyes, the nose and the corners of the mouth; empty where none were looked for"
    )
    score: float = Field(description="the detector's confidence that this is a face, 0 to 1")
    label: str = Field(description="the most probable expression label")
    probability: float = Field(description="of that label, 0 to 1")
    unsure: bool = Field(description="below the model's threshold: the label should not be used")
    probabilities: dict[str, float] = Field(description="of every label, in the order of the label set; sum 1")


class PictureAnswer(BaseModel):
    """One picture."""

    width: int = Field(description="of the upright picture in pixels")
    height: int
    is_crop: bool = Field(description="the whole picture was taken for one face")
    faces: list[FaceAnswer] = Field(description="from left to right; empty where there is none")

    @classmethod
    def of(cls, photo: Photo, numbers: Sequence[int] | None = None) -> PictureAnswer:
        """A photo with its faces, and in a stream their numbers."""
        known: Sequence[int | None] = numbers or [None] * len(photo.faces)
        faces = [_face(face, number) for face, number in zip(photo.faces, known, strict=True)]
        return cls(width=photo.width, height=photo.height, is_crop=photo.is_crop, faces=faces)


def _face(face: Face, number: int | None) -> FaceAnswer:
    left, top, right, bottom = (round(value, 2) for value in face.box)
    said = face.prediction
    return FaceAnswer(
        number=number,
        box=BoxAnswer(left=left, top=top, right=right, bottom=bottom),
        landmarks=[(round(x, 2), round(y, 2)) for x, y in face.landmarks],
        score=round(face.score, 4),
        label=said.label,
        probability=round(said.probability, 6),
        unsure=said.unsure,
        probabilities={name: round(value, 6) for name, value in said.probabilities.items()},
    )


class Answer(BaseModel):
    """The pictures of one request, in its order."""

    model_config = ConfigDict(json_schema_extra={"description": WHAT_A_LABEL_IS})

    model: str = Field(description=_MODEL_NAME)
    pictures: list[PictureAnswer]


class ModelAnswer(BaseModel):
    """What answers, and what may be asked of it."""

    model: str = Field(description=_MODEL_NAME)
    architecture: str
    labels: list[str] = Field(description="in their order, unless another label set or head is asked for")
    head: str = Field(description="that answers unless another label set or head is asked for")
    heads: dict[str, list[str]] = Field(description="all heads with their labels")
    unsure_below: float | None = Field(description="probability below which an answer is marked as unsure")
    max_body_bytes: int
    max_pixels: int
    max_pictures: int


class State(BaseModel):
    """A sign of life."""

    status: Literal["alive", "ready"]
