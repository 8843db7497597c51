"""Groups of copies, against a union-find written plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.audit.groups import ALONE, first_of_each, groups_of, links, majority, present, sizes, tidied

COUNT = 24
pairs_drawn = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=30).map(
    lambda pairs: np.array([p for p in pairs if p[0] != p[1]], np.int64).reshape(-1, 2)
)
groups_drawn = st.lists(st.integers(-1, 5), min_size=1, max_size=40).map(np.array)


def naive(count: int, pairs: np.ndarray) -> list[set[int]]:
    sets = [{i} for i in range(count)]
    for a, b in pairs.tolist():
        joined = sets[a] | sets[b]
        for i in joined:
            sets[i] = joined
    return sets


@given(pairs_drawn)
def test_what_any_chain_of_pairs_links_is_one_group(pairs: np.ndarray) -> None:
    group, expected = groups_of(COUNT, pairs), naive(COUNT, pairs)
    for i in range(COUNT):
        same = {i} if group[i] == ALONE else set(np.flatnonzero(group == group[i]).tolist())
        assert same == expected[i]


@given(pairs_drawn)
def test_groups_are_numbered_by_their_first_member(pairs: np.ndarray) -> None:
    group = groups_of(COUNT, pairs)
    _, first = np.unique(group[group >= 0], return_index=True)
    assert first.tolist() == sorted(first.tolist())
    assert (sizes(group) > 1).all()


def test_a_chain_of_a_hundred_thousand_is_one_group_at_once() -> None:
    order = np.random.default_rng(0).permutation(100_000)
    assert (groups_of(len(order), np.stack([order[:-1], order[1:]], axis=1)) == 0).all()


@given(pairs_drawn)
def test_links_give_the_groups_back(pairs: np.ndarray) -> None:
    group = groups_of(COUNT, pairs)
    assert (groups_of(COUNT, links(group)) == group).all()


@given(groups_drawn)
def test_tidying_dissolves_groups_of_one_and_closes_the_numbers(group: np.ndarray) -> None:
    tidy = tidied(group)
    for i, own in enumerate(group):
        others = np.flatnonzero((group == own) & (own >= 0))
        assert (tidy[i] == ALONE) == (len(others) < 2)
        assert tidy[i] == ALONE or (tidy[others] == tidy[i]).all()
    assert set(tidy[tidy >= 0].tolist()) == set(range(tidy.max() + 1))


@given(groups_drawn)
def test_the_first_of_each_leaves_one_a_group_and_all_that_are_alone(group: np.ndarray) -> None:
    keep = first_of_each(group)
    assert keep[group < 0].all()
    kept = group[keep & (group >= 0)]
    assert sorted(kept.tolist()) == sorted(set(group[group >= 0].tolist()))


@given(groups_drawn, st.integers(0, 99))
def test_present_asks_for_members_of_the_same_group_only(group: np.ndarray, seed: int) -> None:
    where = np.random.default_rng(seed).random(len(group)) < 0.3
    for i, found in enumerate(present(group, where)):
        assert found == (group[i] >= 0 and bool(where[group == group[i]].any()))


@given(groups_drawn, st.integers(0, 99))
def test_the_majority_is_the_commonest_label_and_of_equals_the_lowest(group: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, where = rng.integers(-1, 3, len(group)), rng.random(len(group)) < 0.7
    for i, found in enumerate(majority(group, label, where)):
        told = label[(group == group[i]) & (group[i] >= 0) & where & (label >= 0)]
        assert found == (np.bincount(told).argmax() if len(told) else -1)


@pytest.mark.parametrize("function", [links, tidied, sizes, first_of_each])
def test_nothing_at_all_is_no_group(function: object) -> None:
    assert len(function(np.zeros(0, np.int64))) == 0  # type: ignore[operator]
