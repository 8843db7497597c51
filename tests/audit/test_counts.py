"""Counts of classes, and proportions of classes by split."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.audit.class_fit import association, class_fit
from mien.data.audit.counts import BETA, count, counts, effective_number
from mien.data.audit.finding import Severity

NAMES = ("angry", "happy", "sad")


def labelled(**splits: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and splits with so many pictures of each class, in order."""
    label = [np.repeat(np.arange(len(row)), row) for row in splits.values()]
    return np.concatenate(label), np.repeat([*splits], [sum(row) for row in splits.values()])


def test_pictures_are_counted_by_split_and_class_with_train_first() -> None:
    label, split = labelled(val=(1, 2, 3), extra=(0, 1, 0), train=(4, 5, 6))
    found = count(np.append(label, -1), np.append(split, "val"), NAMES)
    assert found.splits == ("train", "val", "extra")
    assert found.table.tolist() == [[4, 5, 6], [1, 2, 3], [0, 1, 0]]
    assert found.of("test").tolist() == [0, 0, 0]


def test_the_effective_number_is_the_sum_of_a_geometric_series() -> None:
    by_hand = [sum(BETA**i for i in range(n)) for n in (1, 50, 3000)]
    assert effective_number(np.array([1, 50, 3000])) == pytest.approx(by_hand)
    assert effective_number(np.array([0, 10**7])) == pytest.approx([0, 1 / (1 - BETA)])


@pytest.mark.parametrize(
    ("train", "ratio"), [((100, 100, 100), 1), ((0, 100, 100), 1), ((1, 50, 3000), 2591.93), ((0, 0, 0), 1)]
)
def test_effective_numbers_are_compared_between_classes_that_are_there(train: tuple[int, ...], ratio: float) -> None:
    found = counts(*labelled(train=train, val=(1, 1, 1)), NAMES)
    assert found.figures["effective_largest_to_smallest"] == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize(
    ("smallest", "severity"), [(3000, Severity.FINE), (700, Severity.NOTE), (250, Severity.WARNING)]
)
def test_imbalance_of_train_is_judged_by_the_largest_and_smallest_class(smallest: int, severity: Severity) -> None:
    label, split = labelled(train=(smallest, 3000, 3000), val=(100, 100, 100))
    found = counts(label, split, NAMES)
    assert found.severity is severity
    assert found.figures["largest_to_smallest"] == pytest.approx(3000 / smallest, abs=0.01)
    assert found.figures["train_happy"] == 3000
    assert ("as many pictures of happy as of angry" in found.verdict) == (severity > Severity.FINE)


def test_a_class_that_is_measured_but_never_shown_is_severe() -> None:
    found = counts(*labelled(train=(500, 0, 500), val=(100, 100, 100)), NAMES)
    assert found.severity is Severity.SEVERE
    assert "No picture in train of happy." in found.verdict


def test_a_class_that_is_never_measured_is_a_warning() -> None:
    found = counts(*labelled(train=(500, 500, 500), val=(100, 0, 100)), NAMES)
    assert found.severity is Severity.WARNING
    assert "No picture in val of happy." in found.verdict


def test_a_split_without_any_label_lacks_no_class() -> None:
    label, split = labelled(train=(500, 500, 500), val=(100, 100, 100))
    found = counts(np.append(label, [-1] * 9), np.append(split, ["test"] * 9), NAMES)
    assert found.severity is Severity.FINE
    assert found.figures["unlabelled"] == 9


def test_a_class_measured_on_few_pictures_says_how_far_off_its_recall_may_be() -> None:
    found = counts(*labelled(train=(500, 500, 500), val=(16, 100, 100)), NAMES)
    assert found.severity is Severity.NOTE
    # ±1.96·√(.25/16) is ±24.5 points.
    assert "angry in val (16 pictures: recall ±24 points)" in found.verdict


def test_of_many_such_classes_the_one_with_the_fewest_pictures_is_named() -> None:
    found = counts(*labelled(train=(500, 500, 500), val=(30, 16, 90), test=(99, 50, 99)), NAMES)
    assert "3 classes in val, of which happy in val (16 pictures: recall ±24 points) has the fewest." in found.verdict
    assert "Too few to measure well: happy in test (50 pictures: recall ±14 points)." in found.verdict


def test_a_set_without_labels_is_counted_all_the_same() -> None:
    found = counts(np.full(4, -1), np.array(["train"] * 4), NAMES)
    assert found.figures["pictures"] == 0
    assert found.severity is Severity.FINE


def test_equal_proportions_are_fine_and_others_are_named() -> None:
    same = class_fit(*labelled(train=(1000, 2000, 3000), val=(100, 200, 300)), NAMES)
    assert same.severity is Severity.FINE
    assert same.figures["val_w"] == 0
    other = class_fit(*labelled(train=(1000, 2000, 3000), val=(400, 100, 100)), NAMES)
    assert other.severity is Severity.WARNING
    assert "angry 66.7\u00a0% instead of 16.7\u00a0%" in other.verdict


def test_proportions_that_differ_by_chance_alone_do_not_count() -> None:
    rng = np.random.default_rng(0)
    found = [
        class_fit(*labelled(train=(4000, 2000, 1000), val=tuple(rng.multinomial(200, [4 / 7, 2 / 7, 1 / 7]))), NAMES)
        for _ in range(50)
    ]
    assert {one.severity for one in found} == {Severity.FINE}


def test_association_is_cohens_w_less_what_chance_brings() -> None:
    w, chance = association(np.array([600, 400]), np.array([400, 600]))
    # Shares .6/.4 and .4/.6 around .5: Σ (.1² / .5) = .04, less 1/4·(1/1000 + 1/1000).
    assert w == pytest.approx((0.04 - 0.0005) ** 0.5)
    assert chance < 1e-10
    assert association(np.array([5, 0]), np.array([9, 0])) == (0.0, 1.0)


def test_a_set_without_train_misses_no_class_in_it() -> None:
    action = counts(*labelled(test=(5, 100, 100)), NAMES).action
    assert action
    assert "missing class" not in action
    assert "missing class" in counts(*labelled(train=(5, 100, 0), test=(5, 100, 100)), NAMES).action
