"""Measuring a model on a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.labels import LabelSet
from mien.core.spec import ModelSpec
from mien.data.dataset import Dataset
from mien.evaluate import tta as augmentation
from mien.evaluate.answerer import Answerer, Answers
from mien.evaluate.leaks import LeakFree, leak_free, leaked
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.predict import predict_probabilities
from mien.evaluate.truth import Truth, best_head, over, shared_labels, truths

ALL = "all"


@dataclass(frozen=True)
class Score:
    """A head's figures against one kind of truth.

    Attributes:
        head: the head that was scored.
        mapped: whether its labels differ from the ones scored, so that probabilities were mapped by name.
        metrics: the figures; their labels are those of the truth that the head can answer.
        left_out: number of pictures that were not scored, by reason.
        leak_free: the figures without pictures that have a copy in train; None where no such are known.
    """

    head: str
    mapped: bool
    metrics: Metrics
    left_out: dict[str, int]
    leak_free: LeakFree | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, lists and numbers."""
        facts = {"head": self.head, "mapped": self.mapped, "left_out": self.left_out}
        free = self.leak_free
        return facts | self.metrics.to_json() | {"leak_free": None if free is None else free.to_json()}


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to a split, and their scores.

    Attributes:
        rows: positions (n,) of the pictures in the data set.
        heads: labels of every head, by its name.
        answers: probabilities (n, K) of every head, by its name.
        answer_labels: what the answer is one of: those of the data set's labels that a head can answer; the
            first head's own labels where none can.
        answer: probabilities (n, len(answer_labels)).
        scores: by kind of truth, see `truth.truths`.
        notes: what was not scored, and why.
        provenance: of the model's weights: recipe, data, epoch.
    """

    model: str
    dataset: str
    fingerprint: str
    split: str
    tta: str
    rows: NDArray[np.integer]
    heads: dict[str, tuple[str, ...]]
    answers: Answers
    answer_labels: LabelSet
    answer: NDArray[np.float32]
    scores: dict[str, Score]
    notes: tuple[str, ...]
    provenance: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Scores and settings, without the answers."""
        return {
            "model": self.model,
            "provenance": self.provenance,
            "dataset": {"name": self.dataset, "fingerprint": self.fingerprint},
            "split": self.split,
            "tta": self.tta,
            "pictures": len(self.rows),
            "scores": {kind: score.to_json() for kind, score in self.scores.items()},
            "notes": list(self.notes),
        }


def evaluate(
    answerer: Answerer,
    dataset: Dataset,
    *,
    split: str = "val",
    tta: str = "none",
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Answer a split and score every kind of truth that it has and the model can be held to.

    Args:
        answerer: the model, see `predict.open_answerer`.
        dataset: the packed data.
        split: train, val, test, or `all`.
        tta: test-time augmentation by name, see `tta.variants`.
        batch_size: pictures at a time; the result does not depend on it.
        progress: called with the number of pictures done since the last call.

    Raises:
        MienError: an empty split, pictures of another size than the model's, answers that are not finite, or
            labelled pictures of whose labels the model has less than two.
    """
    spec = answerer.spec
    rows = np.arange(len(dataset)) if split == ALL else dataset.rows(split)
    variants = augmentation.variants(tta, spec)
    scored, notes = truths(spec, dataset, rows)
    answers = predict_probabilities(
        answerer, dataset.images, rows=rows, batch_size=batch_size, variants=variants, progress=progress
    )
    labels, answer = _answer(spec, dataset.labels, answers)
    copies, note = leaked(dataset, rows, split)
    return Evaluation(
        model=answerer.name,
        dataset=dataset.info.name,
        fingerprint=dataset.info.fingerprint,
        split=split,
        tta=augmentation.ALIASES.get(tta, tta),
        rows=rows,
        heads={head.name: head.labels for head in spec.heads},
        answers=answers,
        answer_labels=labels,
        answer=answer,
        scores={kind: _score(truth, answers, copies) for kind, truth in scored.items()},
        notes=(*notes, *note),
        provenance=spec.provenance,
    )


def _answer(spec: ModelSpec, labels: LabelSet, answers: Answers) -> tuple[LabelSet, NDArray[np.float32]]:
    head = best_head(spec, labels)
    if head is None:
        return spec.head().label_set, answers[spec.head().name]
    shared = shared_labels(head, labels)
    return shared, over(shared, head, answers[head.name])


def _score(truth: Truth, answers: Answers, copies: NDArray[np.bool_]) -> Score:
    head, kept = truth.head, truth.ids >= 0
    probabilities = over(truth.labels, head, answers[head.name])[kept]
    return Score(
        head=head.name,
        mapped=truth.labels.names != head.labels,
        metrics=measure(truth.ids[kept], probabilities, truth.labels.names),
        left_out=truth.left_out,
        leak_free=leak_free(truth.ids[kept], probabilities, truth.labels.names, copies[kept]),
    )
