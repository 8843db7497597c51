"""Pictures that are no drawn."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.audit import unlike
from mien.data.audit.finding import Severity
from mien.data.audit.not_face import ODD, not_a_face, voted_not_a_face


def no_faces(side: int = 48) -> np.ndarray:
    """A sign, lines of writing, a checkerboard, noise, and nothing at all."""
    y, x = np.mgrid[:side, :side] / side
    sign = 255 * ((abs(x - 0.5) < (y - 0.2) / 2) & (y < 0.8))
    lines = 255 - 200 * ((np.floor(y * 12) % 2 == 0) & (np.sin(90 * x + 31 * np.floor(y * 12)) > 0) & (x < 0.9))
    board = 255 * ((np.floor(8 * x) + np.floor(8 * y)) % 2)
    noise = np.random.default_rng(0).integers(0, 256, (side, side))
    return np.stack([sign, lines, board, noise, np.full((side, side), 9)]).astype(np.uint8)


def test_what_is_no_face_among_faces_stands_out_and_no_face_does(drawn: np.ndarray) -> None:
    images = np.concatenate([drawn, no_faces()])
    found = not_a_face(unlike.oddness(images))
    # The last one is flat, which is another finding.
    assert sorted(found.rows) == [420, 421, 422, 423]
    assert found.severity is Severity.NOTE
    assert "4 pictures (0.94\u00a0%) are so unlike the rest" in found.verdict
    assert found.columns["oddness"].min() > ODD


def test_a_set_of_faces_alone_is_fine(drawn: np.ndarray) -> None:
    found = not_a_face(unlike.oddness(drawn))
    assert found.severity is Severity.FINE
    assert not len(found.rows)


@pytest.mark.parametrize(("count", "said"), [(0, True), (1, True), (49, True), (50, False)])
def test_of_few_pictures_nothing_is_said(count: int, said: bool) -> None:
    odd = np.zeros(count, np.float32)
    odd[:1] = 99
    found = not_a_face(odd)
    assert ("too few to say" in found.verdict) == said
    assert (found.severity is Severity.FINE) == said
    assert len(found.rows) == (not said)


def test_light_and_contrast_play_no_part(drawn: np.ndarray) -> None:
    # Multiplied and shifted without clipping: every edge stays where it is.
    dim = (drawn // 2 + 30).astype(np.uint8)
    np.testing.assert_allclose(unlike.edges_of(dim), unlike.edges_of(drawn), atol=0.02)


def test_edges_are_shares_that_sum_to_one_and_flat_pictures_have_none() -> None:
    edges = unlike.edges_of(no_faces())
    np.testing.assert_allclose(np.square(edges).sum(1), [1, 1, 1, 1, 0], rtol=1e-5)


def test_distance_is_that_of_the_normal_distribution_it_was_made_from() -> None:
    rng = np.random.default_rng(0)
    deviations = np.array([3, 2, *[0.5] * 18])
    sample = (rng.normal(size=(20000, 20)) * deviations).astype(np.float32)
    space = unlike._principal(sample)
    distance = space.distance(sample)
    # Squared Mahalanobis distances follow chi-squared with as many degrees of freedom as dimensions.
    assert distance.mean() == pytest.approx(20, rel=0.02)
    assert distance.var() == pytest.approx(40, rel=0.1)


def test_oddness_is_in_robust_deviations() -> None:
    logs = np.random.default_rng(0).normal(5, 2, 10001).astype(np.float32)
    logs[:100] = 1e4
    logs[0] = np.inf
    found = unlike.in_deviations(logs)
    assert np.median(found) == pytest.approx(0, abs=1e-3)
    assert found[100:].std() == pytest.approx(1, abs=0.05)
    assert found[0] == np.inf


def test_edges_too_even_add_to_unusual_areas_and_to_nothing_else() -> None:
    rng = np.random.default_rng(0)
    edges, areas = rng.normal(size=(2, 5000)).astype(np.float32)
    areas = areas.clip(-3, 2)
    edges[:6], areas[:6] = [-3, 3, -3, 5, np.inf, 0], [3.5, 3.5, 1, -1, 1, 3.5]
    score = unlike.together(edges, areas)
    assert score[:6] == pytest.approx([4.6, 4.6, 1, 5, np.inf, 3.5], abs=0.15)
    np.testing.assert_array_equal(score[6:], np.maximum(edges, areas)[6:])


def test_writing_and_noise_like_a_picture_stand_out(drawn: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48] / 48
    line = np.floor(y * 18)
    writing = 250 - 200 * ((line % 2 == 0) & (np.sin(120 * x + 37 * line) > -0.2) & (x > 0.06) & (x < 0.9))
    reach = np.hypot(np.fft.fftfreq(48)[:, None], np.fft.rfftfreq(48)[None]) * 48
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(48, 48))) / (1 + reach), (48, 48))
    noise = (128 + 50 * noise / noise.std()).clip(0, 255)
    images = np.concatenate([drawn, np.stack([writing, noise]).astype(np.uint8)])
    score = unlike.oddness(images)
    assert sorted(not_a_face(score).rows) == [420, 421]


def test_flat_pictures_alone_are_all_odd() -> None:
    images = np.full((60, 16, 16), 7, np.uint8)
    assert (unlike.oddness(images) == np.inf).all()
    assert not len(not_a_face(unlike.oddness(images)).rows)


def test_votes_decide_where_there_are_any(drawn: np.ndarray) -> None:
    votes = np.zeros((420, 10), np.int64)
    votes[:, 3] = 10
    votes[7] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    votes[8] = [1, 1, 1, 1, 0, 0, 0, 0, 0, 6]
    votes[9] = [0, 5, 0, 0, 0, 0, 0, 0, 0, 5]
    assert np.flatnonzero(voted_not_a_face(votes)).tolist() == [7, 8]
    found = not_a_face(unlike.oddness(drawn), votes)
    assert found.rows.tolist() == [7, 8]
    assert found.columns["votes"].tolist() == [10, 6]
    assert 0 <= found.figures["area_of_oddness_against_votes"] <= 1
    assert found.sheets[0].under == ("10 votes", "6 votes")


def test_votes_that_know_nothing_but_drawn_are_fine(drawn: np.ndarray) -> None:
    votes = np.tile(np.eye(10, dtype=np.int64)[2] * 9, (420, 1))
    assert not_a_face(unlike.oddness(drawn), votes).severity is Severity.FINE


def test_colour_and_other_sizes_are_taken(drawn: np.ndarray) -> None:
    colour = np.repeat(drawn[:50, :, 4:44, None], 3, axis=3)
    np.testing.assert_allclose(unlike.oddness(colour), unlike.oddness(drawn[:50, :, 4:44]), atol=0.05)
