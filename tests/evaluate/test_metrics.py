"""Figures of merit against scikit-learn, SciPy, and sums by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mien.core.errors import MienError
from mien.evaluate.metrics import (
    Interval,
    calibration_error,
    f1_interval,
    mean_log_loss,
    measure,
    reliability,
    wilson,
)

NAMES = ("a", "b", "c", "d")


def predictions(seed: int, count: int = 300, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Ids with every class in them, and answers that are right more often than not."""
    rng = np.random.default_rng(seed)
    ids = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    logits = rng.normal(size=(count, classes)) + 1.2 * np.eye(classes)[ids]
    return ids, (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    ids, p = predictions(seed)
    ours, answers = measure(ids, p, NAMES), p.argmax(1)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(ids, answers)
    assert ours.accuracy == pytest.approx(sklearn.metrics.accuracy_score(ids, answers))
    assert ours.macro_f1 == pytest.approx(sklearn.metrics.f1_score(ids, answers, average="macro"))
    exact = p.astype(np.float64) / p.sum(1, keepdims=True, dtype=np.float64)
    assert ours.log_loss == pytest.approx(sklearn.metrics.log_loss(ids, exact))
    assert [c.precision for c in ours.classes] == pytest.approx(precision)
    assert [c.recall for c in ours.classes] == pytest.approx(recall)
    assert [c.f1 for c in ours.classes] == pytest.approx(f1)
    assert [c.support for c in ours.classes] == support.tolist()
    assert np.array_equal(ours.confusion, sklearn.metrics.confusion_matrix(ids, answers))


@given(trials=st.integers(1, 40_000), share=st.floats(0, 1))
def test_wilson_interval_is_that_of_scipy(trials: int, share: float) -> None:
    successes = round(share * trials)
    ours = wilson(successes, trials)
    theirs = binomtest(successes, trials).proportion_ci(method="wilson")
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_at_3589_pictures_and_70_percent_the_interval_is_one_and_a_half_points() -> None:
    interval = wilson(2512, 3589)
    assert interval is not None
    assert (interval.high - interval.low) / 2 == pytest.approx(0.015, abs=5e-4)


@pytest.mark.parametrize("cells", [(300, 167, 120, 3002), (40, 10, 16, 3523), (800, 95, 79, 2615), (9, 3, 6, 100)])
def test_f1_interval_is_near_the_bootstrap_over_pictures(cells: tuple[int, int, int, int]) -> None:
    # A class's F1 depends on four counts alone, so resampling pictures is drawing those counts.
    draws = np.random.default_rng(0).multinomial(sum(cells), np.array(cells) / sum(cells), size=20_000)
    true, false, missed, _ = draws.T
    low, high = np.quantile(2 * true / np.maximum(2 * true + false + missed, 1), [0.025, 0.975])
    ours = f1_interval(*cells[:3])
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.04 if cells[0] < 50 else 0.01)


@given(true=st.integers(0, 500), false=st.integers(0, 500), missed=st.integers(0, 500))
def test_f1_lies_within_its_interval(true: int, false: int, missed: int) -> None:
    interval = f1_interval(true, false, missed)
    if true + false + missed == 0:
        assert interval is None
    else:
        f1 = 2 * true / (2 * true + false + missed)
        assert interval is not None
        assert 0 <= interval.low <= f1 + 1e-12
        assert f1 - 1e-12 <= interval.high <= 1


def test_a_right_class_with_probability_zero_costs_much_but_not_infinitely_much() -> None:
    loss = mean_log_loss(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert loss == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)


def test_certain_and_right_has_no_loss() -> None:
    assert mean_log_loss(np.array([2, 0]), np.eye(3)[[2, 0]]) == pytest.approx(0, abs=1e-12)


def test_calibration_error_by_hand() -> None:
    # Three answers at .9, two right; one at .6, wrong: 3/4·|2/3 − .9| + 1/4·|0 − .6|.
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    bins = reliability(np.array([0, 0, 0, 1]), p)
    assert calibration_error(bins) == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.6)
    assert sum(bins.count) == 4


def test_a_confidence_on_a_bin_edge_belongs_to_the_lower_bin() -> None:
    p = np.array([[0.8, 0.2], [0.8000001, 0.1999999], [1.0, 0.0]])
    assert reliability(np.zeros(3, int), p, bins=5).count == (0, 0, 0, 1, 2)


def test_sure_and_always_wrong_is_the_worst_calibration() -> None:
    assert measure(np.array([1, 2, 3]), np.eye(4)[[0, 0, 0]], NAMES).calibration_error == 1.0


