"""Names of splits, and dividing what comes without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import MienError
from mien.data.split import USAGE, complete, split_in, split_of, stratified

labels_drawn = st.lists(st.integers(0, 5), min_size=1, max_size=200).map(np.array)


def test_fer2013s_words_are_ours_and_back() -> None:
    assert {split: split_of(usage) for split, usage in USAGE.items()} == {s: s for s in USAGE}
    assert split_of("happy") is None
    for written in ("Public Test", "public_test", "PUBLIC-TEST"):
        assert split_of(written) == split_in(f"{written}_list") == split_in(f"fer {written}") == "val"


@pytest.mark.parametrize(
    ("name", "split"),
    [("train_list", "train"), ("FER2013TrainAug", "train"), ("FERTest", "test"), ("MyPublicTestFaces", "val")],
)
def test_a_name_speaks_of_a_split_in_a_word_or_a_part_of_one(name: str, split: str) -> None:
    assert split_in(name) == split


@pytest.mark.parametrize("name", ["labels", "TrainVal", "Strain", "detrain2"])
def test_a_name_of_no_split_or_of_two_speaks_of_none(name: str) -> None:
    assert split_in(name) is None


@given(labels_drawn, st.floats(0.05, 0.95), st.integers(0, 9))
def test_each_class_gives_its_share_and_is_never_used_up(labels: np.ndarray, fraction: float, seed: int) -> None:
    chosen = stratified(labels, fraction, seed)
    for label in np.unique(labels):
        whole, given_away = int((labels == label).sum()), int(chosen[labels == label].sum())
        assert given_away < whole
        assert abs(given_away - whole * fraction) <= max(0.5, 1 - fraction, fraction) + 1e-9
        assert given_away > 0 or whole == 1


@given(labels_drawn, st.integers(0, 9))
def test_the_draw_repeats_with_its_seed(labels: np.ndarray, seed: int) -> None:
    assert (stratified(labels, 0.2, seed) == stratified(labels, 0.2, seed)).all()


def test_another_seed_draws_others() -> None:
    labels = np.zeros(100, int)
    assert (stratified(labels, 0.2, 0) != stratified(labels, 0.2, 1)).any()


def test_a_class_is_drawn_alike_whatever_other_classes_there_are() -> None:
    few, many = np.array([0] * 50), np.array([0, 1] * 50)
    assert (stratified(few, 0.2, 3) == stratified(many, 0.2, 3)[::2]).all()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 20])
def test_a_fraction_outside_zero_and_one_is_refused(fraction: float) -> None:
    with pytest.raises(MienError, match="between 0 and 1"):
        stratified(np.zeros(5, int), fraction, 0)


def test_given_splits_stay_as_they_are() -> None:
    given_splits = ["train", "val", "test", "train"]
    names, what = complete(given_splits, np.zeros(4, int))
    assert names.tolist() == given_splits
    assert what is None


def test_a_test_set_alone_needs_no_validation() -> None:
    names, what = complete(["test"] * 3, np.full(3, -1), val_fraction=0.2, seed=0)
    assert names.tolist() == ["test"] * 3
    assert what is None


def test_a_wish_for_val_that_cannot_be_met_is_answered() -> None:
    wishes: list[dict[str, float]] = [{"val_fraction": 0.4}, {"seed": 9}]
    for wish in wishes:
        _, what = complete(["train", None, "val"], np.zeros(3, int), **wish)
        assert what == (
            "1 pictures without a split went to train; "
            "val is there, so none was drawn: --val-fraction and --seed change nothing"
        )
        _, what = complete(["test"], np.zeros(1, int), **wish)
        assert what == "there is no train, so none was drawn: --val-fraction and --seed change nothing"


def test_a_missing_val_is_drawn_from_train_only() -> None:
    names, what = complete(["train"] * 10 + ["test"] * 10, np.zeros(20, int), val_fraction=0.2, seed=0)
    assert (names[:10] == "val").sum() == 2
    assert (names[10:] == "test").all()
    assert "20%" in what
    assert "seed 0" in what


def test_pictures_without_a_split_go_to_train_and_that_is_said() -> None:
    names, what = complete([None, "val", None], np.zeros(3, int), val_fraction=0.2, seed=0)
    assert names.tolist() == ["train", "val", "train"]
    assert what == "2 pictures without a split went to train"
