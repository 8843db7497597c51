"""Slots: tickets written twice, lost trials, zombies; on a real SQLite storage."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from mien.core.errors import MienError
from mien.tune import run as search
from mien.tune import slots
from mien.tune.space import Key, Space
from mien.tune.storage import open_study, sqlite_url

POINTS = [{"x": 1}, {"x": 2}]
SPACE = Space(name="s", recipe="mien-s", keys={"train.epochs": Key(choices=(1, 2))})


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return open_study(SPACE, "data", url=sqlite_url(tmp_path))


def slots_taken(study: optuna.Study) -> list[int]:
    taken = []
    while (trial := slots.take(study)) is not None:
        taken.append(trial.user_attrs[slots.SLOT])
    return taken


def test_tickets_that_two_processes_wrote_are_taken_once(study: optuna.Study) -> None:
    slots.write_missing(study, POINTS, attempts=3)
    # The other process had looked before these were there.
    study.enqueue_trial({"x": 1}, user_attrs={slots.SLOT: 0, slots.ATTEMPT: 1})
    study.enqueue_trial({"x": 2}, user_attrs={slots.SLOT: 1, slots.ATTEMPT: 1})
    assert slots_taken(study) == [0, 1]
    slots.write_missing(study, POINTS, attempts=3)
    assert slots_taken(study) == []


def test_a_trial_without_a_beat_is_lost_and_tried_again_with_the_same_values(study: optuna.Study) -> None:
    now = 0.0
    watchman = slots.Watchman(study, 10, clock=lambda: now)
    slots.write_missing(study, POINTS, attempts=3)
    alive, dead = slots.take(study), slots.take(study)
    assert alive is not None
    assert dead is not None
    assert dead.suggest_categorical("x", [1, 2]) == 2
    assert watchman.look() == []
    now = 9
    alive.set_user_attr(slots.BEAT, 1)
    assert watchman.look() == []
    now = 11
    assert watchman.look() == [dead.number]
    slots.write_missing(study, POINTS, attempts=3)
    again = slots.take(study)
    assert again is not None
    assert (again.user_attrs[slots.SLOT], again.user_attrs[slots.ATTEMPT]) == (1, 2)
    assert again.suggest_categorical("x", [1, 2]) == 2
    assert slots.left(study, POINTS, attempts=3) == 2
    study.tell(again, 0.5)
    assert slots.left(study, POINTS, attempts=3) == 1
    with pytest.raises((optuna.exceptions.UpdateFinishedTrialError, ValueError)):
        study.tell(dead, 0.9)  # it was not dead after all, but its slot has a result
    assert slots.counted(study.get_trials())[1].value == 0.5


def test_attempts_end(study: optuna.Study) -> None:
    for _ in range(5):
        slots.write_missing(study, POINTS[:1], attempts=2)
        trial = slots.take(study)
        if trial is not None:
            slots.fail(study, trial.number)
    assert len(study.get_trials(states=(TrialState.FAIL,))) == 2
    assert slots.left(study, POINTS[:1], attempts=2) == 0


def test_a_trial_with_an_error_of_its_own_is_not_tried_again(study: optuna.Study) -> None:
    slots.write_missing(study, POINTS[:1], attempts=3)
    trial = slots.take(study)
    assert trial is not None
    trial.set_user_attr(slots.ERROR, "the loss is not finite")
    slots.fail(study, trial.number)
    slots.write_missing(study, POINTS[:1], attempts=3)
    assert slots.take(study) is None


def test_a_study_is_held_to_its_space(tmp_path: Path) -> None:
    open_study(SPACE, "data", url=sqlite_url(tmp_path))
    with pytest.raises(MienError, match="has another data"):
        open_study(SPACE, "other data", url=sqlite_url(tmp_path))


def test_a_failure_of_a_trial_that_was_declared_lost_is_nobodys_result(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.write_missing(study, POINTS, attempts=3)
    trial = slots.take(study)
    assert trial is not None

    def lost_then_diverged(*_: object) -> None:
        assert slots.fail(study, trial.number)  # as another process does
        raise MienError("the loss became nan")

    monkeypatch.setattr(search, "_train", lost_then_diverged)
    done = search._do(None, SPACE, study, trial, tmp_path, None)  # type: ignore[arg-type]
    assert not done
    assert slots.ERROR not in study.trials[trial.number].user_attrs
