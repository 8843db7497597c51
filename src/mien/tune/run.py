"""One process of a search: takes trials until every slot has a result."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.evaluate.history import read_history
from mien.train.checkpoint import NAME, Progress
from mien.train.loop import Watcher
from mien.train.prepare import check_fit
from mien.train.run import resume, train
from mien.tune import slots
from mien.tune.folder import claim
from mien.tune.space import Key, Space, Value, tried, what_then
from mien.tune.space import recipe as recipe_of
from mien.tune.storage import StorageLostError, retried

BEATS_PER_GRACE = 6
Watch = Callable[[Recipe, str], Watcher]
Figures = Mapping[str, float | int]


@dataclass(frozen=True)
class Patience:
    """How losses are noticed and what is done about them.

    Attributes:
        grace: seconds without a beat after which a trial counts as lost, and without an answer after which the storage
            does.
        attempts: at a slot that may be lost, so that a trial that kills its process does not do so for ever.
        poll: seconds between looks while only others are at work.
    """

    grace: float = 120
    attempts: int = 5
    poll: float = 2


def work(
    data: Dataset, space: Space, study: optuna.Study, out: Path, watch: Watch, *, patience: Patience | None = None
) -> int:
    """Take trials until all of the search have a result, those of other processes included; how many were done here.

    Any number of processes, on any number of machines, may do this on one study at the same time; see `slots` for
    why none loses or repeats a trial. A trial that was lost goes on from its last saved state where its folder can be
    read, and begins anew elsewhere.

    Raises:
        MienError: `out` is another search's, or the storage has not answered for as long as `patience` has grace.
    """
    patience, done = patience or Patience(), 0
    watchman = slots.Watchman(study, patience.grace)
    retried(patience.grace, lambda: claim(out, study, space, attempts=patience.attempts))
    while retried(patience.grace, lambda: slots.left(study, space.points, attempts=patience.attempts)):
        trial = retried(patience.grace, lambda: _next(study, space, watchman, attempts=patience.attempts))
        if trial is None:
            time.sleep(patience.poll)
            continue
        with slots.beating(trial, patience.grace / BEATS_PER_GRACE):
            done += _do(data, space, trial, out, watch, patience.grace)
    return done


def check(data: Dataset, space: Space) -> None:
    """Refuse before anything trains what a trial's training would refuse at its start: each net and its parts once.

    Raises:
        MienError: naming the settings of such a trial.
    """
    seen = set()
    for point in tried(space):
        chosen = recipe_of(space, point)
        key = chosen.model_dump_json(
            include={
                "model": True,
                "data": True,
                "phases": True,
                "loss": {"class_weights", "class_balance"},
                "optimiser": {"l1", "l2", "rates"},
            }
        )
        if key in seen:
            continue
        seen.add(key)
        try:
            check_fit(data, chosen)
        except MienError as error:
            raise MienError(what_then(point, error), hint=error.hint) from None


def _next(study: optuna.Study, space: Space, watchman: slots.Watchman, *, attempts: int) -> Trial | None:
    """A trial to train, after looking for lost ones; None while only others are at work."""
    watchman.look()
    slots.write_missing(study, space.points, attempts=attempts)
    return slots.take(study)


def _do(data: Dataset, space: Space, trial: Trial, out: Path, watch: Watch, grace: float) -> bool:
    """Train one trial and tell what came of it; False if it has no result."""
    study, slot = trial.study, trial.user_attrs[slots.SLOT]
    # A sampler of its own for each slot: processes with one seed would all begin with the same points.
    study.sampler = optuna.samplers.TPESampler(seed=1000 * space.seed + slot)
    try:
        state, value = _train(data, space, trial, out, watch, grace)
        return retried(grace, lambda: slots.tell(study, trial, value, state))
    except (UpdateFinishedTrialError, _LostError):
        return False  # declared lost meanwhile: another process has the slot
    except StorageLostError:
        raise  # nothing can be told; others notice by the beat that is missing
    except MienError as error:
        message = error.message
        with suppress(UpdateFinishedTrialError):  # declared lost meanwhile: this failure is nobody's result
            retried(grace, lambda: trial.set_user_attr(slots.ERROR, message))
            retried(grace, lambda: slots.fail(study, trial.number))
        return False
    except (KeyboardInterrupt, SystemExit):
        slots.free(study, trial)  # at once, for another process or the next call
        raise
    except BaseException:
        slots.fail(study, trial.number)
        raise


def _train(
    data: Dataset, space: Space, trial: Trial, out: Path, watch: Watch, grace: float
) -> tuple[TrialState, float | None]:
    """A trial's training, fresh or gone on with; COMPLETE with its figure or PRUNED."""
    point = retried(grace, lambda: {name: suggest(trial, name, key) for name, key in space.keys.items()})
    recipe = recipe_of(space, point)
    slot, attempt = trial.user_attrs[slots.SLOT], trial.user_attrs[slots.ATTEMPT]
    run, *earlier = (RunDir(out / "trials" / f"{slot:04d}-{number}") for number in range(attempt, 0, -1))
    begun = _inherit(run, earlier)
    watcher = _Reporting(watch(recipe, f"trial {slot}"), trial, epochs=recipe.train.epochs, grace=grace)
    try:
        if begun:
            watcher.replay(_history(run))
        finished = resume(run, data, watcher) if begun else train(data, recipe, run.path, watcher)
    except optuna.TrialPruned:
        return TrialState.PRUNED, None
    return TrialState.COMPLETE, figure(finished.progress, space)


