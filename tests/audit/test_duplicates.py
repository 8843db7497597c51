"""Findings about copies, from copies that are written down by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mien.data.audit.copies import Copies
from mien.data.audit.duplicates import (
    check,
    conflicting_labels,
    exact_copies,
    mirrored_copies,
    near_copies,
)
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.leakage import Leak, leakage, leaks
from mien.data.dataset import Dataset

NAMES = ("angry", "happy", "sad")


Chain = tuple[tuple[int, int], ...]


def copies_of(count: int, *, exact: Chain = (), near: Chain = (), mirrored: Chain = ()) -> Copies:
    first = np.arange(count)
    for a, b in exact:
        first[b] = a
    pairs = np.array([*near, *mirrored], np.int64).reshape(-1, 2)
    turned = np.arange(len(pairs)) >= len(near)
    return Copies(first, pairs, turned, np.linspace(0.97, 0.99, len(pairs), dtype=np.float32))


def split_of(text: str) -> np.ndarray:
    return np.array([{"t": "train", "v": "val", "x": "test"}[letter] for letter in text])


@pytest.fixture
def ten() -> Copies:
    """0 = 1 = 2, 3 ≈ 4 ≈ 5, 6 is 7 mirrored, 8 and 9 are alone."""
    return copies_of(10, exact=((0, 1), (0, 2)), near=((3, 4), (4, 5)), mirrored=((6, 7),))


def test_exact_copies_count_what_is_surplus(ten: Copies) -> None:
    finding = exact_copies(ten)
    assert finding.rows.tolist() == [0, 1, 2]
    assert finding.figures["surplus"] == 2
    assert finding.figures["most_in_a_group"] == 3
    assert finding.columns["group"].tolist() == [0, 0, 0]
    assert finding.severity == Severity.WARNING
    assert "2 pictures (20.0" in finding.verdict


def test_near_and_mirrored_copies_name_the_closest_one(ten: Copies) -> None:
    near, mirrored = near_copies(ten), mirrored_copies(ten)
    assert near.rows.tolist() == [3, 4, 5]
    assert near.columns["closest"].tolist() == [4, 5, 4]
    assert near.columns["correlation"].tolist() == pytest.approx([0.97, 0.98, 0.98], abs=1e-6)
    assert mirrored.rows.tolist() == [6, 7]
    assert mirrored.columns["closest"].tolist() == [7, 6]
    assert mirrored.figures["groups"] == 1


@pytest.mark.parametrize("find", [exact_copies, near_copies, mirrored_copies])
def test_a_set_without_copies_is_fine_and_says_so(find: Callable[[Copies], Finding]) -> None:
    finding = find(copies_of(5))
    assert finding.severity == Severity.FINE
    assert finding.verdict.startswith("No picture is")
    assert not len(finding.rows)
    assert not finding.action


def test_one_pair_in_a_large_set_is_a_note() -> None:
    assert exact_copies(copies_of(1000, exact=((3, 4),))).severity == Severity.NOTE


def test_groups_with_different_labels_are_in_conflict(ten: Copies) -> None:
    label = np.array([0, 0, 1, 2, 2, 2, 1, -1, 0, 1])
    finding = conflicting_labels(ten, label, NAMES)
    assert finding.rows.tolist() == [0, 1, 2]
    assert finding.figures == {"groups": 2, "groups_in_conflict": 1, "share": 0.5, "rows": 3}
    assert "1 of 2 groups" in finding.verdict


def test_unlabelled_copies_are_in_no_conflict(ten: Copies) -> None:
    finding = conflicting_labels(ten, np.full(10, -1), NAMES)
    assert finding.severity == Severity.FINE
    assert finding.verdict == "No two copies have a label."


def test_a_leak_counts_pictures_with_a_copy_in_train_by_how_they_are_copies(ten: Copies) -> None:
    #                        012345678 9
    split = split_of("tvvtvvvtvt")
    label = np.array([0, 0, 1, 2, 2, 2, 1, 0, 0, 1])
    assert leaks(ten, label, split) == [Leak("val", pictures=6, leaked=5, exact=2, labelled=5, agreeing=3)]


def test_the_gain_is_what_memory_adds_on_the_leaked_share() -> None:
    leak = Leak("val", pictures=200, leaked=20, exact=20, labelled=20, agreeing=18)
    assert leak.gain(0.7) == pytest.approx(0.1 * (0.9 - 0.7))
    assert leak.gain(0.95) < 0


def test_without_labels_there_is_a_share_but_no_gain() -> None:
    leak = Leak("test", pictures=10, leaked=5, exact=5, labelled=0, agreeing=0)
    assert leak.gain() is None
    assert leak.share == 0.5


def test_a_memorising_model_gains_what_is_stated() -> None:
    """Simulated: a model right on 70 % of what is new to it, which answers the copies' label where it remembers."""
    rng = np.random.default_rng(0)
    count, leaked = 40_000, 4_000
    label = rng.integers(0, 3, 2 * count)
    label[:leaked] = np.where(rng.random(leaked) < 0.85, label[count : count + leaked], (label[:leaked] + 1) % 3)
    copies = copies_of(2 * count, near=tuple((i, count + i) for i in range(leaked)))
    split = np.repeat(["val", "train"], count)
    right = rng.random(count) < 0.7
    remembered = np.where(np.arange(count) < leaked, label[count:] == label[:count], right)
    gain = leaks(copies, label, split)[0].gain(0.7)
    assert gain == pytest.approx(remembered.mean() - right.mean(), abs=0.002)


