"""Averages over time depend on seconds, not on frames, and belong to one face each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mien.video.smooth import Smoother

A, B = np.array([0.9, 0.1], np.float32), np.array([0.2, 0.8], np.float32)


def test_after_the_time_constant_the_old_counts_one_e_th() -> None:
    smoother = Smoother(0.5)
    np.testing.assert_array_equal(smoother.add(1, 3.0, A), A)
    np.testing.assert_allclose(smoother.add(1, 3.5, B), B + (A - B) / math.e, rtol=1e-6)


@pytest.mark.parametrize("rate", [5, 25, 100])
def test_the_rate_of_frames_does_not_matter(rate: int) -> None:
    smoother = Smoother(0.4)
    smoother.add(1, 0.0, A)
    for i in range(1, rate + 1):
        mean = smoother.add(1, i / rate, B)
    np.testing.assert_allclose(mean, B + (A - B) * math.exp(-1 / 0.4), rtol=1e-4)
    assert mean.sum() == pytest.approx(1)


def test_faces_do_not_mix_and_forgotten_ones_begin_anew() -> None:
    smoother = Smoother(1.0)
    smoother.add(1, 0, A)
    smoother.add(2, 0, B)
    np.testing.assert_allclose(smoother.add(1, 0.1, A), A)
    smoother.keep({2})
    np.testing.assert_array_equal(smoother.add(1, 0.2, B), B)
    np.testing.assert_allclose(smoother.add(2, 0.2, B), B)


def test_zero_smooths_nothing_and_a_standstill_keeps_the_past() -> None:
    none = Smoother(0)
    none.add(1, 0, A)
    np.testing.assert_array_equal(none.add(1, 0.001, B), B)
    still = Smoother(1)
    still.add(1, 5, A)
    np.testing.assert_array_equal(still.add(1, 5, B), A)
