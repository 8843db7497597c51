"""Start, resume and finish a training: `train` and `resume` are the two public entries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import remove_temporaries, write_json
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.data.dataset import Dataset
from mien.train import checkpoint
from mien.train.checkpoint import Progress
from mien.train.claim import claimed, clear, leftovers
from mien.train.events import recorded
from mien.train.loop import Parts, Watcher, fit
from mien.train.machine import Machine
from mien.train.prepare import prepare
from mien.train.step import Learner
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
    was_complete: bool = False  # before it was resumed


def train(data: Dataset, recipe: Recipe, out: Path, watcher: Watcher, *, tell: Tell | None = None) -> Finished:
    """Train a new run into the folder `out`.

    Args:
        data: the packed set.
        recipe: how.
        out: the run folder, which must be free.
        watcher: sees every step and epoch.
        tell: called with how many pictures the teachers have answered, and of how many.

    Raises:
        MienError: `out` exists, another process trains there, the device is not there or has too little memory, the
            recipe does not fit the data, or the loss is not finite.
    """
    machine, run = Machine(recipe.train), RunDir(out)
    if machine.is_first:
        leftovers(run)  # what is taken is refused without a claim, which would write in it
    with claimed(run, is_first=machine.is_first), _within_memory(recipe):
        left = leftovers(run) if machine.is_first else {}
        # It writes in the folder already.
        parts, learner = prepare(data, recipe, run, machine, tell=tell)
        if machine.is_first:
            clear(left)
            # The recipe makes the folder a run, so it comes when everything that a resume needs is there.
            checkpoint.save(run.resume, learner, Progress())
            write_json(run.data, _data_facts(data))
            write_environment(run, environment(machine))
            write_recipe(run, recipe)
        machine.wait()
        return _fitted(parts, learner, Progress(), watcher)


def resume(
    run: RunDir,
    data: Dataset,
    watcher: Watcher,
    *,
    settings: Sequence[str] = (),
    begin: Callable[[Progress], None] | None = None,
) -> Finished:
    """Go on with a run from its last saved state, to the same numbers as if it had never stopped.

    Args:
        run: the run folder.
        data: the packed set that it was trained on.
        watcher: sees every step and epoch.
        settings: changes to the recipe, `key.path=value`, of those that a resumed run may have.
        begin: called with where the run stands, before the first step; not for a run that is complete.

    Raises:
        MienError: no run, other data than it was trained on, another process at work on it, fewer epochs than it has, a
            setting that would make the result dishonest, or too little memory.
    """
    recipe = changed(recipes.read_own(run.require().recipe), settings)
    trained_on = str(run.read_json(run.data).get("fingerprint"))
    if trained_on != data.info.fingerprint:
        raise MienError(
            f"{data.path}: not the data this run was trained on (fingerprint {data.info.fingerprint[:12]}, "
            f"the run has {trained_on[:12]})"
        )
    before = run.read_json(run.environment)
    machine = Machine(recipe.train.model_copy(update={"precision": before.get("precision", "auto")}))
    with claimed(run, is_first=machine.is_first), _within_memory(recipe):
        parts, learner = prepare(data, recipe, run, machine, fresh=False)
        progress = checkpoint.load(run.resume, learner)
        _require_epochs(recipe, progress)
        prolonged = any(_key(setting) in PROLONGING for setting in settings)
        if prolonged:
            progress.stopped, progress.waited = False, 0
        complete = progress.stopped or progress.epoch == recipe.train.epochs
        if begin is not None and not complete:
            begin(progress)
        if machine.is_first and not complete:
            remove_temporaries(run.path)
            now = {**environment(machine), "from_epoch": progress.epoch, "from_step": progress.step}
            write_environment(run, {**before, "resumed": [*before.get("resumed", []), now]})
            if prolonged:  # before the recipe says so: killed in its next epoch, the run would else be complete again
                checkpoint.save(run.resume, learner, progress)
            write_recipe(run, recipe)
        return replace(_fitted(parts, learner, progress, watcher), was_complete=complete)


@contextmanager
def _within_memory(recipe: Recipe) -> Iterator[None]:
    """Raises MienError where the device has too little memory for what is done here."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        batch, measured = recipe.train.batch_size, recipe.train.eval_batch_size
        raise MienError(
            f"the device has too little memory for train.batch_size = {batch} or eval_batch_size = {measured} "
            f"({str(error).partition('. ')[0]})",
            hint="a new run with a smaller train.batch_size, or train.eval_batch_size where the measuring fails",
        ) from None


def _fitted(parts: Parts, learner: Learner, progress: Progress, watcher: Watcher) -> Finished:
    """Train from where `progress` stands to the end."""
    store = parts.store
    seen = _logged(recorded(watcher, parts, learner, progress), store.run, parts.machine)
    return Finished(store.run, fit(parts, learner, progress, seen), store.spec)


def _require_epochs(recipe: Recipe, progress: Progress) -> None:
    """Raise MienError when a run has gone further than its recipe says, which would then no longer be true."""
    begun = progress.epoch + (progress.step > 0)
    if recipe.train.epochs < begun:
        raise MienError(
            f"train.epochs = {recipe.train.epochs}, but the run is in epoch {begun} already",
            hint=f"train.epochs of at least {begun}; weights of earlier epochs are in snapshots/, if it keeps any",
        )


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with settings that a resumed run may change; the last phase then goes on to the new end.

    Raises:
        MienError: any other setting, or phases that the epochs do not reach.
    """
    if not settings:
        return recipe
    tree = recipes.apply_settings(recipes.to_tree(recipe), settings)
    recipes.check_keys(tree, source="--set")  # a mistyped key is no key that must not change
    for setting in settings:
        key = _key(setting)
        if key not in CHANGEABLE:
            raise MienError(
                f"{key} cannot change in a resumed run: its history would be that of two recipes",
                hint=f"changeable: {', '.join(CHANGEABLE)}; else start a new run",
            )
    if tree["phases"] and tree["train"]["epochs"] != recipe.train.epochs:
        tree["phases"][-1].pop("epochs", None)
    return recipes.build(tree, source="resume")


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
