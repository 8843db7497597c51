"""Start, resume and finish a training: `train` and `resume` are the two public entries."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import remove_temporaries, write_json
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.data.dataset import Dataset
from mien.train import checkpoint
from mien.train.checkpoint import Progress
from mien.train.events import recorded
from mien.train.loop import Watcher, fit
from mien.train.machine import Machine
from mien.train.prepare import prepare
from mien.train.store import environment, write_environment, write_recipe
from mien.train.teachers import Tell

# What a resumed run may change without pretending to be the run it was.
# With these a run that had stopped early goes on, and its patience begins anew.
PROLONGING = ("optimiser.learning_rate", "train.epochs", "stopping.patience_epochs")
CHANGEABLE = (*PROLONGING, "train.checkpoint_minutes")


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    run: RunDir
    progress: Progress
    spec: ModelSpec


def train(data: Dataset, recipe: Recipe, out: Path, watcher: Watcher, *, tell: Tell | None = None) -> Finished:
    """Train a new run into the folder `out`.

    Args:
        data: the packed set.
        recipe: how.
        out: the run folder, which must be free.
        watcher: sees every step and epoch.
        tell: called with how many pictures the teachers have answered, and of how many.

    Raises:
        MienError: `out` exists, the device is not there, the recipe does not fit the data, or the loss is not finite.
    """
    machine, run = Machine(recipe.train), RunDir(out)
    if machine.is_first:
        _require_free(run)
    parts, learner = prepare(data, recipe, run, machine, tell=tell)
    if machine.is_first:
        # The recipe makes the folder a run, so it comes when everything that a resume needs is there.
        checkpoint.save(run.resume, learner, Progress())
        write_json(run.data, _data_facts(data))
        write_environment(run, environment(machine))
        write_recipe(run, recipe)
    machine.wait()
    progress = Progress()
    seen = recorded(watcher, parts, learner, progress)
    return Finished(run, fit(parts, learner, progress, _logged(seen, run, machine)), parts.store.spec)


def resume(run: RunDir, data: Dataset, watcher: Watcher, *, settings: Sequence[str] = ()) -> Finished:
    """Go on with a run from its last saved state, to the same numbers as if it had never stopped.

    Raises:
        MienError: no run, other data than it was trained on, or a setting that would make the result dishonest.
    """
    recipe = changed(recipes.read(str(run.require().recipe)), settings)
    trained_on = str(run.read_json(run.data).get("fingerprint"))
    if trained_on != data.info.fingerprint:
        raise MienError(
            f"{data.path}: not the data this run was trained on (fingerprint {data.info.fingerprint[:12]}, "
            f"the run has {trained_on[:12]})"
        )
    before = run.read_json(run.environment)
    machine = Machine(recipe.train.model_copy(update={"precision": before.get("precision", "auto")}))
    parts, learner = prepare(data, recipe, run, machine, fresh=False)
    progress = checkpoint.load(run.resume, learner)
    if any(_key(setting) in PROLONGING for setting in settings):
        progress.stopped, progress.waited = False, 0
    if machine.is_first:
        remove_temporaries(run.path)
        now = {**environment(machine), "from_epoch": progress.epoch, "from_step": progress.step}
        write_environment(run, {**before, "resumed": [*before.get("resumed", []), now]})
        write_recipe(run, recipe)
    seen = recorded(watcher, parts, learner, progress)
    return Finished(run, fit(parts, learner, progress, _logged(seen, run, machine)), parts.store.spec)


def _require_free(run: RunDir) -> None:
    """Raise MienError unless the folder is free; what a start that was killed at once has left is cleared away."""
    found = {path.name for path in run.path.iterdir()} if run.path.exists() else set()
    if not found:
        return
    if found <= {"weights", "data.json", "env.json", run.phases.name, run.teachers.name}:
        shutil.rmtree(run.path)
        return
    hint = f"mien resume {run.path} goes on with it; or choose another --out"
    raise MienError(f"{run.path}: exists already", hint=hint if run.recipe.is_file() else "choose another --out")


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with settings that a resumed run may change. Raises MienError for any other."""
    for setting in settings:
        key = _key(setting)
        if key not in CHANGEABLE:
            raise MienError(
                f"{key} cannot change in a resumed run: its history would be that of two recipes",
                hint=f"changeable: {', '.join(CHANGEABLE)}; else start a new run",
            )
    return recipes.build(recipes.apply_settings(recipes.to_tree(recipe), settings), source="resume")


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _data_facts(data: Dataset) -> dict[str, object]:
    info = data.info
    return {
        "path": str(data.path.resolve()) if data.path else None,
        "name": info.name,
        "fingerprint": info.fingerprint,
        "labels": list(info.labels),
        "counts": info.counts,
        "provenance": info.provenance,
    }


class _Logged:
    """A watcher that also writes a line an epoch to the run's log."""

    def __init__(self, inner: Watcher, logger: logging.Logger) -> None:
        self.inner, self.logger = inner, logger

    def step(self, progress: Progress, *, waited: float) -> None:
        self.inner.step(progress, waited=waited)

    def epoch(self, row: dict[str, float | int]) -> None:
        self.logger.info("  ".join(f"{k} {v:.5g}" for k, v in row.items()))
        self.inner.epoch(row)


def _logged(watcher: Watcher, run: RunDir, machine: Machine) -> Watcher:
    if not machine.is_first:
        return watcher
    logger = logging.getLogger(f"mien.train.{run.path}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for old in list(logger.handlers):
        old.close()
        logger.removeHandler(old)
    handler = logging.FileHandler(run.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
    logger.addHandler(handler)
    return _Logged(watcher, logger)