def test_leakage_lists_the_rows_with_their_copy_in_train(ten: Copies) -> None:
    split, label = split_of("tvvtvvvtvt"), np.array([0, 0, 1, 2, 2, 2, 1, 0, 0, 1])
    finding = leakage(ten, label, split)
    assert finding.rows.tolist() == [1, 2, 4, 5, 6]
    assert finding.columns["copy_in_train"].tolist() == [0, 0, 3, 3, 7]
    assert finding.columns["label_agrees"].tolist() == [True, False, True, True, False]
    assert finding.figures["val_leaked"] == 5


def test_severity_goes_by_what_is_gained() -> None:
    split = np.repeat(["train", "val"], [1000, 1000])
    label = np.zeros(2000, int)
    severe = leakage(copies_of(2000, near=tuple((i, 1000 + i) for i in range(50))), label, split)
    slight = leakage(copies_of(2000, near=tuple((i, 1000 + i) for i in range(5))), label, split)
    chance = leakage(copies_of(2000, near=((0, 1000),)), label, split)
    assert [one.severity for one in (severe, slight, chance)] == [Severity.SEVERE, Severity.WARNING, Severity.NOTE]
    assert severe.figures["val_gain_points"] == pytest.approx(100 * 0.05 * 0.3)


def test_a_split_that_was_seen_whole_is_severe_even_where_labels_disagree() -> None:
    split, label = np.repeat(["train", "val"], [1000, 200]), np.zeros(1200, int)
    label[1000:1080] = 1
    whole = leakage(copies_of(1200, exact=tuple((i, 1000 + i) for i in range(200))), label, split)
    assert whole.figures["val_gain_points"] == pytest.approx(-10)
    assert whole.severity is Severity.SEVERE
    few = leakage(copies_of(1200, exact=tuple((i, 1000 + i) for i in range(2))), label, split)
    stranger = leakage(copies_of(1200, near=((0, 1000),)), label, split)
    assert [few.severity, stranger.severity] == [Severity.WARNING, Severity.NOTE]


def test_without_labels_a_leak_counts_as_if_they_agreed() -> None:
    split = np.repeat(["train", "val"], 1000)
    copies = copies_of(2000, near=tuple((i, 1000 + i) for i in range(20)))
    assert leakage(copies, np.full(2000, -1), split).severity is Severity.SEVERE


def test_copies_within_a_split_do_not_leak(ten: Copies) -> None:
    finding = leakage(ten, np.zeros(10, int), split_of("tttvvvttxx"))
    assert finding.severity == Severity.FINE
    assert finding.verdict == "No picture of val and test has a copy in train."


def test_copies_between_val_and_test_are_listed_with_their_copy(ten: Copies) -> None:
    finding = leakage(ten, np.zeros(10, int), split_of("tttvxxtttt"))
    assert finding.figures["test_copies_in_val"] == 2
    assert finding.rows.tolist() == [4, 5]
    assert finding.columns["copy_in_val"].tolist() == [3, 3]
    assert finding.columns["copy_in_train"].tolist() == [-1, -1]
    assert "2 pictures of test (100.0\u00a0%) have a copy in val: what is chosen on val is chosen" in finding.verdict
    assert [sheet.rows.tolist() for sheet in finding.sheets] == [[4, 3, 5, 3]]


@pytest.mark.parametrize(
    ("count", "severity"), [(1, Severity.NOTE), (2, Severity.WARNING), (10, Severity.SEVERE), (200, Severity.SEVERE)]
)
def test_the_share_of_test_that_is_in_val_decides(count: int, severity: Severity) -> None:
    split = np.repeat(["train", "val", "test"], [100, 200, 200])
    copies = copies_of(500, exact=tuple((100 + i, 300 + i) for i in range(count)))
    assert leakage(copies, np.zeros(500, int), split).severity is severity


def test_where_not_all_candidates_were_looked_at_nothing_is_fine(bar_set: Dataset) -> None:
    none = copies_of(len(bar_set))
    left = Copies(none.first, none.pairs, none.mirrored, none.correlation, looked=70_000, left=5000)
    clean, open_ = (check(bar_set, lambda _done, _total: None, copies) for copies in (none, left))
    assert {one.severity for one in clean} == {Severity.FINE}
    assert [one.severity for one in open_] == [Severity.FINE] + [Severity.NOTE] * 4
    assert "of 75,000 pairs that could be copies, the nearest 70,000 were looked at" in open_[1].verdict
    assert open_[1].figures["candidates_left"] == 5000


def test_a_set_of_train_alone_cannot_leak(ten: Copies) -> None:
    assert leakage(ten, np.zeros(10, int), split_of("t" * 10)).severity == Severity.FINE


def test_the_check_of_a_packed_set_gives_every_finding_once(bar_set: Dataset, ten: Copies) -> None:
    del ten
    copies = copies_of(len(bar_set), exact=((0, 3),))
    names = [finding.name for finding in check(bar_set, lambda _done, _total: None, copies)]
    assert names == ["exact-copies", "near-copies", "mirrored-copies", "leakage", "conflicting-labels"]
