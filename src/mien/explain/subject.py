"""What is explained: a model, the pictures it is asked about, and its answers to them, asked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.evaluate.answerer import Answerer, as_channels
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.predict import predict_probabilities
from mien.evaluate.truth import Truth, over, truths
from mien.explain.landmarks import of_manifest
from mien.models.classifier import Classifier

Tell = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Subject:
    """A model's answers to the labelled pictures of a split.

    Attributes:
        classifier: the net in torch, for what looks inside; None for an exported file.
        rows: positions (n,) in the data set.
        truth: which head is held to which labels; its ids belong to the whole split.
        ids: right classes (n,).
        probabilities: (n, K) over the labels of `truth`.
        landmarks: (n, 5, 2) in px, NaN where a picture has none; None where they are not known. See `landmarks`.
    """

    answerer: Answerer
    classifier: Classifier | None
    dataset: Dataset
    split: str
    rows: NDArray[np.int64]
    truth: Truth
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The K labels."""
        return self.truth.labels.names

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Which answers (n,) are right."""
        return np.asarray(self.probabilities.argmax(1) == self.ids)

    @property
    def metrics(self) -> Metrics:
        """Figures of the answers."""
        return measure(self.ids, self.probabilities, self.names)

    def images(self, which: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Pictures at positions of `rows`, in the model's colour: (m, H, W) or (m, H, W, 3)."""
        return as_channels(np.asarray(self.dataset.images[self.rows[which]]), self.answerer.spec.channels)

    def sample(self, count: int) -> NDArray[np.int64]:
        """At most `count` positions of `rows`, spread evenly over the split, in order."""
        n = len(self.rows)
        return np.arange(n) if n <= count else np.linspace(0, n - 1, count).round().astype(np.int64)

    def ask(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (m, K) over the labels of `truth` for other pictures."""
        answers = predict_probabilities(self.answerer, images)
        return over(self.truth.labels, self.truth.head, answers[self.truth.head.name])


def subject(
    answerer: Answerer,
    classifier: Classifier | None,
    dataset: Dataset,
    *,
    split: str = "val",
    progress: Callable[[int], None] | None = None,
) -> Subject:
    """Ask the model about a split and keep the pictures whose right class is known.

    The data set's own labels count; where it has none, the majority of its FER+ votes.

    Raises:
        MienError: an empty split, one without labels, or pictures of another size than the model's.
    """
    rows = dataset.rows(split)
    scored, notes = truths(answerer.spec, dataset, rows)
    if not scored:
        raise MienError(f"split {split!r} cannot be scored: {'; '.join(notes)}", hint="choose a labelled split")
    truth = next(iter(scored.values()))
    kept = truth.ids >= 0
    answers = predict_probabilities(answerer, dataset.images, rows=rows[kept], progress=progress)
    probabilities = over(truth.labels, truth.head, answers[truth.head.name])
    points = of_manifest(dataset, rows[kept])
    return Subject(answerer, classifier, dataset, split, rows[kept], truth, truth.ids[kept], probabilities, points)
