"""Temperatures and thresholds of arrays whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from mien.core.errors import MienError
from mien.evaluate.metrics import mean_log_loss
from mien.explain.honest import answered, cross_fit
from mien.explain.temperature import LEAST_ANSWERED, fit_temperature, halves, soften, threshold_for


def drawn(count: int, *, sharper: float, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels drawn from softmax(z), and softmax(sharper·z): a model that is too sure by a known factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, 5))
    ids = np.array([rng.choice(5, p=row) for row in softmax(logits, axis=1)])
    return ids, softmax(sharper * logits, axis=1)


@pytest.mark.parametrize("sharper", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_a_known_one(sharper: float) -> None:
    ids, p = drawn(4000, sharper=sharper)
    assert fit_temperature(ids, p) == pytest.approx(sharper, rel=0.08)


def test_softening_is_dividing_the_logits_and_keeps_the_answer() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (50, 7))
    softened = soften(softmax(logits, axis=1), 1.7)
    np.testing.assert_allclose(softened, softmax(logits / 1.7, axis=1), atol=1e-12)
    assert (softened.argmax(1) == logits.argmax(1)).all()


def test_fitting_what_is_fitted_changes_nothing() -> None:
    ids, p = drawn(1000, sharper=3)
    assert fit_temperature(ids, soften(p, fit_temperature(ids, p))) == pytest.approx(1, abs=1e-3)


def test_a_probability_of_zero_for_the_right_class_is_survived() -> None:
    p = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]], np.float32)
    assert fit_temperature(np.zeros(10, np.int64), p) > 1


def test_the_threshold_gives_the_wished_precision_with_the_most_answers() -> None:
    confidence = np.linspace(0.99, 0.51, 100)
    hit = np.arange(100) % 10 != 9  # nine in ten are right down to the 50th, none after it
    hit[50:] = False
    p = np.stack([confidence, 1 - confidence], 1)
    found = threshold_for(np.where(hit, 0, 1), p, 0.9)
    assert found is not None
    assert confidence[49] > found > confidence[50]


def test_a_threshold_never_parts_equally_sure_answers() -> None:
    p = np.full((100, 2), [0.8, 0.2])
    ids = np.repeat([0, 1], [60, 40])  # the first 60 are right, but nothing tells them apart
    assert threshold_for(ids, p, 0.9) is None
    assert threshold_for(ids, p, 0.6) == 0.0


def test_a_few_lucky_answers_make_no_threshold() -> None:
    confidence = np.linspace(0.99, 0.51, 100)
    hit = np.arange(100) < LEAST_ANSWERED - 10
    assert threshold_for(np.where(hit, 0, 1), np.stack([confidence, 1 - confidence], 1), 0.95) is None


@pytest.mark.parametrize("precision", [0.0, 1.0, 90.0])
def test_a_precision_is_a_share(precision: float) -> None:
    with pytest.raises(MienError, match="between 0 and 1"):
        threshold_for(np.zeros(2, np.int64), np.full((2, 2), 0.5), precision)


def test_halves_keep_groups_together() -> None:
    groups = np.repeat(np.arange(-1, 60), 5)
    first = halves(groups)
    grouped = first[groups >= 0].reshape(60, 5)
    assert (grouped == grouped[:, :1]).all()
    assert 0.35 < first.mean() < 0.65
    assert len(set(first[groups < 0])) == 2 or first[groups < 0].size < 4  # lone ones are drawn one by one


def test_cross_fitting_measures_what_the_fit_did_not_see() -> None:
    ids, p = drawn(3000, sharper=2.5)
    fitted = cross_fit(ids, p, tuple("abcde"), groups=np.full(3000, -1), precision=0.8)
    assert fitted.temperatures == pytest.approx((2.5, 2.5), rel=0.12)
    assert fitted.temperatures[0] != fitted.temperatures[1]
    assert fitted.metrics.calibration_error < 0.03
    # The fit on all pictures is the best there is on them; what was not seen cannot be better.
    assert fitted.metrics.log_loss > mean_log_loss(ids, soften(p, fit_temperature(ids, p)))
    assert fitted.answered is not None
    assert fitted.answered.precision == pytest.approx(0.8, abs=0.04)


def test_answers_below_the_threshold_are_not_given() -> None:
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.55, 0.45]])
    left = answered(np.array([0, 1, 0]), p, 0.6)
    assert (left.answered, left.precision, left.coverage) == (2, 0.5, 2 / 3)
    assert answered(np.array([0, 1, 0]), p, 0.95).precision is None


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(MienError, match="too few"):
        cross_fit(np.zeros(40, np.int64), np.full((40, 2), 0.5), ("a", "b"), groups=np.full(40, -1))


def test_as_many_pictures_as_are_asked_for_will_do() -> None:
    def fit(count: int) -> None:
        cross_fit(np.arange(count) % 2, np.full((count, 2), 0.5), ("a", "b"), groups=np.full(count, -1))

    with pytest.raises(MienError, match="at least 60") as error:
        fit(59)
    assert "90" not in str(error.value)
    fit(60)
