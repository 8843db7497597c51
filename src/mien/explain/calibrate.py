"""A model's probabilities made to mean what they say, and written into the model file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import mapping
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import Dataset
from mien.evaluate.answerer import Answerer, Answers
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.predict import predict_probabilities
from mien.evaluate.truth import LABELS, Truth, over, truths
from mien.evaluate.use_of_val import use_of
from mien.explain.honest import Answered, CrossFit, answered, cross_fit
from mien.explain.temperature import HIGHEST, LOWEST, fit_temperature, soften, threshold_for
from mien.models.store import read_weights, save_weights

CALIBRATED_ON = "calibrated_on"  # in the spec's provenance


@dataclass(frozen=True)
class HeadCalibration:
    """One head.

    Attributes:
        kind: of truth that it was held to, see `truth.truths`.
        was: its temperature so far.
        temperature: what its logits are to be divided by.
        before: as the model answers now.
        honest: measured on pictures that the fit did not see.
    """

    head: str
    kind: str
    was: float
    temperature: float
    before: Metrics
    honest: CrossFit

    def to_json(self) -> dict[str, Any]:
        """Temperatures, and log loss and calibration error before and after."""
        after = self.honest.metrics
        halves = [self.was * factor for factor in self.honest.temperatures]
        return {
            "head": self.head,
            "scored_on": self.kind,
            "pictures": self.before.count,
            "temperature": {"before": self.was, "after": self.temperature, "of_halves": halves},
            "log_loss": {"before": self.before.log_loss, "after": after.log_loss},
            "calibration_error": {"before": self.before.calibration_error, "after": after.calibration_error},
        }


@dataclass(frozen=True)
class Abstention:
    """When the model is to say "unsure".

    Attributes:
        precision: share of right answers that was wished for.
        below: the probability below which it does, after calibration.
        fitted: what comes of it on the pictures it was chosen on.
        honest: each half under the threshold of the other; None where a half alone cannot reach the precision.
    """

    precision: float
    below: float
    fitted: Answered
    honest: Answered | None

    def to_json(self) -> dict[str, Any]:
        """As plain numbers."""
        return {
            "precision": self.precision,
            "abstain_below": self.below,
            "fitted": self.fitted.to_json(),
            "cross_fitted": self.honest.to_json() if self.honest else None,
        }


@dataclass(frozen=True)
class Calibration:
    """Heads in the order of the spec, the threshold if one was asked for, and the spec that holds both."""

    heads: tuple[HeadCalibration, ...]
    abstention: Abstention | None
    spec: ModelSpec

    def to_json(self) -> dict[str, Any]:
        """Figures only."""
        return {
            "heads": [head.to_json() for head in self.heads],
            "abstention": self.abstention.to_json() if self.abstention else None,
        }


def calibrate(
    answerer: Answerer,
    dataset: Dataset,
    *,
    split: str = "val",
    run: RunDir | None = None,
    precision: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Calibration:
    """Fit a temperature for every head that the split can judge, and a threshold for a wished precision.

    The threshold is that of the default head, which is the one that answers when nobody asks for another. A model that
    is calibrated already is fitted again from where it stands, so doing it twice changes nothing.

    Args:
        answerer: the model; nothing is written, see `store`.
        dataset: packed pictures that the model was not trained on.
        split: of `dataset`.
        run: that trained the model, where there is one: its recipe and data say which pictures it was trained on.
        precision: wished share of right answers among those given, 0–1; None: the model always answers. A threshold
            of an earlier calibration is dropped then, since it belongs to other temperatures.
        progress: called with the number of pictures done since the last call.

    Raises:
        MienError: pictures the model was trained on, too few of them, or a precision that is out of reach.
    """
    rows = dataset.rows(split)
    _require_unseen(dataset, rows, split, run)
    judged = _by_head(truths(answerer.spec, dataset, rows)[0])
    answers = predict_probabilities(answerer, dataset.images, rows=rows, progress=progress)
    groups = dataset.column("group").astype(np.int64)[rows]
    first = answerer.spec.head().name
    heads = tuple(
        _head(truth, kind, answers, groups, precision if name == first else None)
        for name, (kind, truth) in judged.items()
    )
    if not heads:
        raise MienError(f"split {split!r} has no label that a head could be held to", hint="choose a labelled split")
    abstention = None if precision is None else _abstention(judged, heads, answers, first, precision)
    spec = _calibrated(answerer.spec, heads, abstention, f"{dataset.info.name} {split}, {len(rows)} pictures")
    return Calibration(heads, abstention, spec)


def _require_unseen(dataset: Dataset, rows: NDArray[np.int64], split: str, run: RunDir | None) -> None:
    """Raise MienError for pictures that the model was trained on."""
    pixels = dataset.column("sha256")[rows].astype(np.str_)
    if split == "train" or (run and use_of(run, dataset.info.fingerprint, split=split, pixels=pixels) == "trained"):
        raise MienError(
            f"the model was trained on pictures of {split}, and is surer of those than of others",
            hint="calibrate on val; where the run was trained on that, too, on test or on other pictures",
        )


def _by_head(scored: dict[str, Truth]) -> dict[str, tuple[str, Truth]]:
    """For each head the kind of truth that holds it; where two hold one head, the data set's own labels."""
    found: dict[str, tuple[str, Truth]] = {}
    for kind in sorted(scored, key=lambda name: name != LABELS):
        found.setdefault(scored[kind].head.name, (kind, scored[kind]))
    return found


