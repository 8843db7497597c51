"""The four label schemes of FER+, on cases worked out by hand and on the real votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.core import votes
from mien.core.errors import MienError

# Columns: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face.
NEUTRAL, HAPPY, SURPRISE, SAD, ANGER, DISGUST, FEAR, CONTEMPT = range(8)

any_votes = arrays(np.int64, st.tuples(st.integers(0, 12), st.just(10)), elements=st.integers(0, 10))


def row(**given_votes: int) -> np.ndarray:
    """One picture's votes by column name."""
    found = np.zeros((1, 10), np.int64)
    for name, count in given_votes.items():
        found[0, votes.COLUMNS.index(name)] = count
    return found


def shares(**classes: float) -> np.ndarray:
    """One target over the eight expressions by name."""
    found = np.zeros((1, 8), np.float32)
    for name, share in classes.items():
        found[0, votes.COLUMNS.index(name)] = share
    return found


def test_a_single_vote_is_dropped_and_two_are_not() -> None:
    assert votes.without_single_votes(row(neutral=8, fear=1, anger=2)).tolist() == row(neutral=8, anger=2).tolist()


def test_votes_of_another_width_are_refused() -> None:
    with pytest.raises(MienError, match=r"shape \(N, 10\), got \(3, 8\)"):
        votes.majority(np.zeros((3, 8), np.int64))


@pytest.mark.parametrize(
    ("given_votes", "expected"),
    [
        ({"happiness": 6, "neutral": 4}, HAPPY),
        ({"happiness": 5, "neutral": 5}, -1),  # a tie is no majority
        ({"happiness": 5, "neutral": 4, "fear": 1}, HAPPY),  # five of nine once the single vote is gone
        ({"happiness": 4, "neutral": 3, "sadness": 3}, -1),  # first, but not over half
        ({"unknown": 7, "happiness": 3}, -1),
        ({"NF": 10}, -1),
        ({"NF": 4, "fear": 6}, FEAR),
        ({"anger": 1, "fear": 1, "sadness": 1}, -1),  # nothing left
        ({}, -1),
    ],
)
def test_majority_needs_more_than_half_of_the_votes_left(given_votes: dict[str, int], expected: int) -> None:
    assert votes.majority(row(**given_votes)).tolist() == [expected]


def test_majority_targets_are_the_ids_as_one_hot_rows_and_zeros_where_there_is_none() -> None:
    both = np.concatenate([row(happiness=10), row(happiness=5, neutral=5)])
    assert votes.majority_targets(both).tolist() == np.concatenate([shares(happiness=1), shares()]).tolist()


@pytest.mark.parametrize(
    ("given_votes", "expected"),
    [
        ({"happiness": 10}, {"happiness": 1}),
        # Eight of ten are over 75 %, so that the second class is not taken.
        ({"happiness": 8, "neutral": 2}, {"happiness": 1}),
        # Seven of ten are not: both, by their votes.
        ({"happiness": 7, "neutral": 3}, {"happiness": 0.7, "neutral": 0.3}),
        # A single vote counts neither for a class nor for the whole: 6 and 3 of nine.
        ({"happiness": 6, "neutral": 3, "fear": 1}, {"happiness": 6 / 9, "neutral": 3 / 9}),
        # Three classes at most; the fourth is left out although only 8 of 10 were needed.
        ({"happiness": 4, "neutral": 2, "sadness": 2, "fear": 2}, None),  # a tie brings four classes: unknown
        ({"happiness": 4, "neutral": 3, "sadness": 2}, {"happiness": 4 / 7, "neutral": 3 / 7}),
        # Unknown ahead of all expressions: the picture leaves.
        ({"unknown": 6, "happiness": 4}, None),
        # Unknown met second ends the list; what was taken before covers 6 of 10, more than half, and stays.
        ({"happiness": 6, "unknown": 4}, {"happiness": 1}),
        # Five of ten is not more than half.
        ({"happiness": 5, "unknown": 5}, None),
        ({"happiness": 5, "NF": 3, "neutral": 2}, None),
        ({"anger": 1, "fear": 1}, None),
        ({}, None),
    ],
)
def test_cross_entropy_takes_classes_until_three_quarters_are_covered(
    given_votes: dict[str, int], expected: dict[str, float] | None
) -> None:
    target = votes.cross_entropy_targets(row(**given_votes))
    np.testing.assert_allclose(target, shares(**(expected or {})), atol=1e-6)


