"""What a split's answers are held to: which head answers which labels, and which pictures count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core import votes
from mien.core.errors import MienError
from mien.core.labels import FERPLUS8, LabelSet, identify, map_ids, map_probabilities, mapping
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import UNLABELLED, Dataset

LABELS, FERPLUS = "labels", "ferplus"
TITLES = {LABELS: "Labels", FERPLUS: "FER+ majority"}


@dataclass(frozen=True)
class Truth:
    """One kind of right answer to the pictures of a split.

    Attributes:
        head: the head that is held to it.
        labels: the classes that count.
        ids: right classes (n,), -1 for pictures that are left out.
        left_out: their number by reason.
    """

    head: Head
    labels: LabelSet
    ids: NDArray[np.int64]
    left_out: dict[str, int]


def truths(spec: ModelSpec, dataset: Dataset, rows: NDArray[np.integer]) -> tuple[dict[str, Truth], list[str]]:
    """What can be scored, by kind (`LABELS`, `FERPLUS`), and a sentence for each kind that cannot.

    The data set's labels are held against the head that fits them best; where label sets differ, probabilities
    are mapped by name, and pictures of labels that the head does not have are left out. FER+ votes count under
    the official majority filter, and only for a head with all eight classes: the seven FER2013 classes have no
    contempt, so their score would not compare with published ones.

    Raises:
        MienError: there are labelled pictures, but no head has two of their labels and nothing else to score.
    """
    found = {LABELS: _labels(spec, dataset, rows), FERPLUS: _ferplus(spec, dataset, rows)}
    scored = {kind: truth for kind, truth in found.items() if isinstance(truth, Truth)}
    if not scored and (dataset.label[rows] >= 0).any():
        raise _nothing_shared(spec, dataset)
    return scored, [note for note in found.values() if isinstance(note, str)]


def _labels(spec: ModelSpec, dataset: Dataset, rows: NDArray[np.integer]) -> Truth | str:
    label, names = dataset.label[rows], dataset.labels.names
    if (label < 0).all():
        return "labels not scored: no picture has one; predictions only"
    head = best_head(spec, dataset.labels)
    if head is None:
        return f"labels not scored: no head has two of {', '.join(names)}"
    labels = shared_labels(head, dataset.labels)
    ids = map_ids(label, dataset.labels, labels)
    if (ids < 0).all():
        return f"labels not scored: head {head.name!r} has none of those that occur"
    reasons = {"without a label": int((label < 0).sum())} | {
        f"label {name}, which the model does not have": int((label == i).sum())
        for i, name in enumerate(names)
        if labels.index(name) is None
    }
    return Truth(head, labels, ids, {reason: count for reason, count in reasons.items() if count})


def _ferplus(spec: ModelSpec, dataset: Dataset, rows: NDArray[np.integer]) -> Truth | str | None:
    """None where there are no votes to speak of."""
    if dataset.votes is None:
        return None
    named = [head for head in spec.heads if head.name == FERPLUS8.name]
    head = named[0] if named else best_head(spec, FERPLUS8)
    if head is None or len(shared_labels(head, FERPLUS8)) < len(FERPLUS8):
        return "FER+ not scored: no head has all its eight classes, and fewer do not compare with published figures"
    ids = votes.majority(dataset.votes[rows])
    if (ids < 0).all():
        return "FER+ not scored: no picture has a majority of votes for an expression"
    left_out = int((ids < 0).sum())
    return Truth(head, FERPLUS8, ids, {"no majority for an expression": left_out} if left_out else {})


def best_head(spec: ModelSpec, labels: LabelSet) -> Head | None:
    """The head of the spec that fits `labels` best; None if it has less than two of them."""
    head, shared = spec.best_head(labels)
    return head if shared >= 2 else None


def shared_labels(head: Head, labels: LabelSet) -> LabelSet:
    """Those of `labels` that the head can answer, in their order."""
    shared = np.flatnonzero(mapping(head.label_set, labels).any(axis=0))
    return identify([labels.names[i] for i in shared])


def over(labels: LabelSet, head: Head, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """A head's probabilities (n, K) over `labels` (n, len(labels)); untouched where they are its own."""
    return probabilities if labels.names == head.labels else map_probabilities(probabilities, head.label_set, labels)


def of_classes(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    """Split → label → pictures, without the pictures that have no label."""
    return {split: {name: n for name, n in of.items() if name != UNLABELLED} for split, of in counts.items()}


def _nothing_shared(spec: ModelSpec, dataset: Dataset) -> MienError:
    heads = "; ".join(f"{head.name}: {', '.join(head.labels)}" for head in spec.heads)
    return MienError(
        f"the labels of {dataset.path or dataset.info.name} ({', '.join(dataset.labels.names)}) "
        f"have no two counterparts among the model's ({heads})",
        hint="rename the labels at import, or predict without scoring: mien predict",
    )
