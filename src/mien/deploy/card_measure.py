"""The figures of a model card, measured from the shipped file itself on a packed data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.audit import copies
from mien.data.audit.measures import measure as measure_pictures
from mien.data.dataset import Dataset
from mien.data.derive import GROUPS
from mien.data.regroup import about_groups
from mien.deploy.card_data import ClassFigure, Figure, Measured, Share, SliceFigure
from mien.evaluate.answerer import OnnxAnswerer
from mien.evaluate.evaluate import Evaluation, Score, evaluate
from mien.evaluate.metrics import Metrics
from mien.evaluate.truth import over, truths
from mien.explain.slices import slices

TTA = ("none", "flip-shift")


def measure_card(
    model: Path, dataset: Dataset, *, split: str = "val", progress: Callable[[int], None] | None = None
) -> Measured:
    """Everything that a card says of a model's answers.

    Copies between train and the split are looked for here, among these two alone, so that the leak-free figures do not
    depend on what else is in the set.

    Args:
        model: the file that is shipped.
        dataset: packed pictures, with those of train.
        split: whose pictures are scored.
        progress: called with the number of pictures answered since the last call; all kinds of augmentation count.

    Raises:
        MienError: as `evaluate`.
    """
    answerer, data = OnnxAnswerer(model), _grouped(dataset, split)
    found = {tta: evaluate(answerer, data, split=split, tta=tta, progress=progress) for tta in TTA}
    plain = found["none"]
    return Measured(
        dataset=dataset.info.name,
        split=split,
        fingerprint=split_fingerprint(dataset, split),
        pictures=len(plain.rows),
        date=datetime.now(UTC).date().isoformat(),
        figures=tuple(_figure(kind, tta, score) for tta, e in found.items() for kind, score in e.scores.items()),
        slices=_slices(data, plain, answerer),
    )


def split_fingerprint(dataset: Dataset, split: str) -> str:
    """A sha256 of the pixels, labels and votes of a split, whatever their order and whatever else is in the set."""
    rows = dataset.rows(split)
    pixels, labels, votes = dataset.column("sha256")[rows], dataset.label[rows], dataset.votes
    names = [*dataset.labels.names, ""]  # the last for −1, no label
    cast = ["" for _ in rows] if votes is None else [",".join(map(str, of)) for of in votes[rows].tolist()]
    lines = sorted(f"{p} {names[label]} {v}" for p, label, v in zip(pixels, labels, cast, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _grouped(dataset: Dataset, split: str) -> Dataset:
    """Train and the split alone, with the groups of their copies."""
    rows = np.flatnonzero(np.isin(dataset.split, ["train", split]))
    whole = len(rows) == len(dataset)
    part = dataset if whole else replace(dataset, images=dataset.images[rows], table=dataset.table.take(rows))
    group = copies.of(part).group
    place = part.table.schema.get_field_index("group")
    provenance = part.info.provenance | {GROUPS: about_groups(group)}
    info = part.info.model_copy(update={"provenance": provenance})
    return replace(part, table=part.table.set_column(place, "group", [group]), info=info)


def _figure(kind: str, tta: str, score: Score) -> Figure:
    metrics, free = score.metrics, score.leak_free
    return Figure(
        scored_on=kind,
        tta=tta,
        head=score.head,
        overall=_share(metrics),
        leak_free=None if free is None else _share(free.metrics),
        copies=0 if free is None else free.copies,
        macro_f1=metrics.macro_f1,
        log_loss=metrics.log_loss,
        calibration_error=metrics.calibration_error,
        classes=tuple(
            ClassFigure(name=c.name, pictures=c.support, recall=c.recall, precision=c.precision)
            for c in metrics.classes
        ),
    )


def _share(metrics: Metrics) -> Share:
    ends = metrics.accuracy_interval
    return Share(pictures=metrics.count, accuracy=metrics.accuracy, low=ends.low, high=ends.high)


def _slices(data: Dataset, plain: Evaluation, answerer: OnnxAnswerer) -> tuple[SliceFigure, ...]:
    columns = _columns(data, plain.rows)
    found: list[SliceFigure] = []
    for kind, truth in truths(answerer.spec, data, plain.rows)[0].items():
        kept = truth.ids >= 0
        answers = over(truth.labels, truth.head, plain.answers[truth.head.name])[kept].argmax(1)
        for one in slices(answers == truth.ids[kept], {name: values[kept] for name, values in columns.items()}):
            ends = one.interval
            share = Share(pictures=one.count, accuracy=one.accuracy, low=ends.low, high=ends.high)
            found.append(SliceFigure(scored_on=kind, name=f"{one.column} {one.name}", overall=share))
    return tuple(found)


def _columns(data: Dataset, rows: NDArray[np.integer]) -> Mapping[str, NDArray[Any]]:
    """What pictures are told apart by: values (n,) by the name of the property."""
    measures = measure_pictures(np.asarray(data.images[rows]))
    # Rounded, so that another processor's last digit moves no picture into the next slice.
    columns: dict[str, NDArray[Any]] = {
        "brightness": measures.brightness.round(2),
        "contrast": measures.contrast.round(2),
        "detail": measures.detail.round(4),
    }
    if data.votes is not None:
        columns["FER+ votes for the first"] = data.votes[rows].max(1)
    return columns
