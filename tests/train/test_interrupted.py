"""What the command line says after Ctrl-C, and when a run goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.cli.app import run as cli
from mien.cli.train import says_how_to_go_on
from mien.core.errors import Interrupted
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train.run import train


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
