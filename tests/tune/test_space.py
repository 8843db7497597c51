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
        ({"keys": {"train.epochs": {"choice": [1]}}}, "did you mean 'choices'"),
        ({"keys": {"train.batch_size": {"choices": [32, 64, 32]}}}, "choices hold 32 twice"),
        ({"keys": {"train.seed": {"choices": [1, 2]}}}, "train.seed is no key to search"),
        ({"keys": 5}, "s.toml: keys = 5 must be a table"),
        ({"recipe": 5}, "s.toml: recipe = 5 must be a text"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(MienError, match=message):
        built(**changed)


def tpe(recipe: str = "mien-s", **keys: Any) -> Space:
    named = {name.replace("__", "."): values for name, values in keys.items()}
    return built(recipe=recipe, search="tpe", trials=4, keys=named)


def test_a_space_without_a_recipe_says_only_that() -> None:
    with pytest.raises(MienError) as error:
        spaces.build({"keys": GRID}, source="s.toml")
    assert str(error.value) == "s.toml: recipe is missing"


def test_keys_that_need_each_other_may_be_searched_together() -> None:
    pixels, probability = {"choices": [4, 8]}, {"choices": [0.5, 1]}
    space = tpe("lenet5-fer", augment__erase_pixels=pixels, augment__erase_probability=probability)
    assert set(space.keys) == {"augment.erase_pixels", "augment.erase_probability"}


def test_two_ends_that_do_not_go_together_are_refused_before_anything_trains() -> None:
    epochs, late = {"low": 4, "high": 10}, {"low": 1, "high": 8}
    with pytest.raises(MienError, match=r"swa_from_epoch = 8, train\.epochs = 4, and then: .* after the last epoch"):
        built(
            set=["average.ema_decay=0"],
            search="tpe",
            trials=4,
            keys={"average.swa_from_epoch": late, "train.epochs": epochs},
        )


def test_of_very_many_corners_those_beside_the_first_are_tried() -> None:
    many = {"choices": list(range(5, 20))}
    with pytest.raises(MienError, match=r"train\.batch_size = 0"):
        tpe(train__epochs=many, train__probe=many, train__batch_size={"choices": [*range(5, 20), 0]})


def test_a_range_with_one_whole_end_is_no_range_of_whole_numbers() -> None:
    with pytest.raises(MienError, match=r"train\.batch_size = 58\.\d+") as error:
        tpe(train__batch_size={"low": 16, "high": 128.0})
    assert "two whole ends" in (error.value.hint or "")
    tpe(train__batch_size={"low": 16, "high": 128})
    tpe(loss__label_smoothing={"low": 0, "high": 0.2})


@pytest.mark.parametrize("high", [float("inf"), float("nan")])
def test_a_range_has_two_ends(high: float) -> None:
    with pytest.raises(MienError, match=r"high = (inf has no end|nan is no range)"):
        tpe(optimiser__learning_rate={"low": 1e-4, "high": high})


def test_a_space_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes('recipe = "é"'.encode("latin-1"))
    with pytest.raises(MienError, match=r"s\.toml: not UTF-8 in line 1"):
        spaces.read(tmp_path / "s.toml")


def test_the_command_names_a_missing_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["tune", str(tmp_path), "--space", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
