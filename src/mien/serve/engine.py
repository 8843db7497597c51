"""From encoded pictures to faces with labels, a batch at a time."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, final

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import Pixels, decode
from mien.deploy.photos import Find, Photo, PhotoReader
from mien.deploy.runtime import Predictor
from mien.faces.detector import Detector, Faces
from mien.serve.header import FORMATS
from mien.serve.wire import LabelSetName


class Way(NamedTuple):
    """How faces are found in a picture, the label set to answer in (None: the head's), and the head (None: by that)."""

    find: Find = "auto"
    labels: LabelSetName | None = None
    head: str | None = None


class Asked(NamedTuple):
    """An encoded picture, and what is asked about it.

    Attributes:
        detector: of a frame of a stream, the stream's own.
        number: of one of several pictures of a request, from 1; errors name it.
    """

    data: bytes
    way: Way
    detector: Detector | None = None
    number: int | None = None


@final
class _OneByOne:
    """A detector that looks at one picture at a time: a large picture fills the processor by itself.

    Measured with benchmarks/serve_load.py: gathered detection answers no more pictures a second and takes four times
    the memory, while gathering the faces that were found pays. See docs/experiments.md.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """As `Detector.detect`."""
        return [self._detector.detect([picture])[0] for picture in pictures]


@final
class Engine:
    """A detector and a model that answer batches; knows nothing of HTTP.

    Args:
        predictor: the model.
        detector: finds the faces.
        max_pixels: larger pictures are not decoded.
        follow: makes a detector for each stream, which may go by what it saw before; None: `detector` looks at frames.
    """

    def __init__(
        self,
        predictor: Predictor,
        detector: Detector,
        *,
        max_pixels: int,
        follow: Callable[[], Detector] | None = None,
    ) -> None:
        self.predictor = predictor
        self._detector = _OneByOne(detector)
        self._follow = follow
        self._max_pixels = max_pixels
        self._readers: dict[Way, PhotoReader] = {}

    @property
    def name(self) -> str:
        """Of the model, as in every answer."""
        return self.predictor.name

    def check_way(self, way: Way) -> None:
        """Raise MienError where the model has no such head, or none of the labels."""
        self.predictor.head_name(labels=way.labels, head=way.head)

    def detector_of_stream(self) -> Detector | None:
        """A detector for the frames of one stream, in their order; None where streams have none of their own."""
        return self._follow() if self._follow else None

    def check(self) -> None:
        """Answer a picture of its own in both ways, before anyone asks.

        Raises:
            MienError: detector or model does not answer.
        """
        path = self.predictor.path
        try:
            whole = self.answer(PROBES)[1]
        except Exception as error:  # ONNX Runtime's own exceptions have no common class below this one
            if isinstance(error.__cause__, MienError):
                raise error.__cause__ from None
            raise MienError(f"{path}: detector or model does not answer ({error})") from error
        if not isinstance(whole, Photo) or not whole.faces:
            raise MienError(f"{path}: the model gives no answer")

    def answer(self, batch: Sequence[Asked]) -> list[Photo | Exception]:
        """For each picture what was found, or why it could not be read; none depends on the others.

        Raises:
            RuntimeError: the model itself fails, which is no picture's fault.
        """
        results: list[Photo | Exception | None] = [None] * len(batch)
        alike: dict[tuple[Way, int], list[int]] = defaultdict(list)
        for i, asked in enumerate(batch):
            alike[asked.way, id(asked.detector)].append(i)
        for members in alike.values():
            try:
                for looked in self._reader(batch[members[0]]).stream(self._decoded(batch, members, results)):
                    results[int(looked.photo.source)] = looked.photo
                    looked.picture.close()  # its memory is free before the next one is decoded
            except MienError as error:
                raise RuntimeError(str(error)) from error
        return [RuntimeError("a picture was left out") if result is None else result for result in results]

    def _reader(self, asked: Asked) -> PhotoReader:
        if asked.detector is not None:
            return self._made(asked.way, asked.detector)
        if asked.way not in self._readers:
            self._readers[asked.way] = self._made(asked.way, self._detector)
        return self._readers[asked.way]

    def _made(self, way: Way, detector: Detector) -> PhotoReader:
        return PhotoReader(self.predictor, detector=detector, find=way.find, labels=way.labels, head=way.head)

    def _decoded(
        self, batch: Sequence[Asked], members: Sequence[int], results: list[Photo | Exception | None]
    ) -> Iterator[tuple[str, Image.Image]]:
        """Position and picture, decoded one after the other as they are asked for; errors go into `results`.

        The reader takes a copy, so that each is closed when the next one is asked for.
        """
        for i in members:
            try:
                with closing(decode(batch[i].data, max_pixels=self._max_pixels, formats=FORMATS)) as picture:
                    yield str(i), picture
            except MienError as error:
                results[i] = _numbered(error, batch[i].number)
            except Exception as error:  # a defect in reading this picture: the others are answered
                results[i] = error


def _probe() -> bytes:
    file = io.BytesIO()
    shade = np.linspace(40, 220, 96, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(shade, (96, 96)).copy()).save(file, "PNG")
    return file.getvalue()


# A picture for the detector, and the same for the model.
PROBES = tuple(Asked(_probe(), Way(find)) for find in ("detect", "crop"))


def _numbered(error: MienError, number: int | None) -> MienError:
    """The same, of one of several pictures by its number; without its trace, which would keep what was decoded."""
    message = error.message if number is None else f"picture {number}: {error.message.removeprefix('picture: ')}"
    return MienError(message, hint=error.hint)