def figure(progress: Progress, space: Space) -> float:
    """What a finished training is judged by: the last epoch, or the most that any epoch had.

    Raises:
        MienError: validation has neither labels nor votes that the net could be measured by.
    """
    rows = progress.rows[-1:] if space.figure == "last_val_accuracy" else progress.rows
    found = [value for value in map(judged, rows) if not math.isnan(value)]
    if not found:
        raise MienError("no validation picture has a label or votes, so no trial can be judged", hint="mien data show")
    return max(found)


def judged(row: Figures) -> float:
    """Validation accuracy of an epoch; where no validation picture has a label of the set, that of the FER+ votes."""
    own = float(row.get("val_accuracy", math.nan))
    return float(row.get("val_ferplus_accuracy", own)) if math.isnan(own) else own


def suggest(trial: Trial, name: str, key: Key) -> Value:
    """The value of a key in this trial: that of its ticket, or the sampler's; whole where both ends of a range are."""
    if key.choices:
        return cast(Value, trial.suggest_categorical(name, key.choices))  # it has no None among its choices
    low, high = key.low or 0, key.high or 0
    if key.is_whole:
        return trial.suggest_int(name, int(low), int(high), log=key.log)
    return trial.suggest_float(name, low, high, log=key.log)


def _inherit(run: RunDir, earlier: list[RunDir]) -> bool:
    """Copy the folder of the last attempt that can be gone on with; the process that had it may still be alive.

    An attempt may have ended before it had copied that of the one before, so all are looked through, the last first.

    Raises:
        MienError: there is something under its name already, which this search has not made: attempts are counted up.
    """
    if run.path.exists():
        raise MienError(f"{run.path}: exists already, and is not of this search", hint="choose another --out")
    before = next((one for one in earlier if one.recipe.is_file() and (one.resume / NAME).is_file()), None)
    if before is None:
        return False
    with atomic_folder(run.path) as folder:
        shutil.copytree(before.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*.tmp"))
    return True


def _history(run: RunDir) -> list[dict[str, float | int]]:
    """Epochs that were told of by the attempt before; the last one may have been published and not told."""
    return [{**row, "epoch": int(row["epoch"])} for row in read_history(run)]


class _LostError(Exception):
    """This process's trial was declared lost."""


class _Reporting:
    """A watcher that also reports each epoch, and ends a training that is not worth going on with."""

    def __init__(self, inner: Watcher, trial: Trial, *, epochs: int, grace: float = 0) -> None:
        self.inner, self.trial, self.epochs, self.grace = inner, trial, epochs, grace

    def step(self, progress: Progress, *, waited: float) -> None:
        self.inner.step(progress, waited=waited)

    def epoch(self, row: dict[str, float | int]) -> None:
        self.inner.epoch(row)
        self.report(row)
        # After the last epoch there is nothing left to save by giving up.
        if int(row["epoch"]) < self.epochs and retried(self.grace, self.trial.should_prune):
            raise optuna.TrialPruned

    def replay(self, rows: Iterable[Figures]) -> None:
        """Report epochs of a trial that goes on; the pruner is asked after each, since it notes what it hears then."""
        for row in rows:
            self.report(row)
            retried(self.grace, self.trial.should_prune)

    def report(self, row: Figures) -> None:
        try:
            retried(self.grace, lambda: self.trial.report(judged(row), int(row["epoch"])))
        except UpdateFinishedTrialError:
            raise _LostError from None
