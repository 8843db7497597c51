"""A finished evaluation read back: what a run answered, to which pictures of which data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.core.errors import MienError, command
from mien.core.labels import LabelSet
from mien.core.rundir import RunDir
from mien.core.spec import Head
from mien.data.arrow import read_table, to_numpy
from mien.evaluate.bound import NO_TTA, again, run_of, same_place, stale, which
from mien.evaluate.truth import LABELS, over

_OF = ("dataset", "split", "weights", "provenance")  # what an evaluation is of


@dataclass(frozen=True)
class Answered:
    """Answers to n pictures.

    Attributes:
        path: the run, or the folder of the evaluation.
        run: whose it is, see `bound.run_of`; None where that is not known.
        facts: what metrics.json holds.
        rows: positions (n,) of the pictures in the packed set, ascending.
        label: names (n,), None where a picture has none.
        predicted: names (n,).
        probabilities: by name of head (n, K), over `heads`.
        heads: labels by name of head.
        pixels: sha256 (n,) of the pictures; None in evaluations of earlier versions.
        stale: why they are not what the run with the weights that it has now answers by itself; "" where they are, or
            where no run is known.
    """

    path: Path
    run: RunDir | None
    facts: Mapping[str, Any]
    rows: NDArray[np.int64]
    label: NDArray[np.object_]
    predicted: NDArray[np.object_]
    probabilities: Mapping[str, NDArray[np.float32]]
    heads: Mapping[str, Sequence[str]]
    pixels: NDArray[np.str_] | None = None
    stale: str = ""

    @property
    def fingerprint(self) -> str:
        """Of the data set."""
        return str(self.facts["dataset"]["fingerprint"])

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return str(self.facts["dataset"]["name"])

    @property
    def split(self) -> str:
        """train, val, test or all."""
        return str(self.facts["split"])

    @property
    def tta(self) -> str:
        """Test-time augmentation by name."""
        return str(self.facts["tta"])

    @property
    def last(self) -> bool:
        """Whether the last weights answered, not those that were kept as the best."""
        return which(self.facts) == "last"

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the data set that the answers were chosen from and scored on; none where it has no labels."""
        return tuple(self.facts["scores"].get(LABELS, {}).get("labels", ()))

    def among(self, labels: LabelSet) -> NDArray[np.float32]:
        """Probabilities (n, len(labels)) where the head that was scored may say none but these of `labels`."""
        name = self.facts["scores"][LABELS]["head"]
        return over(labels, Head(name=name, labels=tuple(self.heads[name])), self.probabilities[name])

    @property
    def again(self) -> str:
        """The command that measures them again; "" where no run is known."""
        return again(self.run, evaluation_of(self.path), self.facts) if self.run else ""


def require_fresh(answered: Answered) -> Answered:
    """The answers. Raises MienError when they are not of the weights that the run has now."""
    if answered.stale:
        hint = f"{answered.again} measures it again"
        raise MienError(f"{answered.path}: its evaluation is {answered.stale}", hint=hint)
    return answered


def evaluation_of(path: Path) -> Path:
    """Where the files of an evaluation are: `path` itself, or the eval/ of a run folder."""
    return path if (path / "metrics.json").is_file() else RunDir(path).evaluation


def read_answers(path: Path) -> Answered:
    """The evaluation of a run folder, or the one in the folder that `mien eval --out` wrote.

    Raises:
        MienError: there is none, it is damaged, or its two files do not belong together.
    """
    folder = evaluation_of(path)
    table, facts = _table(folder, path), RunDir(path).read_json(folder / "metrics.json")
    try:
        answered = _answered(path, facts, table)
        if len(answered.rows) != int(facts["pictures"]):
            raise ValueError(f"{len(answered.rows)} rows for {facts['pictures']} pictures")
        return replace(answered, stale=_outlived(answered.run, folder, facts))
    except (KeyError, ValueError, TypeError) as error:
        raise MienError(f"{folder}: damaged evaluation ({error!r})", hint="run mien eval again") from None


def _outlived(run: RunDir | None, folder: Path, facts: Mapping[str, Any]) -> str:
    """As `Answered.stale`. A folder in a run's eval/ that does not say which weights answered stands for itself."""
    if run is None:
        return ""
    own = same_place(folder, run.evaluation)
    if own and facts["tta"] != NO_TTA:
        return f"with test-time augmentation {facts['tta']}, in place of the plain one"
    return stale(run, facts) if own or "weights" in facts else ""


def augmented(run: RunDir, plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts of those evaluations in a run's eval/ that differ from the plain one by test-time augmentation alone.

    Args:
        run: its folder.
        plain: what metrics.json of the plain one holds. Of other data, another split or other weights none is told.

    Raises:
        MienError: one of them is damaged.
    """
    found = [run.read_json(path) for path in sorted(run.evaluation.glob("*/metrics.json"))]
    alike = [one for one in found if all(one.get(key) == plain.get(key) for key in _OF)]
    return [one for one in alike if one.get("tta", NO_TTA) != NO_TTA]


def _table(folder: Path, path: Path) -> pa.Table:
    if not (folder / "metrics.json").is_file() or not (folder / "predictions.parquet").is_file():
        raise MienError(f"{path}: no evaluation in it", hint=f"{command('eval', path, 'DATA')} writes one")
    try:
        return read_table(folder / "predictions.parquet")
    except (OSError, pa.ArrowInvalid) as error:
        raise MienError(f"{folder / 'predictions.parquet'}: damaged ({error})", hint="run mien eval again") from None


def _answered(path: Path, facts: Mapping[str, Any], table: pa.Table) -> Answered:
    heads = json.loads(table.schema.metadata[b"mien"])["heads"] if table.schema.metadata else {}
    rows = to_numpy(table.column("row")).astype(np.int64)
    order = np.argsort(rows, kind="stable")
    return Answered(
        path=path,
        run=run_of(path),
        facts=facts,
        rows=rows[order],
        label=np.array(table.column("label").to_pylist(), object)[order],
        predicted=np.array(table.column("predicted").to_pylist(), object)[order],
        probabilities={
            head: np.stack([to_numpy(table.column(f"p_{head}_{name}")) for name in labels], axis=1)[order]
            for head, labels in heads.items()
        },
        heads=heads,
        pixels=_pixels(table, order),
    )


def _pixels(table: pa.Table, order: NDArray[np.int64]) -> NDArray[np.str_] | None:
    return to_numpy(table.column("sha256")).astype(np.str_)[order] if "sha256" in table.column_names else None
