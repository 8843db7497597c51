from __future__ import annotations

from mien.cli.data_shown import scarce


def test_classes_that_cannot_be_learned_or_measured_are_named() -> None:
    train = {"happy": 80, "sad": 0, "bored": 1, "calm": 9, "(no label)": 1}
    val = {"happy": 20, "sad": 3, "bored": 0, "calm": 0}
    first, second, third = scarce({"train": train, "val": val})
    assert first.startswith("sad: no picture in train, so it is never learned")
    assert second.startswith("bored: one picture, which cannot be both")
    assert third.startswith("calm: no picture in val, so it is not measured")


def test_a_set_in_order_and_one_without_val_have_none() -> None:
    assert scarce({"train": {"happy": 2, "sad": 2}, "val": {"happy": 1, "sad": 1}}) == []
    assert scarce({"train": {"happy": 2, "sad": 2, "absent": 0}}) == []
    assert scarce({"test": {"(no label)": 5, "happy": 0}}) == []
