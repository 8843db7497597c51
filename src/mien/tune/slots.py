"""Who does which trial: every trial of a search has a slot, and a slot has one result, whoever is killed when.

A search over N trials has the slots 0 to N − 1. A slot's work is a *ticket*: a waiting trial of the Optuna study that
names the slot and the attempt. Anyone may write tickets that are missing, at any time; two processes may write the same
one. So a ticket counts only if no ticket with the same slot and attempt has a lower trial number: numbers are given out
by the storage, one after the other, and whoever takes a ticket that does not count throws it away before training. A
killed process's ticket stops beating; it is declared lost, and the slot then has no ticket that is alive, so that a
ticket for the next attempt is missing. There is no moment at which a kill could lose a slot or train one twice.

Optuna's own heartbeat is not used: it leaves a trial alone that dies before its first beat, and the process that
declares a trial lost and dies before it has written the retry loses it for good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from mien.tune.space import Value

SLOT, ATTEMPT, BEAT, ERROR = "slot", "attempt", "beat", "error"


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


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial that stands for a slot ended without a result of its own: killed, interrupted."""
    return trial.state == TrialState.FAIL and ERROR not in trial.user_attrs


def write_missing(study: optuna.Study, points: Sequence[Mapping[str, Value]], *, attempts: int) -> None:
    """Write the tickets that are missing: of slots that have none, and of slots whose last attempt was lost.

    A trial that was lost `attempts` times, or that failed by an error of its own, is not tried again.
    """
    found = counted(study.get_trials(deepcopy=False))
    for slot, point in enumerate(points):
        trial = found.get(slot)
        if trial is None:
            study.enqueue_trial(dict(point), user_attrs={SLOT: slot, ATTEMPT: 1})
        elif is_lost(trial) and trial.user_attrs[ATTEMPT] < attempts:
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


def left(study: optuna.Study, points: Sequence[Mapping[str, Value]], *, attempts: int) -> int:
    """How many slots have no result yet and may still get one."""
    found = counted(study.get_trials(deepcopy=False))
    over = [t for t in found.values() if t.state.is_finished()]
    again = [t for t in over if is_lost(t) and t.user_attrs[ATTEMPT] < attempts]
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
    """A thread that changes the trial's beat while the block runs."""
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(every if count else 0):
            count += 1
            try:
                trial.set_user_attr(BEAT, count)
            except UpdateFinishedTrialError:  # declared lost by another process, which will tell at the end
                return

    thread = threading.Thread(target=beat, daemon=True, name=f"beat of trial {trial.number}")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
