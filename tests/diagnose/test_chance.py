"""What chance allows, against draws of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien.diagnose.chance import deviation, surely_above, surely_apart, surely_below


def test_the_same_share_is_sure_with_many_pictures_and_not_with_few() -> None:
    assert not surely_above(0.6, 20, 0.5)
    assert surely_above(0.6, 2000, 0.5)
    assert not surely_below(0.2, 10, 0.3)
    assert surely_below(0.2, 1000, 0.3)
    assert not surely_apart(0.7, 50, 0.65, 50)
    assert surely_apart(0.7, 5000, 0.65, 5000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_where_there_is_no_difference_one_in_twenty_is_believed(share: float) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, share, 4000) / 200, rng.binomial(300, share, 4000) / 300
    alarms = np.mean([surely_apart(x, 200, y, 300) for x, y in zip(a.tolist(), b.tolist(), strict=True)])
    assert 0.03 < alarms < 0.07
    alarms = np.mean([surely_above(x, 200, share) for x in a.tolist()])
    assert 0.02 < alarms < 0.08


def test_no_pictures_say_nothing() -> None:
    assert deviation(0.5, 0) == math.inf
    assert not surely_above(1.0, 0, 0.5)
    assert not surely_below(0.0, 0, 0.5)
    assert not surely_apart(1.0, 0, 0.0, 100)


def test_a_share_of_one_is_not_certain() -> None:
    assert 0 < deviation(1.0, 10) < deviation(0.5, 10)
