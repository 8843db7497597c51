"""What the command line says after Ctrl-C, and when a run goes on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mien.cli.app import run as cli
from mien.cli.train import says_how_to_go_on, show
from mien.cli.watch import Bar
from mien.core.errors import Interrupted
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.evaluate.history import read_history
from mien.train.checkpoint import Progress
from mien.train.run import Finished, resume, train


def interrupted(run: Path) -> str:
    with pytest.raises(Interrupted) as caught, says_how_to_go_on(run):
        raise KeyboardInterrupt
    return str(caught.value)


def test_before_anything_is_saved_that_is_said(tmp_path: Path) -> None:
    assert interrupted(tmp_path / "r") == "nothing had been saved yet"


def test_an_interrupted_run_says_where_it_stands_and_so_does_the_one_that_goes_on(
    bar_set: Dataset,
    small: Callable[..., Recipe],
    watched: Callable[[int], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "r"
    recipe = small(train={"epochs": 2, "checkpoint_minutes": 1e-9}, schedule={"name": "one-cycle"})
    per_epoch = -(-len(bar_set.rows("train")) // recipe.train.batch_size)
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, run, watched(per_epoch + 1))
    assert interrupted(run).startswith(f"after 1 epoch; `mien resume {run}` goes on")
    capsys.readouterr()

    assert cli(["resume", str(run)]) == 0
    said = capsys.readouterr()
    assert re.search(r"going on after 1 of 2 epochs( and 1 step)? → ", said.err)
    assert re.findall(r"epoch +(\d+)  loss", said.err) == ["1", "2"]
    assert "complete" not in said.out

    environment = RunDir(run).environment.read_bytes()
    assert cli(["resume", str(run)]) == 0
    said = capsys.readouterr()
    assert f"nothing was left to do. `mien resume {run} --set train.epochs=4`" in said.out.replace("\n", " ")
    assert "going on" not in said.err
    assert RunDir(run).environment.read_bytes() == environment

    assert cli(["resume", str(run), "--set", "train.epochs=4"]) == 0
    assert "by a schedule over 4 epochs instead of 2" in capsys.readouterr().err.replace("\n", " ")


def test_a_mistyped_key_of_a_resume_names_its_neighbour(
    bar_set: Dataset, small: Callable[..., Recipe], watched: Callable[[], Any], tmp_path: Path, capsys: Any
) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    assert cli(["resume", str(tmp_path / "r"), "--set", "optimiser.learning_rat=1"]) == 2
    assert "did you mean 'optimiser.learning_rate'" in capsys.readouterr().err


def test_a_folder_that_is_taken_is_refused_before_a_training_is_announced(
    bar_set: Dataset, small: Callable[..., Recipe], watched: Callable[[], Any], tmp_path: Path, capsys: Any
) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    capsys.readouterr()
    assert cli(["train", str(bar_set.path), "--recipe", "mien-s", "--out", str(tmp_path / "r")]) == 2
    said = capsys.readouterr()
    assert "exists already" in said.err
    assert "epochs of" not in said.err + said.out


def test_a_stopped_run_that_was_prolonged_and_killed_at_once_is_not_complete(
    bar_set: Dataset, small: Callable[..., Recipe], watched: Callable[..., Any], tmp_path: Path, capsys: Any
) -> None:
    recipe = small(train={"epochs": 9}, optimiser={"learning_rate": 1e-9}, stopping={"patience_epochs": 1})
    assert train(bar_set, recipe, tmp_path / "r", watched()).progress.stopped
    run = RunDir(tmp_path / "r")
    before = len(read_history(run))
    assert cli(["resume", str(run.path)]) == 0
    assert "--set stopping.patience_epochs=2` makes it longer" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):
        resume(run, bar_set, watched(2), settings=["stopping.patience_epochs=3"])
    finished = resume(run, bar_set, watched())
    assert not finished.was_complete
    assert finished.progress.epoch == before + 3


def test_a_run_by_a_recipe_that_would_be_refused_by_now_goes_on_and_is_diagnosed(
    bar_set: Dataset, small: Callable[..., Recipe], watched: Callable[..., Any], tmp_path: Path, capsys: Any
) -> None:
    run, phases = tmp_path / "r", [{"epochs": 1, "augment": {"rotation_degrees": 5}}, {}]
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, small(train={"epochs": 2}, phases=phases), run, watched(2))
    tree = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    tree["schedule"]["warmup_epochs"] = 2
    (run / "recipe.toml").write_text(tomli_w.dumps(tree), encoding="utf-8")
    assert cli(["train", str(bar_set.path), "-r", str(run / "recipe.toml"), "-o", str(tmp_path / "s")]) == 2
    assert cli(["resume", str(run), "--set", "train.checkpoint_minutes=1"]) == 2
    assert capsys.readouterr().err.count("warmup_epochs = 2 takes all of train.epochs = 2") == 2
    assert cli(["resume", str(run)]) == 0
    assert cli(["diagnose", str(run)]) in (0, 1)
    assert cli(["resume", str(run), "--set", "train.epochs=3"]) == 0


def test_figures_that_are_no_numbers_are_left_out(
    small: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row: dict[str, float | int] = {"epoch": 1, "train_loss": 1.5, "val_accuracy": nan, "val_ferplus_accuracy": 0.25}
    Bar(small()).epoch(row)
    finished = Finished(RunDir(tmp_path), Progress(epoch=1, best_epoch=1, rows=[row]), Any)
    show(finished, as_json=False)
    shown = capsys.readouterr()
    assert "loss 1.500  FER+ 25.00%" in shown.err
    assert "best epoch 1: FER+ 25.00%\n" in shown.out
    show(finished, as_json=True)
    assert json.loads(capsys.readouterr().out)["best"]["val_accuracy"] is None
