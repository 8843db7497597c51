"""Errors: the nearest name, commands that can be pasted, and what pydantic refuses in plain words."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from mien.core import recipe as recipes
from mien.core.errors import MienError, command, unknown_name
from mien.core.invalid import invalid
from mien.core.named_toml import parse, read_tree
from mien.core.spec import Frozen
from mien.study import ladder
from mien.tune import space


class Part(Frozen):
    size: int = Field(default=1, ge=1, lt=9)
    rate: float | int = 1.0
    kind: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()


class Whole(Frozen):
    parts: tuple[Part, ...]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"size": "x"}, "f.toml: parts.1.size = 'x' must be a whole number"),
        ({"size": 0}, "f.toml: parts.1.size = 0 must be at least 1"),
        ({"size": 9}, "f.toml: parts.1.size = 9 must be below 9"),
        ({"rate": "x"}, "f.toml: parts.1.rate = 'x' must be a number or a whole number"),
        ({"kind": "c"}, "f.toml: parts.1.kind = 'c' must be 'a' or 'b'"),
        ({"names": "x"}, "f.toml: parts.1.names = 'x' must be a list"),
        ({"siez": 3}, "f.toml: unknown key 'parts.1.siez'"),
        (3, "f.toml: parts.1 = 3 must be a table"),
    ],
)
def test_what_pydantic_refuses_is_said_in_plain_words(part: Any, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Whole.model_validate({"parts": [part]})
    assert str(invalid("f.toml", error.value)) == told


def test_a_key_that_is_missing_is_named_without_the_table_around_it() -> None:
    with pytest.raises(ValidationError) as error:
        Whole.model_validate({})
    assert str(invalid("f.toml", error.value)) == "f.toml: parts is missing"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["train.epochs=0", "train.batch_size=0"], "train.epochs = 0 must be at least 1"),
        (["schedule.name=x", "schedule.floor=x"], "schedule.name = 'x' must be 'constant', "),
        (["optimiser.betas=[2, 2]"], "optimiser.betas.1 = 2 must be below 1"),
        (["data.normalise=x"], "data.normalise = 'x' must be 'unit', "),
        (["model.options.norm=[3]"], "model.options.norm = [3] must be true or false or a whole number or "),
    ],
)
def test_of_several_wrong_keys_of_a_table_the_first_is_named(settings: list[str], told: str) -> None:
    with pytest.raises(MienError) as error:
        recipes.read("demo", settings)
    assert error.value.message.startswith(f"demo: {told}")


def test_of_several_missing_keys_the_first_is_named_with_the_file() -> None:
    with pytest.raises(MienError, match=r"^l\.toml: recipe is missing$"):
        ladder.build({"name": "a"}, source="l.toml")
    with pytest.raises(MienError, match=r"^s\.toml: recipe is missing$"):
        space.build({"name": "a"}, source="s.toml")
    with pytest.raises(MienError, match=r"^s\.toml: trials = 'a' must be a whole number$"):
        space.build({"recipe": "demo", "seed": "a", "trials": "a", "keys": {"a": {"choices": [1]}}}, source="s.toml")


def test_a_long_value_is_shown_by_its_beginning_and_a_file_that_is_none_not_at_all() -> None:
    with pytest.raises(ValidationError) as error:
        Whole.model_validate({"parts": {str(n): n for n in range(99)}})
    assert len(str(invalid("f.toml", error.value))) < 120
    with pytest.raises(ValidationError) as error:
        Whole.model_validate_json("{" + 99 * "x")
    assert str(invalid("f.json", error.value)).startswith("f.json: the file is refused: invalid JSON: ")


def test_of_many_names_the_nearest_are_listed_and_the_others_counted() -> None:
    known = [f"net-{number}" for number in range(1000)]
    hint = unknown_name("network", "zzzzzzzzzz-77", known).hint or ""
    assert "1,000 are known" in hint
    assert "net-77" in hint
    assert hint.count("net-") == 5
    assert unknown_name("network", "zzzz", known[:3]).hint == "known: net-0, net-1, net-2"


def test_commands_in_hints_can_be_pasted() -> None:
    assert shlex.split(command("export", "my run; rm")) == ["mien", "export", "my run; rm"]


def test_a_toml_file_that_is_not_utf8_is_named_with_the_line(tmp_path: Any) -> None:
    (tmp_path / "latin.toml").write_bytes('recipe = "demo"\nabout = "é"\n'.encode("latin-1"))
    with pytest.raises(MienError, match=r"latin\.toml: not UTF-8 in line 2"):
        read_tree("recipe", str(tmp_path / "latin.toml"), folder="recipes")
    with pytest.raises(MienError, match=r"x: not valid TOML"):
        parse(b"a = ", source="x")
