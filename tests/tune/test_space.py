"""Spaces: what they may hold, and that wrong ones fail before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.tune import space as spaces
from mien.tune.space import Space, longest, recipe

GRID = {"train.batch_size": {"choices": [32, 64]}, "optimiser.learning_rate": {"choices": [1, 0.3, 0.1, 0.03]}}


def built(**changed: Any) -> Space:
    return spaces.build({"recipe": "mien-s", "keys": GRID, **changed}, source="s.toml")


def test_a_grid_has_every_combination_once() -> None:
    points = built().points
    assert len(points) == len({tuple(p.values()) for p in points}) == 8
    assert {recipe(built(), p).optimiser.learning_rate for p in points} == {1, 0.3, 0.1, 0.03}


def test_strings_that_look_like_nothing_reach_the_recipe() -> None:
    space = built(recipe="lenet5-fer", keys={"model.options.norm": {"choices": ["none", "batch"]}})
    assert [recipe(space, p).model.options["norm"] for p in space.points] == ["none", "batch"]


def test_the_longest_trial_bounds_hyperband() -> None:
    assert longest(built(set=["train.epochs=7"])) == 7
    assert longest(built(keys={"train.epochs": {"choices": [5, 20]}})) == 20


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"serach": "grid"}, "did you mean 'search'"),
        ({"keys": {"train.epohcs": {"choices": [1]}}}, "unknown recipe key"),
        ({"keys": {"train.batch_size": {"choices": [1]}}}, "train.batch_size"),
        ({"keys": {"train.epochs": {"low": 2, "high": 9}}}, "train.epochs is a range"),
        ({"keys": {"train.epochs": {"low": 9, "high": 2}}}, "is no range"),
        ({"keys": {"train.epochs": {"low": 1, "choices": [2]}}}, "either choices or low and high"),
        ({"search": "tpe"}, "has no end"),
        ({"search": "tpe", "trials": 4, "keys": {"train.batch_size": {"low": 1, "high": 64}}}, "train.batch_size"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(MienError, match=message):
        built(**changed)


def test_the_command_names_a_missing_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["tune", str(tmp_path), "--space", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
