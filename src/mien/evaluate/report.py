"""The report of a model: one HTML file for people, with everything in it. Takes arrays, not runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.evaluate import report_words as words
from mien.evaluate.leaks import LeakFree
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.report_figures import accuracy_curve, loss_curve
from mien.page.drawing import picture_uri
from mien.page.render import render

SHOWN_PICTURES = 14
_MOST_COLUMNS = 16
_COLUMNS = ("train_eval_accuracy", "val_accuracy", "train_eval_loss", "val_loss")


@dataclass(frozen=True)
class Curves:
    """What training measured after each epoch; every tuple is as long as `epoch`, or empty where not measured.

    Attributes:
        train_accuracy: on training pictures, measured as validation is, 0 to 1.
        val_accuracy: on the validation split, 0 to 1.
        train_loss: in nats.
        val_loss: in nats.
        best_epoch: the one whose weights were kept.
        marks: further epochs to mark, and a short text for each.
        val_count: pictures behind a validation accuracy; 0: not known.
    """

    epoch: tuple[int, ...]
    train_accuracy: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    best_epoch: int
    marks: Mapping[int, str] = field(default_factory=dict)
    val_count: int = 0

    @classmethod
    def of_rows(
        cls,
        rows: Sequence[Mapping[str, float]],
        best_epoch: int,
        *,
        marks: Mapping[int, str] | None = None,
        val_count: int = 0,
    ) -> Curves:
        """From the rows of a run's history; without a probe, training accuracy and loss stay empty."""
        column = {name: tuple(row[name] for row in rows if name in row) for name in _COLUMNS}
        return cls(
            epoch=tuple(range(1, len(rows) + 1)),
            train_accuracy=column["train_eval_accuracy"],
            val_accuracy=column["val_accuracy"],
            train_loss=column["train_eval_loss"],
            val_loss=column["val_loss"],
            best_epoch=best_epoch,
            marks=marks or {},
            val_count=val_count,
        )


@dataclass(frozen=True)
class Verdict:
    """One thing that a diagnosis found, in words; `tone` is severe, warning, note or fine, as in the audit.

    `name` is that of the rule, such as overfitting; "" where it is not known.
    """

    title: str
    tone: str
    what: str
    evidence: tuple[str, ...] = ()
    confidence: str = ""
    try_first: str = ""
    expected_gain: str = ""
    epoch: int | None = None
    mark: str = ""
    name: str = ""


@dataclass(frozen=True)
class Drawing:
    """A picture that explains: its data URI, title and text; those of one group stand together.

    `width` is that at which it reads well, in CSS px; None: its own.
    """

    title: str
    text: str
    uri: str
    group: str
    width: int | None = None


