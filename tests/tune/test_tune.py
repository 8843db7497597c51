"""A search by real processes, one of which is killed: no point is lost and none is trained twice."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from mien.cli import tune
from mien.cli.app import run as cli
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.tune.slots import SLOT
from mien.tune.space import read
from mien.tune.storage import open_study, sqlite_url

SPACE = """
name = "tiny"
recipe = "demo"
set = [
    "model.options.widths=8,8,8,8", "data.crop=20", "train.epochs=2", "train.probe=0", "train.precision=fp32",
    "train.device=cpu", "train.checkpoint_minutes=0.00001",
]
{more}

[keys]
"train.batch_size" = {{ choices = [10, 20] }}
{rate}
"""
GRID = '"optimiser.learning_rate" = { choices = [0.1, 0.03] }'


def write(path: Path, more: str = "", rate: str = GRID) -> Path:
    path.write_text(SPACE.format(more=more, rate=rate), encoding="utf-8")
    return path


# A process that is killed by SIGKILL in the fifth step of its first trial.
VICTIM = """
import os, signal, sys
from mien.cli.app import run
from mien.cli.watch import Bar

def step(self, progress, *, waited):
    if progress.position == 5:
        os.kill(os.getpid(), signal.SIGKILL)

Bar.step = step
run(sys.argv[1:])
"""


def start(data: Dataset, space: Path, out: Path, *, log: Path, code: str | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, *(["-m", "mien"] if code is None else ["-c", code]), "tune", str(data.path)]
    with log.open("wb") as file, log.with_suffix(".errors").open("wb") as errors:
        command += ["--space", str(space), "-o", str(out), "--grace", "3", "--json"]
        return subprocess.Popen(command, stdout=file, stderr=errors)


@pytest.mark.slow
def test_of_three_processes_one_is_killed_and_every_point_is_done_once(bar_set: Dataset, tmp_path: Path) -> None:
    space, out = write(tmp_path / "tiny.toml"), tmp_path / "out"
    processes = [start(bar_set, space, out, log=tmp_path / "0.log", code=VICTIM)]
    try:
        assert processes[0].wait(timeout=120) == -signal.SIGKILL
        processes += [start(bar_set, space, out, log=tmp_path / f"{i}.log") for i in (1, 2)]
        for number, process in enumerate(processes[1:], 1):
            assert process.wait(timeout=240) == 0, (tmp_path / f"{number}.errors").read_text()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    told = [json.loads((tmp_path / f"{i}.log").read_text()) for i in (1, 2)]
    assert told[0]["trials"] == told[1]["trials"]
    assert sum(one["done_here"] for one in told) == 4
    rows = told[0]["trials"]
    points = [(row["train.batch_size"], row["optimiser.learning_rate"]) for row in rows]
    assert sorted(points) == [(b, r) for b in (10, 20) for r in (0.03, 0.1)]
    assert {row["state"] for row in rows} == {"complete"}
    assert sorted(row["attempt"] for row in rows) == [1, 1, 1, 2]
    assert told[0]["best"]["value"] == max(row["value"] for row in rows)
    # What was killed went on from its last saved step, and no slot has two results in the storage.
    assert json.loads((out / "trials" / "0000-2" / "env.json").read_text())["resumed"]
    study = open_study(read(space), bar_set.info.fingerprint, url=sqlite_url(out))
    complete = [t.user_attrs["slot"] for t in study.get_trials() if t.state.name == "COMPLETE"]
    assert sorted(complete) == list(range(4))


def test_tpe_prunes_resumes_and_writes_its_report(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = 'search = "tpe"\ntrials = 3\npruning = "hyperband"\npruning_from_epoch = 1'
    rate = '"optimiser.learning_rate" = { low = 0.001, high = 0.3, log = true }'
    space, out = write(tmp_path / "tiny.toml", more, rate), tmp_path / "out"
    command = ["tune", str(bar_set.path), "--space", str(space), "-o", str(out), "--json"]
    assert cli(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["done_here"] == len(told["trials"]) == 3
    assert all(0.001 <= row["optimiser.learning_rate"] <= 0.3 for row in told["trials"])
    assert len({row["optimiser.learning_rate"] for row in told["trials"]}) == 3
    assert (out / "tune.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "tune.csv").read_text(encoding="utf-8").splitlines()) == 4
    assert cli(command) == 0
    assert json.loads(capsys.readouterr().out)["done_here"] == 0


def test_a_trial_that_is_given_up_is_not_the_best_and_not_trained_again(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.user_attrs[SLOT] == 1)
    # The one that is given up looks better all the time.
    monkeypatch.setattr("mien.tune.run.judged", lambda row: 0.9 if row["learning_rate"] > 0.05 else 0.1)
    rate = '"optimiser.learning_rate" = { choices = [0.01, 0.3] }'
    space, out = write(tmp_path / "tiny.toml", 'pruning = "median"', rate), tmp_path / "out"
    space.write_text(space.read_text(encoding="utf-8").replace("[10, 20]", "[20]"), encoding="utf-8")
    command = ["tune", str(bar_set.path), "--space", str(space), "-o", str(out), "--json"]
    assert cli(command) == 0
    told = json.loads(capsys.readouterr().out)
    whole, given_up = told["trials"]
    assert told["best"] == whole
    assert [whole[key] for key in ("trial", "state", "epochs", "value")] == [0, "complete", 2, 0.1]
    assert [given_up[key] for key in ("trial", "state", "epochs", "value", "last")] == [1, "pruned", 1, None, 0.9]
    assert cli(command) == 0
    assert json.loads(capsys.readouterr().out) == {**told, "done_here": 0}
    assert sorted(path.name for path in (out / "trials").iterdir()) == ["0000-1", "0001-1"]


def test_a_trial_without_a_result_is_named_and_exits_with_1(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(*_: object) -> None:
        raise MienError("the loss became nan [/b]")

    monkeypatch.setattr("mien.tune.run.train", diverged)
    space, out = write(tmp_path / "tiny.toml", rate=""), tmp_path / "x[/b]"
    command = ["tune", str(bar_set.path), "--space", str(space), "-o", str(out)]
    assert cli(command) == 1
    shown = capsys.readouterr()
    assert "mien: trial 0 has no result: the loss became nan [/b]" in shown.err
    assert "no trial came to its end" in shown.out
    assert cli([*command, "--json"]) == 1


def test_a_search_under_another_name_leaves_the_trainings_of_the_first_alone(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(_data: Dataset, _recipe: object, path: Path, *_: object) -> None:
        path.mkdir(parents=True)
        (path / "weights").write_text("hours of work")
        raise MienError("stop here")

    monkeypatch.setattr("mien.tune.run.train", begun)
    space, out = write(tmp_path / "tiny.toml", rate=""), tmp_path / "out"
    command = ["tune", str(bar_set.path), "--space", str(space), "-o", str(out)]
    assert cli(command) == 1
    report = (out / "tune.json").read_bytes()
    space.write_text(space.read_text(encoding="utf-8").replace("[10, 20]", "[10, 40]"), encoding="utf-8")
    capsys.readouterr()
    assert cli(command) == 2
    assert "has another space" in (told := capsys.readouterr().err)
    assert "name =" not in told
    space.write_text(space.read_text(encoding="utf-8").replace('"tiny"', '"other"'), encoding="utf-8")
    assert cli(command) == 2
    assert "its trials are of a search 'tiny'" in capsys.readouterr().err
    assert [path.read_text() for path in sorted(out.glob("trials/*/weights"))] == ["hours of work"] * 2
    assert (out / "tune.json").read_bytes() == report


def test_the_best_settings_can_be_pasted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    best = {"model.options.norm": "none", "train.batch_size": 32}
    tune._conclude({"best": best, "trials": [best], "space": {"keys": list(best)}}, tmp_path)
    words = shlex.split(capsys.readouterr().out.partition("best of 1: ")[2].splitlines()[0])
    assert words[::2] == ["--set", "--set"]
    tree = recipes.apply_settings({}, words[1::2])
    assert tree == {"model": {"options": {"norm": "none"}}, "train": {"batch_size": 32}}


def test_a_net_that_cannot_be_built_is_named_before_anything_trains(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = write(tmp_path / "tiny.toml", rate='"model.options.widths" = { choices = ["8,8,8,8", "8,x"] }')
    assert cli(["tune", str(bar_set.path), "--space", str(space), "-o", str(tmp_path / "out")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "a trial might have train.batch_size = 10, model.options.widths = 8,x, and then:" in told
    assert not list((tmp_path / "out").glob("trials/*"))