def _held(truth: Truth, answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Right classes and probabilities of the pictures that count.

    Leaving classes out and renormalising commutes with a temperature, so fitting after it is fitting the head.
    """
    kept = truth.ids >= 0
    return truth.ids[kept], over(truth.labels, truth.head, answers[truth.head.name])[kept]


def _own(truth: Truth, answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The same pictures as the model answers them when nobody asks: over all labels of the head, be they more.

    A threshold is held against these, and an answer that the data have no label for is wrong.
    """
    kept = truth.ids >= 0
    place = mapping(truth.head.label_set, truth.labels).argmax(0)
    return place[truth.ids[kept]], answers[truth.head.name][kept]


def _head(
    truth: Truth, kind: str, answers: Answers, groups: NDArray[np.int64], precision: float | None
) -> HeadCalibration:
    ids, p = _held(truth, answers)
    names = truth.labels.names
    own = _own(truth, answers)
    honest = cross_fit(ids, p, names, groups=groups[truth.ids >= 0], precision=precision, own=own)
    was = truth.head.temperature
    # A model that knows nothing asks for ever more: the end holds for the product, or twice would not be once.
    wanted = min(max(was * fit_temperature(ids, p), LOWEST), HIGHEST)
    return HeadCalibration(truth.head.name, kind, was, wanted, measure(ids, p, names), honest)


def _abstention(
    judged: dict[str, tuple[str, Truth]],
    heads: tuple[HeadCalibration, ...],
    answers: Answers,
    first: str,
    precision: float,
) -> Abstention:
    done = next((head for head in heads if head.head == first), None)
    if done is None:
        raise MienError(f"head {first!r} answers, but the data cannot judge it", hint="leave --precision out")
    ids, p = _own(judged[first][1], answers)
    softened = soften(p, done.temperature / done.was)
    below = threshold_for(ids, softened, precision)
    if below is None:
        best = float((softened.argmax(1) == ids).mean())
        raise MienError(
            f"no threshold makes {precision:.0%} of head {first!r}'s answers right; all together {best:.0%} are",
            hint="wish for less",
        )
    return Abstention(precision, below, answered(ids, softened, below), done.honest.answered)


def _calibrated(
    spec: ModelSpec, heads: tuple[HeadCalibration, ...], abstention: Abstention | None, where: str
) -> ModelSpec:
    found = {head.head: head.temperature for head in heads}

    def renewed(head: Head) -> Head:
        return head.model_copy(update={"temperature": round(found.get(head.name, head.temperature), 6)})

    below = None if abstention is None else round(abstention.below, 6)
    changes = {"heads": tuple(map(renewed, spec.heads)), "abstain_below": below}
    return spec.model_copy(update=changes | {"provenance": spec.provenance | {CALIBRATED_ON: where}})


def store(path: Path, spec: ModelSpec) -> None:
    """Give a weights file (`.safetensors`) the temperatures and the threshold of `spec`; its tensors stay as they are.

    Raises:
        MienError: not a weights file, or one of another model.
    """
    if path.suffix != ".safetensors":
        raise MienError(
            f"{path}: its temperatures are part of its graph and cannot be changed",
            hint="calibrate the run or its .safetensors file, then export it again",
        )
    tensors, old = read_weights(path)
    if [(h.name, h.labels) for h in old.heads] != [(h.name, h.labels) for h in spec.heads]:
        raise MienError(f"{path}: has other heads than the model that was calibrated")
    changes = {"heads": spec.heads, "abstain_below": spec.abstain_below, "provenance": spec.provenance}
    save_weights(path, tensors, old.model_copy(update=changes))