@dataclass(frozen=True)
class ReportContext:
    """Everything a report tells.

    Attributes:
        title: heading of the page.
        measured_on: what the pictures are, to follow their number: "drawn faces that training never saw".
        labels: the K names.
        images: uint8 (N, H, W) or (N, H, W, 3); None where they are not at hand.
        ids: right classes (N,), 0 to K − 1.
        probabilities: the model's answers (N, K).
        curves: how training went, if it is known.
        facts: name and value of what was used: data, net, time, file.
        commands: a command and what it does, to go on from here.
        notes: further sentences under the headline.
        leak_free: the score without pictures that have a copy in training, where such are known.
        diagnosis: a sentence on what a diagnosis found; "" where there was none.
        verdicts: what it found, the most important first.
        drawings: pictures that explain the net.
        tables: by title, names and values to fold away: recipe, environment, data.
        missing: what the page would show more of, and the command that makes it.
    """

    title: str
    measured_on: str
    labels: tuple[str, ...]
    images: NDArray[np.uint8] | None
    ids: NDArray[np.integer]
    probabilities: NDArray[np.floating]
    curves: Curves | None = None
    facts: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    leak_free: LeakFree | None = None
    diagnosis: str = ""
    verdicts: tuple[Verdict, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sample:
    """One picture in the report: its data URI, label and answer, and the answer's probability."""

    uri: str
    label: str
    answer: str
    probability: float


def write_report(path: Path, context: ReportContext) -> Metrics:
    """Write the page to `path` and return the figures that it shows.

    Raises:
        MienError: there are not as many pictures as answers, or as `metrics.measure`.
    """
    metrics = measure(context.ids, context.probabilities, context.labels)
    write_text(path, page(context, metrics))
    return metrics


def page(context: ReportContext, metrics: Metrics | None) -> str:
    """The page's text; without metrics it has no part on answers. Raises MienError as `write_report`."""
    if context.images is not None and len(context.images) != len(context.ids):
        raise MienError(f"a report of {len(context.ids)} answers needs as many pictures, got {len(context.images)}")
    return render("mien.evaluate", "page.html.j2", _parts(context, metrics))


def _parts(context: ReportContext, metrics: Metrics | None) -> dict[str, Any]:
    """The template's variables."""
    curves = context.curves
    groups: dict[str, list[Drawing]] = {}
    for drawing in context.drawings:
        groups.setdefault(drawing.group, []).append(drawing)
    return {
        "c": context,
        "m": metrics,
        "training": _training(curves, context.verdicts) if curves else "",
        "accuracy_svg": accuracy_curve(curves) if curves else "",
        "loss_svg": loss_curve(curves) if curves else "",
        "groups": groups,
    } | (_answers(context, metrics) if metrics else {"right": [], "wrong": []})


def _training(curves: Curves, verdicts: Sequence[Verdict]) -> str:
    """How training went, as the diagnosis sees it."""
    faults = [one for one in verdicts if one.tone != "note"]
    return words.training(
        curves.val_accuracy,
        curves.train_accuracy,
        curves.best_epoch,
        val_count=curves.val_count,
        overfits=any(one.name == "overfitting" for one in faults),
        first=faults[0].title if faults else "",
    )


def _answers(context: ReportContext, metrics: Metrics) -> dict[str, Any]:
    """The variables of the parts on answers."""
    right, wrong = samples(context) if context.images is not None else ([], [])
    return {
        "headline": words.headline(metrics, context.measured_on),
        "spread": words.spread(metrics),
        "near_chance": words.near_chance(metrics),
        "leak_free": words.leak_free(context.leak_free) if context.leak_free else "",
        "best_and_worst": words.best_and_worst(metrics),
        "mix_ups": words.mix_ups(metrics),
        "matrix": _matrix(metrics) if len(metrics.labels) <= _MOST_COLUMNS else None,
        "right": right,
        "wrong": wrong,
    }


def _matrix(metrics: Metrics) -> list[tuple[str, list[tuple[int, float]]]]:
    """Rows of the confusion matrix: label, then count and share of the row for each answer."""
    return [
        (name, [(count, count / max(sum(counts), 1)) for count in counts])
        for name, counts in zip(metrics.labels, metrics.confusion, strict=True)
    ]


def samples(context: ReportContext, *, most: int = SHOWN_PICTURES) -> tuple[list[Sample], list[Sample]]:
    """Pictures answered as labelled, label by label in turn, and others, the surest first; at most `most` each."""
    ids, p = np.asarray(context.ids), np.asarray(context.probabilities)
    answer, sure = p.argmax(1), p.max(1)
    wrong = np.flatnonzero(answer != ids)
    turns = [rows for k in range(len(context.labels)) if len(rows := np.flatnonzero((ids == k) & (answer == k)))]
    right = [rows[i] for i in range(most) for rows in turns if i < len(rows)]
    return (
        [_sample(context, int(row), answer, sure) for row in right[:most]],
        [_sample(context, int(row), answer, sure) for row in wrong[np.argsort(-sure[wrong], kind="stable")][:most]],
    )


def _sample(context: ReportContext, row: int, answer: NDArray[np.integer], sure: NDArray[np.floating]) -> Sample:
    assert context.images is not None  # asked by `_answers`
    return Sample(
        uri=picture_uri(context.images[row]),
        label=context.labels[context.ids[row]],
        answer=context.labels[answer[row]],
        probability=float(sure[row]),
    )
