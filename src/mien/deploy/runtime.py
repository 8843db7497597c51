"""Prediction with an exported model: numpy, Pillow and ONNX Runtime, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import LabelSet, known, map_probabilities
from mien.core.onnx_session import open_session
from mien.core.picture import Pixels
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.deploy.locate import model_file
from mien.deploy.onnx_file import scan
from mien.deploy.pictures import Picture, Pictures, each, to_input

if TYPE_CHECKING:
    from mien.deploy.photos import Face, Find
    from mien.faces.detector import Detector

INPUT = "pixels"
OUTPUT_PREFIX = "probabilities_"
BATCH_SIZE = 64

Probabilities = NDArray[np.float32]
OnError = Callable[[str, MienError], None]


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture: an expression label, not what a person feels.

    Attributes:
        source: name or path of the picture, or `#` and its position where it had none.
        label: name of the most probable class.
        probability: of that class, 0 to 1.
        probabilities: of every class by name, in the order of the label set, summing to 1.
        unsure: the probability is below the model's threshold, so the label should not be used.
    """

    source: str
    label: str
    probability: float
    probabilities: dict[str, float]
    unsure: bool


class _Answer(NamedTuple):
    """Which head answers, and in which label set."""

    head: Head
    labels: LabelSet


@final
class Predictor:
    """An exported model, ready to answer; one may be shared by many threads.

    Args:
        model: a file of `mien export`, the folder of an exported run, the name of a model that comes with mien, or None
            for the first of these.
        threads: that one answer may use; None leaves it to ONNX Runtime (one for each physical core).
        unsure_below: answers less probable than this, 0 to 1, are marked unsure; None: the file says it, if it does.

    Attributes:
        spec: what the file says about itself, with `unsure_below` where that was given.
        path: the file.

    Raises:
        MienError: no such file, not an ONNX model, tensors kept in other files, or no spec inside; `unsure_below` is no
            probability.
    """

    def __init__(
        self, model: Path | str | None = None, *, threads: int | None = None, unsure_below: float | None = None
    ) -> None:
        if unsure_below is not None and not 0 <= unsure_below <= 1:
            raise MienError(f"answers are unsure below a probability, 0 to 1, not below {unsure_below:g}")
        self.path = model_file(None if model is None else Path(model))
        data = self.path.read_bytes()
        spec = _read_spec(data, self.path)
        self.spec = spec if unsure_below is None else spec.model_copy(update={"abstain_below": unsure_below})
        self._session = _open_session(data, self.path, threads)
        _check_signature(self._session, self.spec, self.path)
        self._outputs = {head.name: OUTPUT_PREFIX + head.name for head in self.spec.heads}

    @property
    def name(self) -> str:
        """Of the run in whose folder the exported file lies; else of the file, without extension."""
        run = RunDir(self.path.parent.parent)
        return run.path.resolve().name if run.exported == self.path else self.path.stem

    def predict(
        self,
        pictures: Pictures,
        *,
        labels: str | LabelSet | None = None,
        head: str | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> list[Prediction]:
        """Answer one picture or many: paths, bytes, PIL pictures, uint8 arrays (H, W), (H, W, 3) or a batch of them.

        Each picture is a face: of another size than the model's, its centre square is taken and resized. Of a photo
        `faces` answers every face.

        Args:
            pictures: what to look at, or pairs of a name and a picture.
            labels: the label set to answer in, by name or itself; None: that of the head.
            head: the head to ask; None: the one that fits `labels` best, without them `spec.default_head`.
            batch_size: pictures at a time; the answers do not depend on it.

        Raises:
            MienError: a picture that cannot be read, an unknown label set or head.
        """
        return list(self.stream(pictures, labels=labels, head=head, batch_size=batch_size))

    def stream(
        self,
        pictures: Pictures,
        *,
        labels: str | LabelSet | None = None,
        head: str | None = None,
        batch_size: int = BATCH_SIZE,
        on_error: OnError | None = None,
    ) -> Iterator[Prediction]:
        """As `predict`, one after the other as they come: never more than a batch of pictures is in memory.

        Args:
            pictures: may be endless.
            labels: as in `predict`.
            head: as in `predict`.
            batch_size: as in `predict`.
            on_error: is told name and error of a picture that cannot be read, which is then left out; None raises.
        """
        if batch_size < 1:
            raise MienError(f"batch_size is at least 1, got {batch_size}")
        answer = _choose(self.spec, labels, head)
        return self._answers(self._readable(pictures, on_error), answer, batch_size)

    def faces(
        self,
        picture: Picture,
        *,
        detector: Detector | None = None,
        find: Find = "auto",
        labels: str | LabelSet | None = None,
        head: str | None = None,
    ) -> tuple[Face, ...]:
        """Every face of a photo with its box and its answer, from left to right.

        For many photos, and to know which of them were taken for cut-out faces: `mien.PhotoReader`.

        Args:
            picture: a path, bytes, a PIL picture or a uint8 array (H, W), (H, W, 3).
            detector: finds the faces; None: CenterFace, of the extra `faces`.
            find: `detect` looks for faces, `crop` takes the picture for one face, `auto` tells the two apart.
            labels: as in `predict`.
            head: as in `predict`.

        Raises:
            MienError: the picture cannot be read, unknown labels or head, or a photo when no detector was given and the
                extra is not installed.
        """
        # Here, because photos are read with a predictor, and detection is loaded only by those who want it.
        from mien.deploy.photos import PhotoReader

        return PhotoReader(self, detector=detector, find=find, labels=labels, head=head).read(picture)

    def label_names(self, *, labels: str | LabelSet | None = None, head: str | None = None) -> tuple[str, ...]:
        """The classes that `predict` would answer in, in their order.

        Raises:
            MienError: unknown labels or head.
        """
        return _choose(self.spec, labels, head).labels.names

    def unknown_names(self, *, labels: str | LabelSet | None = None, head: str | None = None) -> tuple[str, ...]:
        """Those of `label_names` that the head does not know: their probability is always 0.

        Raises:
            MienError: unknown labels or head.
        """
        asked, answered = _choose(self.spec, labels, head)
        return tuple(name for name in answered.names if asked.label_set.index(name) is None)

    def head_name(self, *, labels: str | LabelSet | None = None, head: str | None = None) -> str:
        """The head that `predict` would ask. Raises MienError as `label_names` does."""
        return _choose(self.spec, labels, head).head.name

    def probabilities(self, pixels: Pixels, *, batch_size: int = BATCH_SIZE) -> dict[str, Probabilities]:
        """Calibrated probabilities by head name, float32 (N, K), for pictures that have the model's size already.

        Args:
            pixels: uint8 (N, H, W) for a grey model, (N, H, W, 3) for a colour one.
            batch_size: pictures at a time; the answers do not depend on it.

        Raises:
            MienError: another shape or type.
        """
        _check_pixels(pixels, self.spec)
        if 0 < len(pixels) <= batch_size:
            return self._run(pixels)
        empty = {head.name: np.zeros((0, len(head.labels)), np.float32) for head in self.spec.heads}
        parts = [self._run(pixels[i : i + batch_size]) for i in range(0, len(pixels), batch_size)]
        return {name: np.concatenate([none, *(part[name] for part in parts)]) for name, none in empty.items()}

    def _run(self, batch: Pixels) -> dict[str, Probabilities]:
        outputs = self._session.run(list(self._outputs.values()), {INPUT: np.ascontiguousarray(batch)})
        return dict(zip(self._outputs, outputs, strict=True))

    def _readable(self, pictures: Pictures, on_error: OnError | None) -> Iterator[tuple[str, Pixels]]:
        for name, picture in each(pictures):
            try:
                yield name, to_input(picture, self.spec)
            except MienError as error:
                if on_error is None:
                    raise
                on_error(name, error)

    def _answers(
        self, pictures: Iterator[tuple[str, Pixels]], answer: _Answer, batch_size: int
    ) -> Iterator[Prediction]:
        while batch := list(islice(pictures, batch_size)):
            own = self._run(np.stack([pixels for _, pixels in batch]))[answer.head.name]
            for (name, _), row in zip(batch, self._mapped(own, answer), strict=True):
                yield make_prediction(name, row, answer.labels.names, self.spec.abstain_below)

    def _mapped(self, probabilities: Probabilities, answer: _Answer) -> Probabilities:
        if not np.isfinite(probabilities).all():  # mapping would hide it: a row without mass becomes uniform
            raise MienError(f"{self.path}: the model gives NaN", hint="its training diverged: export another run")
        if answer.labels == answer.head.label_set:
            return probabilities
        return map_probabilities(probabilities, answer.head.label_set, answer.labels)


def make_prediction(source: str, row: Probabilities, names: tuple[str, ...], abstain_below: float | None) -> Prediction:
    """What probabilities (K,) of the classes `names` say; `unsure` when the best is below `abstain_below`."""
    best = int(row.argmax())
    probability = float(row[best])
    return Prediction(
        source=source,
        label=names[best],
        probability=probability,
        probabilities=dict(zip(names, row.tolist(), strict=True)),
        unsure=abstain_below is not None and probability < abstain_below,
    )


def _choose(spec: ModelSpec, labels: str | LabelSet | None, head: str | None) -> _Answer:
    """The head that was named, or the one that fits the wanted labels best."""
    if labels is None:
        own = spec.head(head)
        return _Answer(own, own.label_set)
    wanted = known(labels) if isinstance(labels, str) else labels
    named = spec if head is None else spec.model_copy(update={"heads": (spec.head(head),)})
    best, shared = named.best_head(wanted)
    if not shared:
        raise MienError(
            f"the model knows none of the labels {', '.join(wanted.names)}",
            hint=f"it knows {', '.join(best.labels)}",
        )
    return _Answer(best, wanted)


def _read_spec(data: bytes, path: Path) -> ModelSpec:
    try:
        file = scan(data)
    except ValueError as error:
        raise MienError(f"{path}: not an ONNX file, or cut off ({error})", hint="export or download it again") from None
    if file.has_external_data:
        raise MienError(
            f"{path}: keeps tensors in other files, which is refused: it could name any file of this machine",
            hint="use a single file, such as `mien export` writes",
        )
    return ModelSpec.from_metadata(file.metadata, source=str(path))


def _open_session(data: bytes, path: Path, threads: int | None) -> ort.InferenceSession:
    try:
        return open_session(data, threads)
    except Exception as error:  # its own exceptions have no common class below this one
        raise MienError(f"{path}: ONNX Runtime cannot load it ({error})", hint="export or download it again") from None


def _check_signature(session: ort.InferenceSession, spec: ModelSpec, path: Path) -> None:
    """Raise MienError where the graph does not take and give what its spec says."""
    colour = [3] if spec.channels == 3 else []
    takes = [(i.name, i.type, i.shape[1:]) for i in session.get_inputs()]
    gives = {o.name: o.shape[1:] for o in session.get_outputs()}
    wanted = {OUTPUT_PREFIX + head.name: [len(head.labels)] for head in spec.heads}
    fits = takes == [(INPUT, "tensor(uint8)", [spec.height, spec.width, *colour])]
    if not fits or any(gives.get(name) != shape for name, shape in wanted.items()):
        raise MienError(f"{path}: its graph and its spec disagree", hint="export it again with this version of mien")


def _check_pixels(pixels: Pixels, spec: ModelSpec) -> None:
    wanted = (spec.height, spec.width, 3) if spec.channels == 3 else (spec.height, spec.width)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != wanted:
        raise MienError(
            f"the model takes uint8 pictures (N, {', '.join(map(str, wanted))}), got {pixels.dtype} {pixels.shape}",
            hint="`predict` converts pictures of any size",
        )
