"""Which weights something was made of, and whether a run still has them: resuming and calibrating change them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.core.rundir import RunDir
from mien.evaluate.answerer import Weights, model_file
from mien.models.store import digest, read_weights


def bound(path: Path, weights: Weights = "best") -> dict[str, str]:
    """What metrics.json says of the weights that answered: which of a run's, and their digest.

    Raises:
        MienError: as `model_file`.
    """
    found = digest(model_file(path, weights))
    return {"which": weights, "tensors": found.tensors, "answers": found.answers}


def stale(run: RunDir, facts: Mapping[str, Any]) -> str:
    """Why the evaluation in a run's folder is not of the weights that it has now; "" where it is, or cannot be known.

    Args:
        run: the folder; weights that are not there tell nothing.
        facts: of metrics.json. One that was written before digests were is held to the epoch of its weights.
    """
    told = facts.get("weights") or {}
    file = run.last if told.get("which") == "last" else run.best
    if not file.is_file():
        return ""
    was, now = facts.get("provenance") or {}, read_weights(file)[1].provenance
    same = told["answers"] == digest(file).answers if "answers" in told else _no_other(was, now)
    if same:
        return ""
    if _no_other(was, now):
        return "of other weights, or other temperatures, than the run has now"
    return f"of the weights of epoch {was['epoch']}, and the run now has those of epoch {now['epoch']}"


def _no_other(was: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether the epochs that two origins name are not different ones."""
    return not was.get("epoch") or not now.get("epoch") or was["epoch"] == now["epoch"]


def held(run: RunDir) -> set[str]:
    """Digests of the tensors of the weights that a run has."""
    return {digest(file).tensors for file in (run.best, run.last) if file.is_file()}


def again(path: Path | str, facts: Mapping[str, Any]) -> str:
    """The command that measures again what an evaluation measured."""
    which = " --weights last" if (facts.get("weights") or {}).get("which") == "last" else ""
    return f"mien eval {path} DATA --split {facts.get('split', 'val')}{which}"
