"""Who does which trial: every trial of a search has a slot, and a slot has one result, whoever is killed when.

A search over N trials has the slots 0 to N − 1. A slot's work is a *ticket*: a waiting trial of the Optuna study that
names the slot and the attempt. Anyone may write tickets that are missing, at any time; two processes may write the same
one. So a ticket counts only if no ticket with the same slot and attempt has a lower trial number: numbers are given out
by the storage, one after the other, and whoever takes a ticket that does not count throws it away before training. A
killed process's ticket stops beating; it is declared lost, and the slot then has no ticket that is alive, so that a
ticket for the next attempt is missing. There is no moment at which a kill could lose a slot or train one twice. A
process that is asked to stop frees its slot, which is no loss: only losses count towards the end of attempts.

Optuna's own heartbeat is not used: it leaves a trial alone that dies before its first beat, and the process that
declares a trial lost and dies before it has written the retry loses it for good.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from mien.tune.space import Value

SLOT, ATTEMPT, BEAT, ERROR, FREED, SEARCH = "slot", "attempt", "beat", "error", "freed", "search"


def counted(trials: list[FrozenTrial]) -> dict[int, FrozenTrial]:
    """The trial that stands for each slot: of its last attempt, the one with the lowest number."""
    found: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        slot = trial.user_attrs.get(SLOT)
        if slot is None:
            continue
        known = found.get(slot)
        if known is None or trial.user_attrs[ATTEMPT] > known.user_attrs[ATTEMPT]:
            found[slot] = trial
    return found


def identity(study: optuna.Study) -> dict[str, str] | None:
    """What a study is known by, whatever its storage is called: its name and the token of its first ticket.

    None before it has one; those of an earlier mien have no token.
    """
    trials = study.get_trials(deepcopy=False)
    if not trials:
        return None
    first = min(trials, key=lambda t: t.number)
    return {"study": study.study_name, "search": first.user_attrs.get(SEARCH, "")}


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial that stands for a slot ended without a result of its own: killed, interrupted."""
    return trial.state == TrialState.FAIL and ERROR not in trial.user_attrs


def losses(trials: list[FrozenTrial]) -> Counter[int]:
    """How many attempts at each slot were lost, without those that were freed because somebody asked to stop."""
    first: dict[tuple[int, int], FrozenTrial] = {}
    for trial in sorted(trials, key=lambda t: t.number):
        if SLOT in trial.user_attrs:
            first.setdefault((trial.user_attrs[SLOT], trial.user_attrs[ATTEMPT]), trial)
    return Counter(slot for (slot, _), trial in first.items() if is_lost(trial) and FREED not in trial.user_attrs)


def write_missing(study: optuna.Study, points: Sequence[Mapping[str, Value]], *, attempts: int) -> None:
    """Write the tickets that are missing: of slots that have none, and of slots whose last attempt was lost or freed.

    A trial that was lost `attempts` times, or that failed by an error of its own, is not tried again.
    """
    trials, token = study.get_trials(deepcopy=False), uuid.uuid4().hex
    found, lost = counted(trials), losses(trials)
    for slot, point in enumerate(points):
        trial = found.get(slot)
        if trial is None:
            study.enqueue_trial(dict(point), user_attrs={SLOT: slot, ATTEMPT: 1, SEARCH: token})
        elif is_lost(trial) and lost[slot] < attempts:
            # What the search had chosen is kept: the slot is the same trial.
            again = {**point, **trial.system_attrs.get("fixed_params", {}), **trial.params}
            study.enqueue_trial(again, user_attrs={SLOT: slot, ATTEMPT: trial.user_attrs[ATTEMPT] + 1})


def take(study: optuna.Study) -> Trial | None:
    """A ticket that counts, now running; None when none is waiting."""
    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        trial = study.ask()
        slot = trial.user_attrs.get(SLOT)
        # Without a slot: another process was faster, and Optuna made a trial of its own.
        if slot is not None and counted(study.get_trials(deepcopy=False))[slot].number == trial.number:
            return trial
        fail(study, trial.number)
    return None


def fail(study: optuna.Study, number: int) -> bool:
    """Let a running trial fail; False when it had ended already."""
    try:
        study.tell(number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):
        return False
    return True


def free(study: optuna.Study, trial: Trial) -> None:
    """Give a running trial back because somebody asked this process to stop: as lost, but not counted as a loss.

    Where the storage does not answer, others notice by the beat that is missing.
    """
    with suppress(StorageInternalError, SQLAlchemyError):
        with suppress(UpdateFinishedTrialError):  # declared lost meanwhile: another process has the slot
            trial.set_user_attr(FREED, True)
        fail(study, trial.number)


def tell(study: optuna.Study, trial: Trial, value: float | None, state: TrialState) -> bool:
    """Give a running trial its result; False when it was declared lost meanwhile and has none."""
    try:
        study.tell(trial, value, state)
    except UpdateFinishedTrialError:
        return False
    except ValueError:  # of a trial that is over, and of a value that is no number
        if study.get_trials(deepcopy=False)[trial.number].state.is_finished():
            return False
        raise
    return True


def left(study: optuna.Study, points: Sequence[Mapping[str, Value]], *, attempts: int) -> int:
    """How many slots have no result yet and may still get one."""
    trials = study.get_trials(deepcopy=False)
    found, lost = counted(trials), losses(trials)
    over = [t for t in found.values() if t.state.is_finished()]
    again = [t for t in over if is_lost(t) and lost[t.user_attrs[SLOT]] < attempts]
    return len(points) - len(over) + len(again)


class Watchman:
    """Declares trials lost whose beat has not changed for `grace` seconds by this process's own clock.

    Clocks of different machines are never compared. A process that stood still for longer than that loses its trial:
    what it then reports is refused.
    """

    def __init__(self, study: optuna.Study, grace: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.study, self.grace, self.clock = study, grace, clock
        self.seen: dict[int, tuple[Any, float]] = {}

    def look(self) -> list[int]:
        """Note all beats; the numbers of trials that this call declared lost."""
        now, lost = self.clock(), []
        running = [t for t in self.study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]
        for trial in running:
            beat = trial.user_attrs.get(BEAT)
            before = self.seen.get(trial.number)
            if before is None or before[0] != beat:
                self.seen[trial.number] = beat, now
            elif now - before[1] > self.grace and fail(self.study, trial.number):
                lost.append(trial.number)
        return lost


@contextmanager
def beating(trial: Trial, every: float) -> Iterator[None]:
    """A thread that changes the trial's beat while the block runs; what the storage refuses once is tried again."""
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(every if count else 0):
            count += 1
            try:
                trial.set_user_attr(BEAT, count)
            except UpdateFinishedTrialError:  # declared lost by another process, which will tell at the end
                return
            except (StorageInternalError, SQLAlchemyError):  # a server that restarts: the next beat may get through
                continue

    thread = threading.Thread(target=beat, daemon=True, name=f"beat of trial {trial.number}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
