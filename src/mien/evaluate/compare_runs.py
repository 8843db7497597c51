"""Runs against each other: their answers to the same pictures, and what differs in their recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.labels import LabelSet, identify
from mien.evaluate.answered import Answered, evaluation_of, read_answers, require_fresh
from mien.evaluate.bound import run_of
from mien.evaluate.compare import Paired, holm, paired, verdict
from mien.evaluate.history import read_history
from mien.evaluate.metrics import Interval, wilson
from mien.evaluate.use_of_val import TOLD, Use, use_of_val
from mien.page.words import listed

_SAME = "mien eval RUN DATA --split … measures them on the same pictures"
_NOT_COMPARED = ("name", "about")


@dataclass(frozen=True)
class Compared:
    """One of the runs: right answers to `count` pictures that all runs answered, and its history."""

    name: str
    path: Path
    right: int
    count: int
    interval: Interval
    history: tuple[Mapping[str, float], ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.count


@dataclass(frozen=True)
class Pair:
    """Two of the runs by name; `p` is the mid-p value after Holm's correction for the number of pairs."""

    first: str
    second: str
    paired: Paired
    p: float

    @property
    def verdict(self) -> str:
        """One sentence."""
        return verdict(self.first, self.second, self.paired, self.p)


@dataclass(frozen=True)
class Comparison:
    """What `mien compare` tells.

    Attributes:
        left_out: pictures without a label that every run can answer.
        recipes: by dotted key, what each run has there (None: nothing); only keys in which they differ.
        notes: what else to mind.
    """

    dataset: str
    split: str
    runs: tuple[Compared, ...]
    pairs: tuple[Pair, ...]
    left_out: int
    recipes: Mapping[str, tuple[Any, ...]]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, lists and numbers."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "pictures": self.runs[0].count,
            "left_out": self.left_out,
            "runs": [
                {
                    "name": run.name,
                    "path": str(run.path),
                    "accuracy": run.accuracy,
                    "low": run.interval.low,
                    "high": run.interval.high,
                }
                for run in self.runs
            ],
            "pairs": [
                {"first": pair.first, "second": pair.second, "p_holm": pair.p, "verdict": pair.verdict}
                | pair.paired.to_json()
                for pair in self.pairs
            ],
            "recipes": {key: list(values) for key, values in self.recipes.items()},
            "notes": list(self.notes),
        }


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Compare the evaluations of two or more runs; pictures are matched by their row in the packed set.

    Raises:
        MienError: fewer than two runs, one without an evaluation or with one of earlier weights, or evaluations of
            unlike data, splits or pictures, or without two labels in common.
    """
    if len({evaluation_of(path).resolve() for path in paths}) < max(len(paths), 2):
        raise MienError("a comparison needs two or more different runs", hint="mien compare RUN RUN…")
    answers = [require_fresh(read_answers(path)) for path in paths]
    for other in answers[1:]:
        _require_alike(answers[0], other)
    names, labels = short_names(paths), shared_labels(answers)
    kept = np.array([label in labels.names for label in answers[0].label], bool)
    right = [(_said(one, labels) == one.label)[kept] for one in answers]
    pairs = [(i, j, paired(right[i], right[j])) for i, j in combinations(range(len(paths)), 2)]
    corrected = holm([pair.mid_p for _, _, pair in pairs])
    return Comparison(
        dataset=answers[0].dataset,
        split=answers[0].split,
        runs=tuple(_compared(*one) for one in zip(names, answers, right, strict=True)),
        pairs=tuple(Pair(names[i], names[j], pair, p) for (i, j, pair), p in zip(pairs, corrected, strict=True)),
        left_out=int((~kept).sum()),
        recipes=recipe_differences(paths),
        notes=_notes(answers, names, labels),
    )


def _compared(name: str, one: Answered, right: NDArray[np.bool_]) -> Compared:
    hits = int(right.sum())
    interval = wilson(hits, len(right))
    assert interval is not None  # `paired` has refused an empty comparison
    history = read_history(one.run) if one.run else []
    return Compared(name, one.path, hits, len(right), interval, tuple(history))


def _require_alike(first: Answered, other: Answered) -> None:
    """Raise MienError unless both answered the same pictures of the same data."""
    if first.fingerprint != other.fingerprint:
        raise MienError(
            f"{other.path} was measured on other data than {first.path}: {other.dataset} "
            f"({other.fingerprint[:12]}), not {first.dataset} ({first.fingerprint[:12]})",
            hint=_SAME,
        )
    if first.split != other.split:
        raise MienError(f"{other.path} was measured on {other.split}, {first.path} on {first.split}", hint=_SAME)
    if not np.array_equal(first.rows, other.rows):
        unlike = len(np.setxor1d(first.rows, other.rows))
        raise MienError(f"{other.path} and {first.path} differ in {unlike:,} pictures of {first.split}", hint=_SAME)
    if not np.array_equal(first.label, other.label):
        raise MienError(f"{other.path} and {first.path} disagree about labels of the same rows", hint=_SAME)


def shared_labels(answers: Sequence[Answered]) -> LabelSet:
    """The labels that every one of the models can answer. Raises MienError where there are not two."""
    shared = [name for name in answers[0].labels if all(name in other.labels for other in answers[1:])]
    if len(shared) < 2:
        raise MienError(
            "the runs have no two labels in common that they were scored on",
            hint="choose a split that has labels, and runs that can answer the same",
        )
    return identify(shared)


def _said(one: Answered, labels: LabelSet) -> NDArray[np.object_]:
    """What a model answers (n,) where it may say none but these labels: the fewer they are, the more is right."""
    return np.asarray(np.array(labels.names, object)[one.among(labels).argmax(1)])


def short_names(paths: Sequence[Path]) -> list[str]:
    """The end of each path that tells it from the others."""
    full = [path.resolve() for path in paths]
    parts = 1
    while len({full_path.parts[-parts:] for full_path in full}) < len(full):
        parts += 1
    return [str(Path(*path.parts[-parts:])) for path in full]


def recipe_differences(paths: Sequence[Path]) -> dict[str, tuple[Any, ...]]:
    """By dotted key what each run's recipe has; defaults filled in, equal keys left out, no keys without recipes."""
    runs = [run for path in paths if (run := run_of(path))]
    if len(runs) < len(paths):
        return {}
    flat = [flatten(recipes.read_own(run.recipe).model_dump(mode="json")) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    values = {key: tuple(one.get(key) for one in flat) for key in keys if key not in _NOT_COMPARED}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found[1:])}


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested tables by dotted key; tables in a list count from 1, as in `--set phases.1.size=32`."""
    if isinstance(tree, list) and any(isinstance(one, dict) for one in tree):
        tree = {str(number): one for number, one in enumerate(tree, 1)}
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, one in tree.items() for k, v in flatten(one, f"{prefix}.{key}" if prefix else key).items()}


def _notes(answers: Sequence[Answered], names: Sequence[str], labels: LabelSet) -> tuple[str, ...]:
    notes = []
    if more := [name for one, name in zip(answers, names, strict=True) if len(one.labels) > len(labels)]:
        notes.append(
            f"all answer among {listed(list(labels.names))} here; further labels are left out of: {listed(more)}"
        )
    if len({one.tta for one in answers}) > 1:
        told = ", ".join(f"{name} {one.tta}" for name, one in zip(names, answers, strict=True))
        notes.append(f"measured with unlike test-time augmentation: {told}")
    if len(answers) > 2:
        notes.append("p is corrected for the number of pairs; the interval of each pair is its own, at 95 %")
    if answers[0].split == "val":
        notes += _about_val(answers, names)
    return tuple(notes)


def _about_val(answers: Sequence[Answered], names: Sequence[str]) -> list[str]:
    """Whom it favours that pictures of val chose an epoch, or were trained on."""
    use: dict[Use, list[str]] = {"trained": [], "chose": [], "neither": [], "unknown": []}
    for one, name in zip(answers, names, strict=True):
        use[use_of_val(one)].append(name)
    trained, chose, neither, unknown = (listed(found) for found in use.values())
    notes = [f"{TOLD['trained']}: {trained}"] if trained else []
    if chose and not (trained or neither or unknown):
        return ["epochs were chosen on val: the runs' accuracies are a little high, their comparison is fair"]
    if chose:
        notes.append(f"{TOLD['chose']}: {chose}")
    if chose and neither:
        notes.append(f"did not, and are at a disadvantage: {neither}")
    if unknown:
        notes.append(f"{TOLD['unknown']}: {unknown}")
    return notes
