"""Slots: tickets written twice, lost trials, zombies; on a real SQLite storage."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import OperationalError

from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.train.checkpoint import NAME, Progress
from mien.tune import run as search
from mien.tune import slots
from mien.tune.folder import FILE as FOLDER_NOTE
from mien.tune.folder import claim
from mien.tune.space import Key, Space
from mien.tune.storage import StorageLostError, open_study, sqlite_url

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
    with pytest.raises((optuna.exceptions.UpdateFinishedTrialError, ValueError), match="Cannot tell a FAIL trial"):
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
    done = search._do(None, SPACE, trial, tmp_path, None, 0)  # type: ignore[arg-type]
    assert not done
    assert slots.ERROR not in study.trials[trial.number].user_attrs


def taken(study: optuna.Study, attempts: int = 3) -> Trial:
    slots.write_missing(study, POINTS[:1], attempts=attempts)
    trial = slots.take(study)
    assert trial is not None
    return trial


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_trial_that_was_interrupted_often_is_tried_again(
    stop: type[BaseException], study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise stop

    monkeypatch.setattr(search, "_train", interrupted)
    for attempt in range(1, 6):
        trial = taken(study, attempts=2)
        assert trial.user_attrs[slots.ATTEMPT] == attempt
        with pytest.raises(stop):
            search._do(None, SPACE, trial, tmp_path, None, 0)  # type: ignore[arg-type]
        assert slots.left(study, POINTS[:1], attempts=2) == 1
    for _ in range(2):  # what dies without saying so still has an end
        slots.fail(study, taken(study, attempts=2).number)
    assert slots.left(study, POINTS[:1], attempts=2) == 0


def test_an_error_of_the_program_counts_as_a_loss(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(search, "_train", defect)
    with pytest.raises(ZeroDivisionError):
        search._do(None, SPACE, taken(study), tmp_path, None, 0)  # type: ignore[arg-type]
    assert slots.losses(study.get_trials())[0] == 1


def test_an_attempt_goes_on_from_the_last_that_had_saved_something(tmp_path: Path) -> None:
    first, second, third = (RunDir(tmp_path / f"0000-{number}") for number in (1, 2, 3))
    first.resume.mkdir(parents=True)
    first.recipe.write_text("", encoding="utf-8")
    (first.resume / NAME).write_text("nine epochs", encoding="utf-8")
    second.resume.mkdir(parents=True)  # died before it had copied anything
    assert search._inherit(third, [second, first])
    assert (third.resume / NAME).read_text(encoding="utf-8") == "nine epochs"
    with pytest.raises(MienError, match="not of this search"):
        search._inherit(second, [first])
    assert second.resume.is_dir()


def test_a_trial_declared_lost_before_its_result_was_told_has_none(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = taken(study)

    def lost_after_training(*_: object) -> tuple[TrialState, float]:
        slots.fail(study, trial.number)  # as another process does
        return TrialState.COMPLETE, 0.5

    monkeypatch.setattr(search, "_train", lost_after_training)
    assert not search._do(None, SPACE, trial, tmp_path, None, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nan"):
        slots.tell(study, taken(study), math.nan, TrialState.COMPLETE)


def test_beats_go_on_after_the_storage_was_away_for_a_moment(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, beats, enough = taken(study), [0], threading.Event()

    def flaky(_: str, value: int) -> None:
        beats.append(value)
        if len(beats) == 3:
            raise StorageInternalError("restarting")
        if len(beats) == 6:
            enough.set()

    monkeypatch.setattr(trial, "set_user_attr", flaky)
    with slots.beating(trial, 0.01):
        assert enough.wait(20)
    assert beats[:6] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("error", [StorageInternalError("restarting"), OperationalError("x", None, Exception("gone"))])
def test_figures_and_questions_wait_for_a_storage_that_restarts(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    calls, told, given_up = [0], dict[int, float](), SimpleNamespace(epoch=lambda _: None)

    def refuse_twice() -> None:
        calls[0] += 1
        if calls[0] % 3:
            raise error

    def report(value: float, epoch: int) -> None:
        refuse_twice()
        told[epoch] = value

    def should_prune() -> bool:
        refuse_twice()
        return True

    trial: Any = SimpleNamespace(report=report, should_prune=should_prune)
    watcher = search._Reporting(given_up, trial, epochs=2, grace=60)  # type: ignore[arg-type]
    with pytest.raises(optuna.TrialPruned):
        watcher.epoch({"epoch": 1, "val_accuracy": 0.1})
    assert told == {1: 0.1}
    assert calls == [6]


def test_a_storage_that_stays_away_is_one_error_and_no_result_of_the_trial(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_train", lambda *_: (TrialState.COMPLETE, 0.5))
    trial = taken(study)

    def gone(*_: object, **__: object) -> None:
        raise StorageInternalError

    with monkeypatch.context() as away:
        away.setattr(study, "tell", gone)
        with pytest.raises(StorageLostError, match="has not answered for 0 s"):
            search._do(None, SPACE, trial, tmp_path, None, 0)  # type: ignore[arg-type]
        away.setattr(study, "get_trials", gone)
        with pytest.raises(StorageLostError):
            search.work(None, SPACE, study, tmp_path, None, patience=search.Patience(grace=0))  # type: ignore[arg-type]
    assert study.trials[trial.number].state == TrialState.RUNNING
    assert slots.ERROR not in study.trials[trial.number].user_attrs


def other_study(folder: Path, name: str = "s") -> optuna.Study:
    return open_study(SPACE.model_copy(update={"name": name}), "data", url=sqlite_url(folder))


def test_a_folder_is_for_one_search_whatever_its_storage_is(study: optuna.Study, tmp_path: Path) -> None:
    def claimed(by: optuna.Study) -> None:
        claim(tmp_path, by, SPACE, attempts=1)

    claimed(study)
    (tmp_path / "trials" / "0000-1").mkdir(parents=True)
    others = [other_study(tmp_path, "renamed"), other_study(tmp_path / "elsewhere")]
    for other in others:
        with pytest.raises(MienError, match="its trials are of a search 's' with another") as error:
            claimed(other)
        assert "--out" in (error.value.hint or "")
        assert not other.trials
    claimed(study)
    (tmp_path / FOLDER_NOTE).unlink()  # as an earlier mien has left it
    with pytest.raises(MienError, match="of another search"):
        claimed(others[0])
    claimed(study)
    slots.write_missing(others[1], SPACE.points, attempts=1)
    with pytest.raises(MienError, match="with another"):
        claimed(others[1])  # which has tickets, written for another folder


def finished(*accuracies: float, votes: float | None = None) -> Progress:
    more = {} if votes is None else {"val_ferplus_accuracy": votes}
    rows: list[dict[str, float | int]] = [{"epoch": n, "val_accuracy": a} | more for n, a in enumerate(accuracies, 1)]
    # The best epoch is that of the least loss, where the recipe stops by it.
    return Progress(epoch=len(rows), best_epoch=1, rows=rows)


def test_a_trial_is_judged_by_its_last_epoch_or_its_highest() -> None:
    highest = SPACE.model_copy(update={"figure": "best_val_accuracy"})
    assert search.figure(finished(0.3, 0.6, 0.5), SPACE) == 0.5
    assert search.figure(finished(0.3, 0.6, 0.5), highest) == 0.6


def test_where_validation_has_votes_only_they_judge() -> None:
    assert search.figure(finished(math.nan, votes=0.4), SPACE) == 0.4
    with pytest.raises(MienError, match="no validation picture has a label or votes"):
        search.figure(finished(math.nan), SPACE)


def test_only_before_the_last_epoch_is_a_trial_given_up() -> None:
    inner = SimpleNamespace(epoch=lambda _: None)
    told: dict[int, float] = {}
    trial: Any = SimpleNamespace(report=lambda value, epoch: told.update({epoch: value}), should_prune=lambda: True)
    watcher = search._Reporting(inner, trial, epochs=2)  # type: ignore[arg-type]
    with pytest.raises(optuna.TrialPruned):
        watcher.epoch({"epoch": 1, "val_accuracy": 0.1})
    watcher.epoch({"epoch": 2, "val_accuracy": 0.2})
    assert told == {1: 0.1, 2: 0.2}


def test_a_study_is_held_to_the_recipe_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[train]\nepochs = 9\n", encoding="utf-8")
    space = SPACE.model_copy(update={"recipe": str(file)})
    study = open_study(space, "data", url=sqlite_url(tmp_path))
    open_study(space, "data", url=sqlite_url(tmp_path))
    file.write_text('about = "nine epochs"\n[train]\nepochs = 9\n', encoding="utf-8")
    open_study(space, "data", url=sqlite_url(tmp_path))
    file.write_text("[train]\nepochs = 8\n", encoding="utf-8")
    with pytest.raises(MienError, match="has another recipe"):
        open_study(space, "data", url=sqlite_url(tmp_path))
    study._storage.set_study_user_attr(study._study_id, "recipe", '{"train": {"epochs": 8}}')
    open_study(space, "data", url=sqlite_url(tmp_path))  # keys that are newer than the study have their defaults


def test_a_study_of_a_mien_that_noted_no_recipe_goes_on(tmp_path: Path) -> None:
    old = optuna.create_study(storage=sqlite_url(tmp_path), study_name="s", direction="maximize")
    assert "recipe" not in old.user_attrs
    assert "recipe" in open_study(SPACE, "data", url=sqlite_url(tmp_path)).user_attrs


def test_the_database_lies_in_the_folder_whatever_that_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "q?x #1 %20"
    open_study(SPACE, "data", url=sqlite_url(folder))
    assert (folder / "tune.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_damaged_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "tune.db").write_bytes(b"no database at all" * 99)
    with pytest.raises(MienError, match=r"tune\.db: no storage of a search, or damaged \(file is not") as error:
        open_study(SPACE, "data", url=sqlite_url(tmp_path))
    assert "--out" in (error.value.hint or "")


def test_two_processes_of_a_tpe_search_do_not_begin_with_the_same_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Key(low=0.001, high=0.3, log=True)
    space = Space(name="t", recipe="mien-s", search="tpe", trials=2, keys={"optimiser.learning_rate": key})
    found: dict[int, object] = {}

    def drawn(_data: object, _space: Space, trial: Trial, *_: object) -> tuple[TrialState, float]:
        found[trial.user_attrs[slots.SLOT]] = search.suggest(trial, "optimiser.learning_rate", key)
        return TrialState.COMPLETE, 0.5

    monkeypatch.setattr(search, "_train", drawn)
    studies = [open_study(space, "data", url=sqlite_url(tmp_path)) for _ in range(2)]  # as each process has its own
    slots.write_missing(studies[0], space.points, attempts=1)
    trials = [slots.take(one) for one in studies]
    for trial in trials:
        assert trial is not None
        assert search._do(None, space, trial, tmp_path, None, 0)  # type: ignore[arg-type]
    assert sorted(found) == [0, 1]
    assert found[0] != found[1]


def test_a_trial_that_goes_on_tells_hyperband_its_epochs_one_by_one() -> None:
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=2)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    trial = study.ask()
    watcher = search._Reporting(SimpleNamespace(epoch=lambda _: None), trial, epochs=8)  # type: ignore[arg-type]
    watcher.replay({"epoch": epoch, "val_accuracy": epoch / 10} for epoch in range(1, 6))
    assert trial.storage.get_trial_system_attrs(trial._trial_id)["completed_rung_0"] == 0.3