@pytest.mark.parametrize(
    ("given_votes", "expected"),
    [
        ({"happiness": 6, "neutral": 4}, {"happiness", "neutral"}),
        ({"happiness": 8, "neutral": 2}, {"happiness"}),
        ({"happiness": 7, "neutral": 3}, {"happiness", "neutral"}),  # exactly 30 % counts
        ({"happiness": 4, "neutral": 3, "sadness": 3}, {"happiness", "neutral", "sadness"}),
        ({"happiness": 3, "neutral": 2, "sadness": 2, "fear": 2}, set()),  # 3 of 9 cover too little
        ({"unknown": 5, "happiness": 5}, {"happiness"}),  # argmax takes the first of equals, an expression
        ({"unknown": 6, "happiness": 4}, set()),
        ({}, set()),
    ],
)
def test_multi_target_counts_every_class_with_thirty_percent(given_votes: dict[str, int], expected: set[str]) -> None:
    target = votes.multi_target(row(**given_votes))[0]
    assert {votes.COLUMNS[i] for i in np.flatnonzero(target)} == expected
    assert set(target.tolist()) <= {0.0, 1.0}


def test_a_probability_draw_follows_the_cross_entropy_target() -> None:
    many = np.repeat(row(happiness=7, neutral=3), 4000, axis=0)
    drawn = votes.probability_draw(many, np.random.default_rng(3))
    assert (drawn.sum(1) == 1).all()
    # The standard deviation of the mean is 0.0072.
    np.testing.assert_allclose(drawn.mean(0), shares(happiness=0.7, neutral=0.3)[0], atol=0.03)


def test_a_probability_draw_leaves_out_what_cross_entropy_leaves_out() -> None:
    assert not votes.probability_draw(row(unknown=10), np.random.default_rng(0)).any()


def test_a_probability_draw_repeats_with_its_seed_and_changes_without() -> None:
    many = np.repeat(row(happiness=5, neutral=5), 100, axis=0)
    first, again, other = (votes.probability_draw(many, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@given(any_votes)
def test_every_target_is_a_distribution_or_empty(drawn: np.ndarray) -> None:
    for scheme in (votes.majority_targets, votes.cross_entropy_targets):
        mass = scheme(drawn).sum(1)
        assert np.all(np.isclose(mass, 1, atol=1e-5) | (mass == 0))


@given(any_votes)
def test_a_majority_is_also_the_top_of_the_cross_entropy_target(drawn: np.ndarray) -> None:
    ids, soft = votes.majority(drawn), votes.cross_entropy_targets(drawn)
    has_both = (ids >= 0) & soft.any(1)
    assert (soft[has_both].argmax(1) == ids[has_both]).all()
    # More than half of the votes is enough to be kept, unless a tie behind it brings more than three classes.
    assert soft[(ids >= 0) & (np.sort(drawn, axis=1)[:, -2] <= 1)].any(1).all()


@given(any_votes, st.integers(0, 100))
def test_a_draw_is_one_of_the_classes_of_its_target(drawn: np.ndarray, seed: int) -> None:
    soft = votes.cross_entropy_targets(drawn)
    hard = votes.probability_draw(drawn, np.random.default_rng(seed))
    assert (hard.sum(1) == soft.any(1)).all()
    assert (soft[hard > 0] > 0).all()


def test_the_schemes_keep_as_many_real_pictures_as_the_reference_does(real_data: dict[str, np.ndarray]) -> None:
    training, public = (real_data["ferplus"][real_data["usage"] == value] for value in split_values(real_data))
    kept = {name: int(scheme(training).any(1).sum()) for name, scheme in votes.SCHEMES.items()}
    assert kept == {"majority": 25_060, "cross-entropy": 27_956, "multi-target": 27_671}
    assert int((votes.majority(public) >= 0).sum()) == 3_199


def split_values(real_data: dict[str, np.ndarray]) -> list[object]:
    """How the archive writes Training and PublicTest: the larger and the smaller part."""
    values, counts = np.unique(real_data["usage"], return_counts=True)
    return values[np.argsort(-counts)].tolist()
