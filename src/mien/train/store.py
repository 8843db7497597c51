"""What a training leaves in its run folder while it goes on."""

from __future__ import annotations

import csv
import io
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch import Tensor

from mien.core import recipe as recipes
from mien.core.files import write_json, write_text
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.models.processor import has_matrix_units
from mien.models.store import save_weights
from mien.train.checkpoint import Progress
from mien.train.machine import Machine
from mien.train.schedule import ends_cycle
from mien.train.step import Learner


@dataclass(frozen=True)
class RunStore:
    """Writes the files of one run, each atomically."""

    run: RunDir
    spec: ModelSpec
    recipe: Recipe

    def publish(self, learner: Learner, progress: Progress) -> None:
        """History, last and best weights for the epoch that `progress` has just finished. Writing twice is harmless."""
        write_text(self.run.history, to_csv(progress.rows))
        write_text(self.run.health, to_csv(progress.health))
        self.run.diverged.unlink(missing_ok=True)
        state = learner.averaged()
        self._weights(self.run.last, state, progress)
        if progress.best_epoch == progress.epoch:
            self._weights(self.run.best, state, progress)
        if takes_snapshot(self.recipe, progress.epoch):
            self._weights(self.run.snapshots / f"epoch-{progress.epoch:04d}.safetensors", state, progress)
            for old in snapshots(self.run)[: -self.recipe.average.snapshots]:
                old.unlink()

    def _weights(self, path: Path, state: dict[str, Tensor], progress: Progress) -> None:
        row = progress.rows[-1]
        told = {"epoch": str(row["epoch"]), "val_accuracy": f"{row['val_accuracy']:.6f}"}
        spec = self.spec.model_copy(update={"provenance": self.spec.provenance | told})
        save_weights(path, state, spec)


def takes_snapshot(recipe: Recipe, epoch: int) -> bool:
    """Whether the weights at the end of an epoch (from 1) are a snapshot.

    At ends of cycles as in Huang et al. 2017 (arXiv 1704.00109), or every `snapshot_epochs`.
    """
    if not recipe.average.snapshots:
        return False
    if recipe.average.snapshot_epochs is None and recipe.schedule.name == "cosine-restarts":
        return ends_cycle(recipe.schedule, epoch)
    return epoch % (recipe.average.snapshot_epochs or 1) == 0


def snapshots(run: RunDir) -> list[Path]:
    """The snapshots of a run, the oldest first."""
    return sorted(run.snapshots.glob("epoch-*.safetensors"))


def to_csv(rows: list[dict[str, float | int]]) -> str:
    """Rows of figures as CSV; floats keep all their digits."""
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_recipe(run: RunDir, recipe: Recipe) -> None:
    """The whole recipe, defaults included, so that a later mien reads the same."""
    write_text(run.recipe, tomli_w.dumps(recipes.to_tree(recipe)))


def environment(machine: Machine) -> dict[str, Any]:
    """Versions and machine of a training: its numbers repeat where these are the same."""
    packages = {}
    for name in ("mien", "torch", "numpy", "accelerate", "timm", "onnxruntime"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": packages,
        "device": str(machine.device),
        "precision": machine.precision,
        "processes": machine.processes,
        "threads": torch.get_num_threads(),
        "amx_bf16": has_matrix_units(),
    }


def write_environment(run: RunDir, facts: dict[str, Any]) -> None:
    """`env.json`: where the run began, and under `resumed` where it went on."""
    write_json(run.environment, facts)
