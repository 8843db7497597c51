"""Whose a run folder is: nothing of others is deleted, and no two processes write in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train import claim
from mien.train import run as runs
from mien.train.claim import LOCK, claimed
from mien.train.run import resume, train


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "weights/pretrained.safetensors",
        "weights/resume/mine.safetensors",
        "teachers/big.safetensors",
        "phases/notes.txt",
        "sub/data.json",
        ".weights/resume/state.safetensors.tmp",
    ],
)
def test_files_that_a_start_does_not_write_are_never_deleted(
    bar_set: Dataset, small, watched, tmp_path: Path, name: str
) -> None:
    mine = write(tmp_path / "r" / name)
    write(tmp_path / "r" / "data.json")
    with pytest.raises(MienError, match="exists already"):
        train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    assert mine.read_text() == "x"


LEFT = (
    "data.json",
    "env.json",
    ".env.json.host-12.tmp",
    "weights/resume/state.safetensors",
    "weights/resume/.state.safetensors.host-4711.tmp",
    "phases/2-hard.parquet",
    "teachers/0.safetensors",
    ".lock",
)


def test_what_a_killed_start_has_left_goes_only_when_the_recipe_stands(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    left = [write(tmp_path / "r" / name) for name in LEFT]
    with pytest.raises(MienError, match="fewer than one batch"):
        train(bar_set, small(train={"batch_size": 500}), tmp_path / "r", watched())
    assert all(path.read_text() == "x" for path in left if path.name != LOCK)
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    gone = {"phases/2-hard.parquet", "teachers/0.safetensors", ".env.json.host-12.tmp", ".lock"}
    assert not any((tmp_path / "r" / name).exists() for name in gone)
    assert not list((tmp_path / "r").rglob("*.tmp"))


def test_the_working_folder_is_named_as_such_and_a_file_is_no_folder(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = write(tmp_path / "notes")
    with pytest.raises(MienError, match="it is the working folder"):
        train(bar_set, small(train={"epochs": 1}), Path(), watched())
    with pytest.raises(MienError, match="is no folder"):
        train(bar_set, small(train={"epochs": 1}), mine, watched())
    assert mine.read_text() == "x"
    mine.unlink()
    assert train(bar_set, small(train={"epochs": 1}), Path(), watched()).progress.epoch == 1


HOLDS = """
import sys, time
from pathlib import Path
from mien.core.rundir import RunDir
from mien.train.claim import claimed
with claimed(RunDir(Path(sys.argv[1])), is_first=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_kept_out_until_the_first_has_ended_even_by_a_kill(
    bar_set: Dataset, small, watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    run = RunDir(tmp_path / "r")
    words = [sys.executable, "-c", HOLDS, str(run.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(MienError, match=rf"process {holder.pid} on .* is training there"):
                resume(run, bar_set, watched(), settings=["train.epochs=2"])
            assert cli(["resume", str(run.path), "--set", "train.epochs=2"]) == 2
            assert f"process {holder.pid}" in capsys.readouterr().err
        finally:
            os.killpg(holder.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    assert (run.path / LOCK).is_file()
    assert resume(run, bar_set, watched(), settings=["train.epochs=2"]).progress.epoch == 2
    assert not (run.path / LOCK).exists()


def test_other_processes_of_one_training_do_not_ask_for_its_folder(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with claimed(run, is_first=True), claimed(run, is_first=False):
        pass
    assert not (tmp_path / LOCK).exists()


def test_what_a_start_writes_before_its_first_step_is_written_in_a_folder_that_it_has(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "r")

    def prepare(*_: object, **__: object) -> None:
        with pytest.raises(MienError, match="is training there"), claimed(run, is_first=True):
            pass
        raise MienError("no teacher")

    monkeypatch.setattr(runs, "prepare", prepare)
    with pytest.raises(MienError, match="no teacher"):
        train(bar_set, small(train={"epochs": 1}), run.path, watched())
    assert not run.path.exists()


def test_a_lock_that_its_holder_deletes_while_it_is_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lock, opened = RunDir(tmp_path / "r"), claim._lock, []

    def late(file, path: Path) -> None:
        opened.append(file)
        if len(opened) == 1:  # between opening and locking, the holder before comes to its end
            path.unlink()
            path.parent.rmdir()
        lock(file, path)

    monkeypatch.setattr(claim, "_lock", late)
    with claimed(run, is_first=True):
        assert (run.path / LOCK).is_file()
        with pytest.raises(MienError, match="is training there"), claimed(run, is_first=True):
            pass
    assert opened[0].closed
