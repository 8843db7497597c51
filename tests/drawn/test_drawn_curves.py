"""The curves that drawn faces are made of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.data.drawn.curves import between, circle, closed_curve, mirrored, mirrored_closed, open_curve, taper

_controls = st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=3, max_size=9)


@given(_controls)
def test_curves_pass_through_their_controls(controls: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(open_curve(controls, 5)[::5], controls, atol=1e-9)
    np.testing.assert_allclose(closed_curve(controls, 4)[::4], controls, atol=1e-9)


@given(st.lists(_controls.filter(lambda c: len(c) == 4), min_size=1, max_size=3))
def test_several_curves_at_once_equal_one_by_one(many: list[list[tuple[float, float]]]) -> None:
    np.testing.assert_allclose(open_curve(many), np.stack([open_curve(one) for one in many]))


def test_a_straight_line_stays_straight() -> None:
    line = open_curve([(0, 0), (1, 2), (2, 4), (3, 6)])
    np.testing.assert_allclose(line[:, 1], 2 * line[:, 0], atol=1e-12)


def test_a_ball_is_clipped_to_its_slit() -> None:
    x = np.linspace(-1, 1, 9)
    upper, lower = np.stack([x, -0.2 + 0 * x], axis=1), np.stack([x, 0.1 + 0 * x], axis=1)
    clipped = between(circle(20) * 0.5, upper, lower)
    assert clipped[:, 1].min() == -0.2
    assert clipped[:, 1].max() == 0.1
    np.testing.assert_allclose(clipped[:, 0], circle(20)[:, 0] * 0.5)


def test_mirrored_controls_are_symmetric() -> None:
    line = mirrored([(1.0, 0.3), (0.5, 0.1), (0.0, 0.0)])
    np.testing.assert_allclose(line, [(-1, 0.3), (-0.5, 0.1), (0, 0), (0.5, 0.1), (1, 0.3)])
    ring = mirrored_closed([(0.0, -1.0), (1.0, 0.0), (0.0, 1.0)])
    np.testing.assert_allclose(ring, [(0, -1), (1, 0), (0, 1), (-1, 0)])


def test_a_taper_swells_in_the_middle() -> None:
    widths = taper(9, 0.2, 0.4)
    np.testing.assert_allclose(widths[[0, 4, 8]], (0.2, 1.0, 0.4), atol=1e-7)
