"""The paired statistics of two classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from mien.core.errors import MienError
from mien.evaluate.compare import holm, mcnemar, paired, paired_interval, verdict


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 12), (12, 2), (5, 5), (40, 71), (900, 1000)])
def test_mcnemar_is_the_binomial_test_and_mid_p_its_less_conservative_sister(first: int, second: int) -> None:
    exact, mid = mcnemar(first, second)
    test = binomtest(first, first + second)
    assert exact == pytest.approx(test.pvalue)
    at = binomtest(min(first, second), first + second, alternative="less").pvalue
    below = binomtest(min(first, second) - 1, first + second, alternative="less").pvalue if min(first, second) else 0
    assert mid == pytest.approx(at + below)
    assert mid <= exact


def test_where_nothing_tells_two_apart_p_is_1() -> None:
    assert mcnemar(0, 0) == (1.0, 1.0)
    assert mcnemar(3, 3) == (1.0, 1.0)


def test_the_paired_interval_is_that_of_newcombe_s_example() -> None:
    # Newcombe 1998, Stat Med 17:2635: cells 36, 12, 2, 0; method 10 gives 0.0569 to 0.3404 for first − second.
    interval = paired_interval(36, 12, 2, 0)
    assert (-interval.high, -interval.low) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_paired_interval_turns_with_the_runs() -> None:
    one, other = paired_interval(500, 40, 61, 99), paired_interval(500, 61, 40, 99)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_paired_interval_covers_the_true_difference_in_19_of_20_samples() -> None:
    rng, cells = np.random.default_rng(0), (0.6, 0.06, 0.1, 0.24)
    intervals = [paired_interval(*sample) for sample in rng.multinomial(400, cells, size=2000).tolist()]
    covered = np.mean([one.low <= 0.04 <= one.high for one in intervals])
    assert 0.94 < covered < 0.965


def test_extreme_tables_have_intervals_within_their_range() -> None:
    for cells in ((10, 0, 0, 0), (0, 0, 0, 10), (0, 10, 0, 0), (0, 0, 10, 0), (0, 1, 0, 0)):
        interval = paired_interval(*cells)
        assert -1 <= interval.low <= (cells[2] - cells[1]) / sum(cells) <= interval.high <= 1


def test_paired_counts_who_is_right() -> None:
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    pair = paired(first, second)
    assert (pair.both, pair.first_only, pair.second_only, pair.neither, pair.count) == (1, 2, 1, 1, 5)
    assert pair.difference == pytest.approx(-0.2)


def test_paired_refuses_unlike_or_no_pictures() -> None:
    with pytest.raises(MienError, match="not to the same pictures"):
        paired(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(MienError, match="no pictures to compare"):
        paired(np.ones(0, bool), np.ones(0, bool))


def test_holm_multiplies_by_what_is_left_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_verdicts_name_the_better_or_say_that_it_is_open() -> None:
    better = paired(np.arange(100) < 50, np.arange(100) < 70)
    assert verdict("a", "b", better, better.mid_p) == "b is better than a by 20.00 points"
    assert verdict("a", "b", better, 0.2) == "a and b cannot be told apart: 20.00 points on 100 pictures"
    same = paired(np.ones(9, bool), np.ones(9, bool))
    assert verdict("a", "b", same, 1.0) == "a and b are right on the very same pictures"
