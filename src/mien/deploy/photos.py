"""Expressions of all faces in a photo: a detector finds them, a model answers each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import numpy as np
from PIL import Image

from mien.core.errors import MienError, MissingExtraError
from mien.core.labels import LabelSet
from mien.core.picture import Pixels, conform
from mien.deploy.pictures import Picture, Pictures, each, opened
from mien.faces.centerface import default_detector
from mien.faces.crop import face_crops
from mien.faces.detector import Detector, Faces
from mien.faces.framing import fills, is_small

if TYPE_CHECKING:  # the predictor offers `faces`, which is made here
    from mien.deploy.runtime import OnError, Prediction, Predictor

Find = Literal["auto", "crop", "detect"]
Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]

BATCH_SIZE = 64
# What is read ahead to be answered together ends here, however few pictures these are.
_BATCH_PIXELS = 8_000_000


@final
@dataclass(frozen=True)
class Face:
    """One face of a photo and what a model says about it.

    Attributes:
        box: left, top, right, bottom in pixels of the upright picture; may reach over its edge.
        landmarks: x, y of both eyes, the nose and the corners of the mouth (`mien.faces.detector.LANDMARKS`);
            empty where the whole picture was taken for the face.
        score: the detector's confidence, 0 to 1; 1 where it was not asked.
        prediction: label, probabilities and "unsure".
    """

    box: Box
    landmarks: Points
    score: float
    prediction: Prediction

    @property
    def label(self) -> str:
        """The most probable expression label."""
        return self.prediction.label

    @property
    def probability(self) -> float:
        """Of that label, 0 to 1."""
        return self.prediction.probability

    @property
    def probabilities(self) -> dict[str, float]:
        """Of every label by name, summing to 1."""
        return self.prediction.probabilities

    @property
    def unsure(self) -> bool:
        """Whether the label should not be used."""
        return self.prediction.unsure


@final
@dataclass(frozen=True)
class Photo:
    """What was found in one picture.

    Attributes:
        source: as `Prediction.source`.
        width, height: of the upright picture in pixels.
        faces: from left to right, by the middle of their boxes; empty where there is none.
        is_crop: the picture itself was taken for a cut-out face, no detector's box stands behind its one face.
    """

    source: str
    width: int
    height: int
    faces: tuple[Face, ...]
    is_crop: bool


class Looked(NamedTuple):
    """What was found in a picture, and the picture itself, upright and in mode L or RGB."""

    photo: Photo
    picture: Image.Image


class _Named(NamedTuple):
    source: str
    picture: Image.Image


class _Found(NamedTuple):
    """Faces of one picture and their pixels as the model takes them; no faces of a crop, but its pixels."""

    faces: Faces | None
    crops: Pixels


@final
class PhotoReader:
    """Finds the faces of photos and answers each; may be shared by many threads.

    Args:
        predictor: the model that answers.
        detector: finds faces; None: CenterFace, loaded when the first picture needs it.
        find: `detect` looks for faces, `crop` takes every picture for one face, `auto` tells the two apart: pictures
            of at most 64 px, and those that one face fills, are crops.
        labels: as in `Predictor.predict`.
        head: as in `Predictor.predict`.

    Raises:
        MienError: an unknown way to find faces.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        detector: Detector | None = None,
        find: Find = "auto",
        labels: str | LabelSet | None = None,
        head: str | None = None,
    ) -> None:
        if find not in ("auto", "crop", "detect"):
            raise MienError(f"faces are found by auto, crop or detect, not by {find!r}")
        self.predictor, self.find = predictor, find
        self._detector = detector
        self._labels, self._head = labels, head

    @property
    def detector(self) -> Detector:
        """The detector. Raises MienError when none was given and CenterFace is not installed."""
        if self._detector is None:
            try:
                self._detector = default_detector()
            except MissingExtraError as error:
                hint = "pip install 'mien[faces]'; pictures that are cut-out faces need none: faces 'crop'"
                raise MienError(f"finding faces in pictures: {error.message}", hint=hint) from None
        return self._detector

    def read(self, picture: Picture) -> tuple[Face, ...]:
        """The faces of one picture from left to right: a path, bytes, a PIL picture or a uint8 array.

        Raises:
            MienError: the picture cannot be read.
        """
        [looked] = self._answered([_Named("#0", opened(picture))])
        return looked.photo.faces

    def stream(
        self, pictures: Pictures, *, batch_size: int = BATCH_SIZE, on_error: OnError | None = None
    ) -> Iterator[Looked]:
        """Each picture with its faces, as they come; a few pictures are in memory at a time, however many there are.

        Args:
            pictures: as in `Predictor.predict`; may be endless.
            batch_size: pictures at a time, fewer where they are large; the answers do not depend on it.
            on_error: is told name and error of a picture that cannot be read, which is then left out; None raises.
        """
        batch: list[_Named] = []
        pixels = 0
        for named in self._readable(pictures, on_error):
            batch.append(named)
            pixels += named.picture.width * named.picture.height
            if len(batch) >= batch_size or pixels >= _BATCH_PIXELS:
                yield from self._answered(batch)
                batch, pixels = [], 0
        yield from self._answered(batch)

    def _readable(self, pictures: Pictures, on_error: OnError | None) -> Iterator[_Named]:
        for source, picture in each(pictures):
            try:
                yield _Named(source, opened(picture))
            except MienError as error:
                if on_error is None:
                    raise
                on_error(source, error)

    def _answered(self, batch: Sequence[_Named]) -> Iterator[Looked]:
        found = self._found([named.picture for named in batch])
        crops = [(source, crop) for (source, _), one in zip(batch, found, strict=True) for crop in one.crops]
        predictions = iter(self.predictor.predict(crops, labels=self._labels, head=self._head))
        for (source, picture), one in zip(batch, found, strict=True):
            answers = [next(predictions) for _ in one.crops]
            yield Looked(_photo(source, picture, one.faces, answers), picture)

    def _found(self, pictures: Sequence[Image.Image]) -> list[_Found]:
        spec = self.predictor.spec
        detected = self._detected(pictures)
        found = []
        for picture, faces in zip(pictures, detected, strict=True):
            if faces is None or (self.find == "auto" and fills(faces, picture.height, picture.width, spec)):
                whole = conform(picture, spec.height, spec.width, channels=spec.channels)
                found.append(_Found(None, whole[None]))
            else:
                found.append(_Found(faces, face_crops(np.asarray(picture), faces, spec)))
        return found

    def _detected(self, pictures: Sequence[Image.Image]) -> list[Faces | None]:
        """What the detector finds in each picture; None for those it need not look at."""
        asked = [i for i, picture in enumerate(pictures) if self._is_photo(picture)]
        detected: list[Faces | None] = [None] * len(pictures)
        if asked:
            for i, faces in zip(asked, self.detector.detect([np.asarray(pictures[i]) for i in asked]), strict=True):
                detected[i] = faces
        return detected

    def _is_photo(self, picture: Image.Image) -> bool:
        return self.find == "detect" or (self.find == "auto" and not is_small(picture.height, picture.width))


def _photo(source: str, picture: Image.Image, faces: Faces | None, answers: Sequence[Prediction]) -> Photo:
    if faces is None:
        whole = (0.0, 0.0, float(picture.width), float(picture.height))
        found: tuple[Face, ...] = (Face(whole, (), 1.0, answers[0]),)
    else:
        found = tuple(face(faces, i, answer) for i, answer in enumerate(answers))
    return Photo(source, picture.width, picture.height, found, is_crop=faces is None)


def face(faces: Faces, which: int, answer: Prediction) -> Face:
    """One of the faces that a detector found, with its answer."""
    left, top, right, bottom = faces.boxes[which].tolist()
    points = faces.landmarks[which]
    landmarks = tuple((x, y) for x, y in points.tolist()) if np.isfinite(points).all() else ()
    return Face((left, top, right, bottom), landmarks, float(faces.scores[which]), answer)
