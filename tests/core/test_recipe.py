"""Recipes: data, checked before anything slow starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from mien.core import recipe as recipes
from mien.core.errors import MienError


@pytest.mark.parametrize("name", recipes.names())
def test_every_shipped_recipe_reads_and_says_what_it_is(name: str) -> None:
    recipe = recipes.read(name)
    assert recipe.name == name
    assert recipe.about


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_written_out_in_full_reads_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = recipes.read(name)
    (tmp_path / "r.toml").write_text(tomli_w.dumps(recipes.to_tree(recipe)))
    assert recipes.read(str(tmp_path / "r.toml")) == recipe


@pytest.mark.parametrize(
    ("setting", "near"),
    [
        ("train.epoch=4", "train.epochs"),
        ("epochs=4", "train.epochs"),
        ("augment.flipp=random", "augment.flip"),
        ("optimizer.name=sgd", "optimiser"),
    ],
)
def test_a_wrong_key_names_its_nearest_neighbour(setting: str, near: str) -> None:
    with pytest.raises(MienError, match=f"did you mean '{near}'"):
        recipes.read("mien-m", [setting])


def test_a_value_out_of_range_names_its_key_and_value() -> None:
    with pytest.raises(MienError, match=r"train\.epochs = -1"):
        recipes.read("mien-m", ["train.epochs=-1"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.seed=-1", r"train\.seed = -1 must be at least 0"),
        ("train.seed=99999999999999999999999", r"train\.seed = 9+ must be below"),
        ("optimiser.betas=[1.0, 0.999]", r"optimiser\.betas\.1 = 1\.0"),
        ("optimiser.l2={ conv = -1.0 }", r"optimiser\.l2\.conv = -1\.0"),
        ("optimiser.l1={ conv = -1.0 }", r"optimiser\.l1\.conv = -1\.0"),
        ("optimiser.learning_rate=inf", r"optimiser\.learning_rate = inf"),
        ("optimiser.weight_decay=inf", r"optimiser\.weight_decay = inf"),
        ("phases=[3]", r"phases\.1 = 3 must be a table"),
        ("phases=[{ epochs = 1 }, { epochs = 0 }]", r"phases\.2\.epochs = 0"),
    ],
)
def test_a_value_out_of_range_is_refused_before_anything_begins(setting: str, message: str) -> None:
    with pytest.raises(MienError, match=message):
        recipes.read("mien-m", [setting])


def test_settings_take_numbers_names_lists_and_none() -> None:
    settings = ["train.epochs=7", "augment.flip=off", "optimiser.betas=[0.8, 0.99]", "data.crop=none"]
    recipe = recipes.read("lenet5-fer", settings)
    assert recipe.train.epochs == 7
    assert recipe.augment.flip == "off"
    assert recipe.optimiser.betas == (0.8, 0.99)
    assert recipe.data.crop is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("augment.random_crop=true", r"augment\.random_crop needs data\.crop"),
        ("augment.erase_probability=0.5", r"augment\.erase_pixels and augment\.erase_probability go together"),
        ("optimiser.momentum=0", r"optimiser\.nesterov needs a momentum"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(setting: str, message: str) -> None:
    base = ["optimiser.name=sgd", "optimiser.nesterov=true"]
    with pytest.raises(MienError, match=message):
        recipes.read("emotion-net", [*base, setting])


def test_an_unknown_recipe_and_damaged_toml_say_so(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="did you mean 'mien-m'"):
        recipes.read("mein-m")
    (tmp_path / "bad.toml").write_text("[train\nepochs=3")
    with pytest.raises(MienError, match="not valid TOML"):
        recipes.read(str(tmp_path / "bad.toml"))
    with pytest.raises(MienError, match="no such recipe file"):
        recipes.read(str(tmp_path / "missing.toml"))
