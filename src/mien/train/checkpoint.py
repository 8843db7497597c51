"""The state of a training in one safetensors file, written as a whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.train.step import DivergedError, Learner

NAME = "state.safetensors"


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: epochs that are finished.
        step: steps done in the epoch that is under way.
        per_epoch: steps in an epoch of the present phase.
        position: steps done since the training began.
        loss_sum: summed losses of those steps; norm_sum: of their gradient norms.
        learning_rate: of the last step.
        best: the best validation figure so far, and the epoch (from 1) it belongs to.
        waited: epochs since.
        rows: the history; health: what `train.health` notes each epoch.
        first_loss: of the very first step.
        clipped: steps of this epoch whose gradients were clipped; update_ratio: of the last epoch's last step.
        seconds: time spent training.
    """

    epoch: int = 0
    step: int = 0
    per_epoch: int = 0
    position: int = 0
    learning_rate: float = 0.0
    loss_sum: float = 0.0
    norm_sum: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    stopped: bool = False
    seconds: float = 0.0
    rows: list[dict[str, float | int]] = field(default_factory=list)
    health: list[dict[str, float | int]] = field(default_factory=list)
    first_loss: float | None = None
    clipped: int = 0
    update_ratio: float = 0.0


def save(folder: Path, learner: Learner, progress: Progress) -> None:
    """Write model, optimiser, averages, plateau and progress.

    Raises:
        DivergedError: a weight is not finite; the earlier file stays.
    """
    tensors = {f"model.{name}": t for name, t in learner.model.state_dict().items()}
    if any(not bool(torch.isfinite(t).all()) for t in tensors.values()):
        raise DivergedError(
            f"a weight became infinite or not a number before epoch {progress.epoch + 1}, step {progress.step + 1}",
            hint="the last good state is kept: mien resume RUN --set optimiser.learning_rate=… (lower)",
        )
    tensors |= {f"optimiser.{name}": t for name, t in learner.optimiser.state_tensors().items()}
    scalars: dict[str, Any] = {"progress": asdict(progress), "plateau": _plateau(learner)}
    if learner.average:
        tensors |= {f"ema.{name}": t for name, t in learner.average.state.items()}
        scalars["ema_steps"] = learner.average.count
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with atomic_path(folder / NAME) as temporary:
        save_file(plain, temporary, metadata={"state": json.dumps(scalars)})


def _plateau(learner: Learner) -> dict[str, float]:
    plateau = learner.plateau
    return {"factor": plateau.factor, "best": plateau.best, "waited": plateau.waited}


def load(folder: Path, learner: Learner) -> Progress:
    """Put a saved state back into the learner.

    Raises:
        MienError: there is no state, or it is damaged or belongs to another net or another version of mien.
    """
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            scalars = json.loads((file.metadata() or {})["state"])
    except FileNotFoundError:
        raise MienError(
            f"{path}: no state to resume from", hint="the run ended before its first step: train again"
        ) from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise MienError(f"{path}: damaged state ({error})") from None
    try:
        learner.model.load_state_dict(_part(tensors, "model."))
        learner.optimiser.load_state_tensors(_part(tensors, "optimiser."))
    except (RuntimeError, ValueError) as error:
        raise MienError(f"{path}: does not fit the net of the recipe ({error})") from None
    try:
        return _told(scalars, tensors, learner)
    except (KeyError, TypeError, AttributeError) as error:
        raise MienError(
            f"{path}: not as this version of mien writes it ({error})", hint="go on with the version that has begun it"
        ) from None


def _told(scalars: dict[str, Any], tensors: dict[str, Tensor], learner: Learner) -> Progress:
    """Averages and plateau put back into the learner, and the progress."""
    if learner.average:
        device = next(learner.model.parameters()).device
        learner.average.state = {name: t.to(device) for name, t in _part(tensors, "ema.").items()}
        learner.average.count = scalars["ema_steps"]
    plateau = scalars["plateau"]
    learner.plateau.factor, learner.plateau.best = plateau["factor"], plateau["best"]
    learner.plateau.waited = int(plateau["waited"])
    told = scalars["progress"]
    # States saved before there were phases: all epochs had the same length.
    told.setdefault("position", told["epoch"] * told["per_epoch"] + told["step"])
    return Progress(**told)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
