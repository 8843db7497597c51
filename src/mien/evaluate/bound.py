"""Which weights something was made of, and whether a run still has them: resuming and calibrating change them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.core.errors import command
from mien.core.rundir import RunDir
from mien.evaluate.answerer import Weights, model_file
from mien.models.store import digest, read_weights

NO_TTA = "none"  # by name, the test-time augmentation that is none
OTHER = "of other weights, or other temperatures, than the run has now"


def bound(path: Path, weights: Weights = "best") -> dict[str, str]:
    """What metrics.json says of the weights that answered: their digest, and of a run which they are.

    Raises:
        MienError: as `model_file`.
    """
    found = digest(model_file(path, weights))
    return ({"which": weights} if path.is_dir() else {}) | {"tensors": found.tensors, "answers": found.answers}


def which(facts: Mapping[str, Any]) -> str:
    """Whether the best or the last weights of a run answered, by metrics.json."""
    return str((facts.get("weights") or {}).get("which", "best"))


def stale(run: RunDir, facts: Mapping[str, Any]) -> str:
    """Why the evaluation in a run's folder is not of the weights that it has now; "" where it is, or cannot be known.

    Args:
        run: the folder; weights that are not there tell nothing.
        facts: of metrics.json. One that was written before digests were is held to the epoch of its weights.
    """
    told = facts.get("weights") or {}
    file = run.last if which(facts) == "last" else run.best
    if not file.is_file():
        return ""
    was, now = facts.get("provenance") or {}, read_weights(file)[1].provenance
    same = told["answers"] == digest(file).answers if "answers" in told else _no_other(was, now)
    if same:
        return ""
    if _no_other(was, now):
        return OTHER
    return f"of the weights of epoch {was['epoch']}, and the run now has those of epoch {now['epoch']}"


def _no_other(was: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether the epochs that two origins name are not different ones."""
    return not was.get("epoch") or not now.get("epoch") or was["epoch"] == now["epoch"]


def held(run: RunDir) -> set[str]:
    """Digests of the tensors of the weights that a run has."""
    return {digest(file).tensors for file in (run.best, run.last) if file.is_file()}


def run_of(path: Path) -> RunDir | None:
    """The run whose evaluation `path` names: the run itself, its eval/ or a folder in that, such as eval/flip."""
    if RunDir(path).recipe.is_file():
        return RunDir(path)
    for given in (path, path.resolve()):
        for folder in (given, given.parent):
            run = RunDir(folder.parent)
            if folder.name == run.evaluation.name and run.recipe.is_file():
                return run
    return None


def kept_in(run: RunDir, tta: str) -> Path:
    """Where a run keeps an evaluation: `eval/`; with test-time augmentation beside the plain one, as `eval/flip/`."""
    return run.evaluation if tta == NO_TTA else run.evaluation / tta


def again(run: RunDir, folder: Path, facts: Mapping[str, Any], *, data: object = "DATA") -> str:
    """The command that measures again on `data` what the evaluation in a folder of a run measured, and puts it there.

    In a run's own eval/ that is the plain one, whatever stands there.
    """
    tta = NO_TTA if same_place(folder, run.evaluation) else str(facts.get("tta", NO_TTA))
    words: list[object] = ["eval", run.path, data, "--split", facts.get("split", "val")]
    words += [] if tta == NO_TTA else ["--tta", tta]
    words += ["--weights", "last"] if which(facts) == "last" else []
    words += [] if same_place(folder, kept_in(run, tta)) else ["--out", folder]
    return command(*words)


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths name the same place, which may not be there."""
    return one.resolve() == other.resolve()
