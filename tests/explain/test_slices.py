"""Slices of answers whose weak place is planted."""

from __future__ import annotations

import numpy as np
import pytest

from mien.explain.slices import LEAST, slices, worst


def test_the_planted_weakness_is_named() -> None:
    rng = np.random.default_rng(0)
    brightness, camera = rng.random(2000), rng.choice(["a", "b"], 2000)
    hit = rng.random(2000) < np.where(brightness < 0.2, 0.5, 0.8)
    found = slices(hit, {"brightness": brightness, "camera": camera})
    assert len(found) == 7
    named = worst(found, float(hit.mean()))
    assert named is not None
    assert (named.column, named.name) == ("brightness", found[0].name)


def test_chance_is_not_named() -> None:
    named = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        hit = rng.random(600) < 0.7
        columns = {str(i): rng.random(600) for i in range(4)}
        named += worst(slices(hit, columns), float(hit.mean())) is not None
    assert named <= 5


def test_every_picture_is_in_one_slice_of_a_column() -> None:
    values = np.random.default_rng(0).integers(0, 20, 1000)
    found = slices(np.ones(1000, np.bool_), {"votes": values})
    assert sum(one.count for one in found) == 1000
    assert found[0].name.startswith("0–")
    assert found[-1].name.endswith("–19")


def test_small_slices_and_constant_columns_are_left_out() -> None:
    few = np.array(["rare"] * (LEAST - 1) + ["common"] * 200 + ["other"] * 200)
    found = slices(np.ones(len(few), np.bool_), {"kind": few, "same": np.zeros(len(few))})
    assert [one.name for one in found] == ["common", "other"]


def test_more_slices_make_the_intervals_wider() -> None:
    hit = np.arange(400) % 3 > 0
    halves, more = np.arange(400) % 2, {str(k): (np.arange(400) + k) % 2 for k in range(9)}
    one, many = slices(hit, {"0": halves})[0], slices(hit, more)[0]
    assert one.interval == many.interval
    assert many.strict.high - many.strict.low > one.strict.high - one.strict.low > 0
    assert one.strict.high > one.interval.high


def test_missing_numbers_belong_to_no_slice() -> None:
    values = np.concatenate([np.full(100, np.nan), np.arange(500.0)])
    assert sum(one.count for one in slices(np.ones(600, np.bool_), {"x": values})) == pytest.approx(500)


def test_missing_words_make_a_slice_of_their_own() -> None:
    camera = np.array(["a", None, "b", ""] * 50, object)
    found = slices(np.ones(200, np.bool_), {"camera": camera})
    assert [(one.name, one.count) for one in found] == [("(none)", 100), ("a", 50), ("b", 50)]


def test_few_values_of_numbers_are_said_shortly() -> None:
    values = np.array([0.1 + 0.2, -1 / 3, 2013.0] * 50)
    names = [one.name for one in slices(np.ones(150, np.bool_), {"x": values})]
    assert names == ["\N{MINUS SIGN}0.333333", "0.3", "2013"]
