"""States that cannot be gone on with say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train import checkpoint
from mien.train.checkpoint import NAME, Progress
from mien.train.machine import Machine
from mien.train.prepare import prepare
from mien.train.step import Learner

PLATEAU = {"factor": 1.0, "best": 0.0, "waited": 0}


def learner(data: Dataset, recipe: Recipe, folder: Path) -> Learner:
    return prepare(data, recipe, RunDir(folder), Machine(recipe.train))[1]


def test_a_state_comes_back_as_it_was_saved(bar_set: Dataset, small, tmp_path: Path) -> None:
    one = learner(bar_set, small(average={"ema_decay": 0.9}), tmp_path)
    one.plateau.factor, one.plateau.waited, one.average.count = 0.25, 2, 7
    checkpoint.save(tmp_path, one, Progress(epoch=3, step=2, position=20, best=0.5))
    other = learner(bar_set, small(average={"ema_decay": 0.9}, train={"seed": 1}), tmp_path)
    assert checkpoint.load(tmp_path, other) == Progress(epoch=3, step=2, position=20, best=0.5)
    assert (other.plateau.factor, other.plateau.waited, other.average.count) == (0.25, 2, 7)
    for name, tensor in one.model.state_dict().items():
        assert (other.model.state_dict()[name] == tensor).all(), name
        assert (other.average.state[name] == one.average.state[name]).all(), name


def test_a_run_without_a_state_is_told_to_train_again(bar_set: Dataset, small, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"state\.safetensors: no state to resume from") as caught:
        checkpoint.load(tmp_path, learner(bar_set, small(), tmp_path))
    assert "train again" in (caught.value.hint or "")


def test_a_damaged_state_is_named(bar_set: Dataset, small, tmp_path: Path) -> None:
    one, path = learner(bar_set, small(), tmp_path), tmp_path / NAME
    checkpoint.save(tmp_path, one, Progress())
    whole, tensors = path.read_bytes(), load_file(path)
    for spoil in (
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole[: len(whole) // 2]),
        lambda: path.write_bytes(b"\xff" * len(whole)),
        lambda: save_file(tensors, path),
        lambda: save_file(tensors, path, metadata={"state": "{"}),
    ):
        spoil()
        with pytest.raises(MienError, match=r"state\.safetensors: damaged state"):
            checkpoint.load(tmp_path, one)


def test_the_state_of_another_net_does_not_fit(bar_set: Dataset, small, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, learner(bar_set, small(), tmp_path), Progress())
    other = small(model={"options": {"widths": "8,8,8,16"}})
    with pytest.raises(MienError, match=r"state\.safetensors: does not fit the net of the recipe"):
        checkpoint.load(tmp_path, learner(bar_set, other, tmp_path))


@pytest.mark.parametrize(
    "scalars", [{"progress": {}}, {"progress": {"flavour": 1}, "plateau": PLATEAU}, {"plateau": 1}, []]
)
def test_the_state_of_another_version_is_told(bar_set: Dataset, small, tmp_path: Path, scalars: object) -> None:
    one, path = learner(bar_set, small(), tmp_path), tmp_path / NAME
    checkpoint.save(tmp_path, one, Progress())
    save_file(load_file(path), path, metadata={"state": json.dumps(scalars)})
    with pytest.raises(MienError, match=r"state\.safetensors: not as this version of mien writes it"):
        checkpoint.load(tmp_path, one)
