"""Whether val and test look like train."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.audit.finding import Severity
from mien.data.audit.split_fit import comparable, effect_size, split_fit, tell_apart


@pytest.fixture(scope="module")
def split() -> np.ndarray:
    return np.where(np.random.default_rng(3).random(420) < 0.3, "val", "train")


def test_splits_drawn_at_random_look_alike(drawn: np.ndarray, split: np.ndarray) -> None:
    found = split_fit(drawn, split)
    assert found.severity is Severity.FINE
    assert found.figures["val_low"] < 0.5 < found.figures["val_high"] + 0.05
    assert "val looks like train" in found.verdict


def test_noise_that_was_divided_at_random_looks_alike() -> None:
    split = np.repeat(["train", "val"], 200)
    for seed in range(3):
        images = np.random.default_rng(seed).integers(0, 256, (400, 32, 32)).astype(np.uint8)
        assert split_fit(images, split).severity is Severity.FINE


def test_a_darker_val_is_told_apart_and_the_reason_is_named(drawn: np.ndarray, split: np.ndarray) -> None:
    drawn = drawn.copy()
    drawn[split == "val"] = drawn[split == "val"] // 2
    found = split_fit(drawn, split)
    assert found.severity is Severity.SEVERE
    assert found.figures["val_brightness_d"] < -1
    assert "val has less brightness" in found.verdict or "val has less contrast" in found.verdict
    assert [len(sheet.rows) for sheet in found.sheets] == [12, 12]
    assert set(split[found.sheets[0].rows]) == {"val"}
    assert set(found.plots[0].series) == {"train", "val"}


def test_each_split_is_compared_with_train(drawn: np.ndarray) -> None:
    split = np.array(["train", "train", "val", "test"])[np.arange(420) % 4]
    drawn = drawn.copy()
    drawn[split == "test"] = drawn[split == "test"][:, ::-1]
    found = split_fit(drawn, split)
    assert found.severity is Severity.SEVERE
    assert found.figures["test_area"] > 0.9 > 0.6 > found.figures["val_area"]


def test_splits_of_a_few_pictures_are_not_judged(drawn: np.ndarray) -> None:
    split = np.where(np.arange(420) < 20, "val", "train")
    assert "no two splits of 50" in split_fit(drawn, split).verdict


def test_the_same_set_gives_the_same_figures(drawn: np.ndarray, split: np.ndarray) -> None:
    assert split_fit(drawn, split).figures == split_fit(drawn, split).figures


def test_copies_inside_a_split_count_once_and_those_across_it_not_at_all() -> None:
    split = np.array(["train"] * 5 + ["val"] * 3)
    group = np.array([-1, 7, 7, 8, 9, 8, -1, 10])
    rng = np.random.default_rng(0)
    assert comparable(split, "train", group, rng).tolist() == [0, 1, 4]
    assert comparable(split, "val", group, rng).tolist() == [6, 7]
    assert comparable(split, "val", None, rng).tolist() == [5, 6, 7]


def test_copies_in_train_do_not_make_splits_look_different(drawn: np.ndarray, split: np.ndarray) -> None:
    train = np.flatnonzero(split == "train")
    images = np.concatenate([drawn, drawn[train], drawn[train]])
    splits = np.concatenate([split, split[train], split[train]])
    group = np.full(len(images), -1)
    group[train] = group[420 : 420 + len(train)] = group[420 + len(train) :] = train
    assert split_fit(images, splits, group=group).severity is Severity.FINE


def test_guessing_hardly_ever_looks_like_telling_apart() -> None:
    rng = np.random.default_rng(0)
    mistaken = 0
    for seed in range(12):
        noise = rng.normal(size=(200, 3)).astype(np.float32)
        second = np.arange(200) % 2 == 0
        told = tell_apart(noise, second, np.arange(200), seed=seed)
        mistaken += told.low > 0.5
    assert mistaken <= 1


def test_effect_size_is_the_difference_in_deviations() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(10, 2, 20000), rng.normal(11, 2, 20000)
    assert effect_size(a, b) == pytest.approx(0.5, abs=0.03)
    assert effect_size(np.ones(3), np.ones(3)) == 0
