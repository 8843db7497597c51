"""Keys that make no sense together, and phases that do not add up, are refused with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.phases import phases
from mien.core.recipe import Recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["loss.name=svm"], "no distribution that loss.label_smoothing could smooth"),
        (["optimiser.name=muon", "optimiser.momentum=0"], "nesterov needs a momentum"),
        (["optimiser.name=muon", "optimiser.rest=sgd"], "rest = sgd takes other rates than muon"),
        (["optimiser.name=sgd", "optimiser.rest_learning_rate=0.1"], "rest_learning_rate is of muon, not of sgd"),
        (["average.swa_from_epoch=20"], "two averages for one place"),
        (["average.ema_decay=0", "average.swa_from_epoch=33"], "comes after the last epoch, 32"),
        (["average.swa_rate=0.1"], "swa_rate needs average.swa_from_epoch"),
        (
            ["average.ema_decay=0", "average.swa_from_epoch=4", "average.swa_rate=0.1"],
            "swa_rate begins with epoch 4, within schedule.warmup_epochs = 3.2",
        ),
        (["average.ema_warmup_epochs=32"], "leaves none of 32 epochs"),
        (["average.ema_decay=0", "average.ema_warmup_epochs=2"], "ema_warmup_epochs needs average.ema_decay"),
        (["average.snapshot_epochs=2"], "snapshot_epochs needs average.snapshots"),
        (["average.snapshots=3", "schedule.name=cosine-restarts"], "do not end with an epoch"),
        (
            ["average.snapshots=3", "schedule={ name = 'cosine-restarts', cycle_epochs = 40 }"],
            "no cycle ends within train.epochs = 32",
        ),
        (["average.snapshots=3", "average.snapshot_epochs=33"], "snapshot_epochs = 33 comes after the last epoch, 32"),
        (
            [
                "average.snapshots=3",
                "schedule={ name = 'cosine-restarts', cycle_epochs = 4, cycle_growth = 1.5 }",
                "train.epochs=40",
            ],
            "one ends at 32.5",
        ),
        (["schedule.warmup_epochs=32"], "warmup_epochs = 32 takes all of train.epochs = 32"),
        (["train.epochs=1"], "warmup_epochs = 3.2 takes all of train.epochs = 1"),
        (["loss.votes_weight=0"], "would leave the FER. head as it began"),
        (
            ["data.train_on_val=true", "stopping.patience_epochs=3"],
            "asks validation, which data.train_on_val trains on",
        ),
        (["distill.teachers=['a.onnx']", "distill.weight=0"], "nothing would be learned"),
        (["model.start_from=a.safetensors", "model.start_dirac=true"], "would overwrite the weights"),
    ],
)
def test_senseless_combinations_say_what_is_wrong(settings: list[str], message: str) -> None:
    with pytest.raises(MienError, match=message) as caught:
        recipes.read("mien-m", settings)
    assert caught.value.hint


def test_cycles_beyond_the_last_epoch_and_votes_without_their_head_decide_nothing() -> None:
    restarts = "schedule={ name = 'cosine-restarts', cycle_epochs = 4, cycle_growth = 1.5 }"
    assert recipes.read("mien-m", ["average.snapshots=3", restarts, "train.epochs=32"]).average.snapshots == 3
    assert recipes.read("mien-m", ["loss.votes_weight=0", "data.votes=false"]).loss.votes_weight == 0


def with_phases(*tables: dict[str, object], **changes: object) -> Recipe:
    tree = {"train": {"epochs": 10}, "phases": list(tables), **changes}
    return recipes.build(tree, source="test")


def test_a_recipe_without_phases_has_one_that_is_the_recipe_itself() -> None:
    recipe = Recipe()
    (only,) = phases(recipe)
    assert only.recipe is recipe
    assert (only.first, only.end) == (0, recipe.train.epochs)


def test_phases_follow_each_other_and_carry_the_recipe_that_holds_in_them() -> None:
    first, second = phases(
        with_phases(
            {"epochs": 3, "size": 32, "augment": {"rotation_degrees": 5}, "learning_rate_factor": 0.5},
            {"sampler": "class-balanced"},
            augment={"flip": "random", "rotation_degrees": 15},
            optimiser={"learning_rate": 0.2},
        )
    )
    assert (first.first, first.end, second.first, second.end) == (0, 3, 3, 10)
    assert first.recipe.augment.rotation_degrees == 5
    assert first.recipe.augment.flip == "random"
    assert first.recipe.optimiser.learning_rate == 0.1
    assert second.recipe.augment.rotation_degrees == 15
    assert (first.recipe.data.sampler, second.recipe.data.sampler) == ("shuffle", "class-balanced")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([{"epochs": 4}, {"epochs": 4}], "they take 8 epochs, train.epochs is 10"),
        ([{"epochs": 10}, {}], "they take 10 epochs"),
        ([{"epochs": 12}], "they take 12 epochs"),
        ([{}, {"epochs": 4}], "phase 1 has no epochs"),
        ([{"augment": {"rotation_degree": 5}}], "did you mean 'augment.rotation_degrees'"),
        ([{"augment": {"rotation_degrees": 500}}], r"phase 1: augment\.rotation_degrees = 500"),
        ([{"augment": {"random_crop": True}}], "phase 1: augment.random_crop needs data.crop"),
        ([{"pictures": "hard"}], "an untrained net gets nearly everything wrong"),
        ([{"epoch": 4}], r"did you mean 'phases\.1\.epochs'"),
    ],
)
def test_phases_that_do_not_add_up_are_refused(tables: list[dict[str, object]], message: str) -> None:
    with pytest.raises(MienError, match=message):
        with_phases(*tables)


@pytest.mark.parametrize(
    ("tables", "hint"),
    [
        ([{"epochs": 3}, {"epochs": 8}, {}], "train.epochs of at least 12, or shorten phases.2.epochs"),
        ([{"epochs": 10}, {"epochs": 4}], "train.epochs of at least 11, or shorten phases.1.epochs"),
        ([{"epochs": 4}, {"epochs": 4}], "leave out epochs of the last phase"),
        ([{"epochs": 12}], "leave out epochs of the last phase"),
    ],
)
def test_phases_that_do_not_add_up_name_what_would_help(tables: list[dict[str, object]], hint: str) -> None:
    with pytest.raises(MienError) as caught:
        with_phases(*tables)
    assert hint in (caught.value.hint or "")


def test_a_phase_cannot_enlarge_the_pictures() -> None:
    with pytest.raises(MienError, match=r"size = 48 is larger than data\.crop = 44"):
        with_phases({"size": 48}, data={"crop": 44})


def test_phases_survive_being_written_and_settings_reach_into_them(tmp_path: Path) -> None:
    recipe = with_phases({"epochs": 3, "freeze": ["backbone"]}, {"augment": {"flip": "random"}})
    (tmp_path / "r.toml").write_text(tomli_w.dumps(recipes.to_tree(recipe)))
    assert recipes.read(str(tmp_path / "r.toml")) == recipe
    changed = recipes.read(str(tmp_path / "r.toml"), ["phases.1.epochs=4", "phases.2.augment.flip=off"])
    assert changed.phases[0].epochs == 4
    assert changed.phases[1].augment["flip"] == "off"
    with pytest.raises(MienError, match="'3' is none of 2 tables"):
        recipes.read(str(tmp_path / "r.toml"), ["phases.3.epochs=4"])
    with pytest.raises(MienError, match="is a list of tables"):
        recipes.read(str(tmp_path / "r.toml"), ["phases.epochs=4"])
