"""The diagnosis of a run folder: its evidence gathered from files, data and weights, judged and written down."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.diagnose.evidence import Answers, Fed, Targets
from mien.diagnose.judge import Diagnosis, diagnose
from mien.diagnose.reading import Extra, evaluated_answers, read_evidence, stored_answers
from mien.evaluate.answered import read_answers
from mien.evaluate.answerer import open_answerer
from mien.evaluate.bound import bound
from mien.evaluate.evaluate import evaluate
from mien.train.fed_check import fed_facts
from mien.train.targets import targets


def examine(path: Path, *, data: Path | None = None, audit: Path | None = None) -> Diagnosis:
    """Diagnose a run folder and write its diagnosis.json.

    Raises:
        MienError: no run, or damaged files, or data other than it was trained on.
    """
    run = RunDir(path).require()
    # Before the weights are asked: of a training that goes on the diagnosis may count as old, never as new.
    judged = _judged(run)
    packed, missing = _data(run, data)
    extra = Extra(
        fed=None if packed is None else _fed(run, packed, missing),
        targets=None if packed is None else _targets(run, packed),
        answers=_answers(run, packed, missing),
        audit=_audit(audit, packed),
    )
    diagnosis = diagnose(read_evidence(run, packed, extra), missing=tuple(missing))
    diagnosis = replace(diagnosis, facts=diagnosis.facts | judged)
    write_json(run.diagnosis, diagnosis.to_json())
    return diagnosis


def _judged(run: RunDir) -> dict[str, str]:
    """The digest of the weights that are judged, for the facts: a report sees whether the run still has them."""
    try:
        return {"answers": bound(run.path)["answers"]}
    except MienError:  # no weights, or damaged ones: the curves are judged all the same
        return {}


def _data(run: RunDir, given: Path | None) -> tuple[Dataset | None, list[str]]:
    """The run's data, or None and a note."""
    try:
        packed = datasets.load(given or run.data_path())
    except MienError:
        if given is not None:
            raise
        return None, ["the data (not where it was; --data PACKED)"]
    if packed.info.fingerprint != run.read_json(run.data).get("fingerprint"):
        raise MienError(f"{packed.path}: not the data that {run.path} was trained on", hint="--data PACKED")
    return packed, []


def _fed(run: RunDir, packed: Dataset, missing: list[str]) -> Fed | None:
    try:
        return fed_facts(packed, recipes.read_own(run.recipe))
    except MienError as error:
        missing.append(f"what the net is fed ({error.message})")
        return None


def _targets(run: RunDir, packed: Dataset) -> Targets | None:
    try:
        return targets(packed, recipes.read_own(run.recipe))
    except MienError:  # there are none to train on any more, as `_fed` says
        return None


def _answers(run: RunDir, packed: Dataset | None, missing: list[str]) -> Answers | None:
    """Predictions of val: the run's own, or made now."""
    stored = stored_answers(run)
    if stored is not None:
        return stored
    try:
        if packed is None or not run.best.is_file():
            raise MienError("no predictions, and no data or weights to make them")
        return evaluated_answers(evaluate(open_answerer(run.path), packed), packed)
    except MienError as error:
        missing.append(f"predictions ({_outlived(run) or error.message})")
        return None


def _outlived(run: RunDir) -> str:
    """What is wrong with stored predictions that are of earlier weights, and the way out; "" where there are none."""
    if not (run.evaluation / "metrics.json").is_file():
        return ""
    told = read_answers(run.path)
    return f"the evaluation is {told.stale}: {told.again}" if told.stale else ""


def _audit(given: Path | None, packed: Dataset | None) -> dict[str, object] | None:
    """The summary of an audit. Raises MienError when the file that was named cannot be read or is of other data."""
    if given is None:
        return None
    path = given / "audit.json" if given.is_dir() else given
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        of = summary["data"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MienError(f"{path}: no summary of an audit ({error})", hint="mien data audit DATA") from None
    if packed is not None and of != packed.info.fingerprint:
        raise MienError(f"{path}: an audit of other data than the run's")
    return dict(summary)