def test_answers_as_sure_as_they_are_right_have_no_calibration_error() -> None:
    p = np.tile([0.75, 0.25], (4, 1))
    assert measure(np.array([0, 0, 1, 0]), p, ("a", "b")).calibration_error == pytest.approx(0)


def test_a_class_without_pictures_is_undefined_and_not_a_warning() -> None:
    ids, p = predictions(0)
    kept = ids != 3
    figures = measure(ids[kept], p[kept], NAMES)
    assert figures.classes[3].support == 0
    assert figures.classes[3].recall is figures.classes[3].f1 is figures.classes[3].f1_interval is None
    assert figures.classes[3].precision == 0  # called so at times, and never right
    assert figures.macro_f1 == pytest.approx(np.mean([c.f1 for c in figures.classes[:3]]))


def test_a_class_never_answered_has_no_precision_and_counts_as_zero_in_macro_f1() -> None:
    figures = measure(np.array([0, 0, 1]), np.eye(2)[[0, 0, 0]], ("a", "b"))
    assert figures.classes[1].precision is None
    assert (figures.classes[1].recall, figures.classes[1].f1) == (0, 0)
    assert figures.macro_f1 == pytest.approx(0.8 / 2)


def test_one_class_alone_can_be_scored() -> None:
    figures = measure(np.full(4, 2), np.eye(4)[[2, 2, 0, 2]], NAMES)
    assert figures.accuracy == 0.75
    assert figures.macro_f1 == pytest.approx(2 * 0.75 / 1.75)


def test_a_single_label_is_always_right() -> None:
    figures = measure(np.zeros(3, int), np.ones((3, 1)), ("only",))
    assert (figures.accuracy, figures.log_loss, figures.calibration_error) == (1, 0, 0)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_pictures_does_not_matter(seed: int) -> None:
    ids, p = predictions(seed, count=60)
    order = np.random.default_rng(seed).permutation(len(ids))
    one, other = measure(ids, p, NAMES), measure(ids[order], p[order], NAMES)
    assert (one.confusion, one.classes) == (other.confusion, other.classes)
    assert one.log_loss == pytest.approx(other.log_loss)
    assert one.calibration_error == pytest.approx(other.calibration_error)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16))
def test_renaming_classes_renames_their_figures(seed: int) -> None:
    ids, p = predictions(seed, count=60)
    order = np.random.default_rng(seed).permutation(4)  # new class i is old class order[i]
    renamed = measure(np.argsort(order)[ids], p[:, order], [NAMES[i] for i in order])
    figures = measure(ids, p, NAMES)
    assert [figures.classes[i] for i in order] == list(renamed.classes)


def test_probabilities_are_renormalised() -> None:
    ids, p = predictions(1)
    assert measure(ids, 3 * p, NAMES) == measure(ids, p * np.float32(3), NAMES)
    assert measure(ids, 4 * p, NAMES) == measure(ids, p, NAMES)


@pytest.mark.parametrize(
    ("ids", "p", "message"),
    [
        ([0, 4], np.full((2, 4), 0.25), r"row 1: class id 4 is not within 0…3"),
        ([0, -1], np.full((2, 4), 0.25), r"row 1: class id -1"),
        ([0, 1], [[0.25] * 4, [np.nan] * 4], r"row 1: \[nan"),
        ([0], [[0.5, 0.7, -0.2, 0]], "row 0"),
        ([0], [[0.0] * 4], "row 0"),
        ([0], np.full((2, 4), 0.25), r"\(1,\) and probabilities \(2, 4\)"),
        ([], np.zeros((0, 4)), "no pictures"),
    ],
)
def test_unusable_input_is_named(ids: list[int], p: np.ndarray, message: str) -> None:
    with pytest.raises(MienError, match=message):
        measure(np.array(ids, int), np.asarray(p), NAMES)


def test_everything_goes_into_json_and_is_plain() -> None:
    figures = measure(*predictions(0), NAMES)
    back = json.loads(json.dumps(figures.to_json(), allow_nan=False))
    assert back["accuracy_interval"] == {"low": figures.accuracy_interval.low, "high": figures.accuracy_interval.high}
    assert back["classes"][0]["name"] == "a"
    assert len(back["reliability"]["count"]) == 15


def test_no_trials_have_no_interval() -> None:
    assert wilson(0, 0) is None
    assert wilson(0, 1) == Interval(0.0, pytest.approx(0.7935, abs=1e-4))
