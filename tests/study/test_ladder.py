"""Ladders: every shipped one stands, steps take over what they should, and wrong keys are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.models import zoo
from mien.study import ladder as ladders

STEPS = [{"name": "first"}, {"name": "second", "set": ["train.epochs=7"]}, {"name": "third", "from": "first"}]


def built(**changed: Any) -> ladders.Ladder:
    return ladders.build({"name": "l", "recipe": "cnn7", "steps": STEPS, **changed}, source="l.toml")


def test_the_five_ladders_are_there() -> None:
    assert ladders.names() == ["cnn7", "emotion-net", "lenet5-fer", "small-set", "techniques"]


@pytest.mark.parametrize("name", ladders.names())
def test_every_step_of_a_shipped_ladder_stands_and_builds_its_net(name: str) -> None:
    planned = ladders.plan(ladders.read(name))
    for one in planned:
        zoo.read_options(one.recipe.model.name, one.recipe.model.options)
    # A step that is the same as the one it comes from would measure nothing.
    what = [(p.recipe.model_dump_json(exclude={"name", "about"}), p.data, p.step.snapshots) for p in planned]
    assert len({str(w) for w in what}) == len(what)


def test_steps_are_cumulative_unless_they_say_where_from() -> None:
    epochs = {p.step.name: (p.before, p.recipe.train.epochs) for p in ladders.plan(built(set=["train.epochs=3"]))}
    assert epochs == {"first": (None, 3), "second": ("first", 7), "third": ("first", 3)}


def test_settings_of_the_command_come_last() -> None:
    assert {p.recipe.train.epochs for p in ladders.plan(built(), ("train.epochs=1",))} == {1}


def test_another_recipe_drops_the_steps_before_but_not_what_all_share() -> None:
    steps = [*STEPS[:2], {"name": "other", "recipe": "dexpression"}]
    last = ladders.plan(built(steps=steps, set=["train.batch_size=32"]))[-1].recipe
    assert (last.model.name, last.train.epochs, last.train.batch_size) == ("dexpression", 40, 32)


def test_data_rules_are_taken_over() -> None:
    steps = [{"name": "a", "data": {"drop": ["angry"]}}, {"name": "b", "set": ["train.epochs=7"]}]
    assert ladders.plan(built(steps=steps))[1].data.drop == ("angry",)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stpes": []}, "unknown ladder key in l.toml: 'stpes'"),
        ({"steps": [{"name": "a", "form": "b"}]}, "unknown ladder key in l.toml: 'steps.1.form'"),
        ({"steps": [{"name": "a", "data": {"times": 0}}]}, "steps.1.data.times = 0 must be at least 1"),
        ({"steps": [{"name": "a", "data": 3}]}, "steps.1.data = 3 must be a table"),
        ({"steps": [{"name": "a", "data": {"drp": []}}]}, "did you mean 'steps.1.data.drop'"),
        ({"steps": 3}, "steps = 3 must be a list"),
        ({"steps": ["a"]}, "steps.1 = 'a' must be a table"),
        ({"steps": [{"name": "a", "set": "x=1"}]}, "steps.1.set = 'x=1' must be a list"),
        ({"steps": [{"name": "a"}, {"name": "a"}]}, "two steps are called 'a'"),
        ({"steps": [{"name": "a", "from": "b"}]}, "unknown earlier step"),
        ({"steps": [{"name": "a"}, {"name": "b", "snapshots": 3, "set": ["train.epochs=2"]}]}, "b averages snapshots"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(MienError, match=message):
        built(**changed)


def test_some_steps_only_in_the_order_of_the_ladder() -> None:
    cnn7 = ladders.read("cnn7")
    assert [one.step.name for one in ladders.plan(cnn7, only=("batch-32", "plain"))] == ["plain", "batch-32"]
    with pytest.raises(MienError, match="unknown step") as error:
        ladders.plan(cnn7, only=("batch-23",))
    assert error.value.hint == "did you mean 'batch-32'?"


def test_settings_need_not_fit_steps_that_are_left_out() -> None:
    with pytest.raises(MienError, match="hard-examples"):  # whose phases take more epochs
        ladders.plan(ladders.read("cnn7"), ("train.epochs=12",))
    [planned] = ladders.plan(ladders.read("cnn7"), ("train.epochs=12",), only=("plain",))
    assert planned.recipe.train.epochs == 12


def test_a_wrong_recipe_key_names_its_step() -> None:
    with pytest.raises(MienError, match=r"l, step second: unknown recipe key .*train.epohcs"):
        ladders.plan(built(steps=[STEPS[0], {"name": "second", "set": ["train.epohcs=7"]}]))


def test_snapshots_that_nobody_keeps_are_named_before_anything_trains() -> None:
    steps = [{"name": "a", "set": ["average.snapshots=2"]}, {"name": "b", "snapshots": 3}]
    with pytest.raises(MienError, match="b averages 3 snapshots, its recipe keeps 2"):
        ladders.plan(built(steps=steps))


def test_ensembles_after_each_other_are_of_the_same_runs() -> None:
    steps = [
        {"name": "a", "set": ["average.snapshots=5"]},
        {"name": "two", "snapshots": 2},
        {"name": "five", "snapshots": 5},
        {"name": "b", "set": ["train.epochs=20"]},
    ]
    told = [(one.step.name, one.before, one.trained) for one in ladders.plan(built(steps=steps))]
    assert told == [("a", None, "a"), ("two", "a", "a"), ("five", "two", "a"), ("b", "five", "b")]


def test_another_recipe_keeps_the_data_so_that_the_steps_can_be_compared() -> None:
    steps = [{"name": "a", "data": {"drop": ["angry"]}}, {"name": "b", "recipe": "dexpression"}]
    assert ladders.plan(built(steps=steps))[1].data.drop == ("angry",)


def test_the_command_lists_a_ladder_and_names_unknown_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli(["study", "--ladder", "cnn7", "--dry-run"]) == 0
    assert "hard-examples" in capsys.readouterr().out
    assert cli(["study", "--ladder", "cnn77", "--dry-run"]) == 2
    assert "did you mean 'cnn7'?" in capsys.readouterr().err
    assert cli(["study", str(tmp_path)]) == 2
    assert "no ladder was named" in capsys.readouterr().err
