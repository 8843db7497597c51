"""Plain figures of pictures, and the findings made of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mien.data.audit.finding import Severity
from mien.data.audit.measures import ENOUGH_SIDE, LARGEST_SIDE, measure
from mien.data.audit.unusable import FAULTS, by_share, unusable


@pytest.fixture(scope="module")
def faces(drawn: np.ndarray) -> np.ndarray:
    return drawn[:42]


def blurred(faces: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(sigma))) for x in faces])


def enlarged(faces: np.ndarray, side: int) -> np.ndarray:
    """As if they came from pictures of `side` pixels."""
    tiny = [Image.fromarray(x).resize((side, side), Image.Resampling.BOX) for x in faces]
    return np.stack([np.asarray(x.resize(faces.shape[2:0:-1], Image.Resampling.BICUBIC)) for x in tiny])


def test_brightness_and_contrast_are_mean_and_deviation(faces: np.ndarray) -> None:
    found = measure(faces)
    np.testing.assert_allclose(found.brightness, faces.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found.contrast, faces.std((1, 2)), rtol=1e-4)


def test_clipped_and_flat_are_shares_of_pixels() -> None:
    picture = np.linspace(60, 180, 100).astype(np.uint8).reshape(1, 10, 10)
    picture[0, :3] = 255
    picture[0, 3, :5] = 0
    found = measure(picture)
    assert found.clipped[0] == pytest.approx(0.35)
    assert found.flat[0] == pytest.approx(0.30)


def test_detail_is_all_there_in_noise_and_none_in_a_constant_picture() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    assert measure(noise).detail.min() > 0.95
    assert measure(np.full((2, 32, 32), 77, np.uint8)).detail.tolist() == [0, 0]


@pytest.mark.parametrize("side", [8, 12, 16])
def test_detail_is_not_more_than_that_of_the_tiny_picture_it_was_enlarged_from(faces: np.ndarray, side: int) -> None:
    detail = measure(enlarged(faces, side)).detail * ENOUGH_SIDE
    # Enlarging leaves a little above the highest frequency of the tiny picture.
    assert np.median(detail) <= 1.35 * side
    assert (detail < 0.75 * measure(faces).detail * ENOUGH_SIDE).all()


def test_blur_lowers_detail_step_by_step(faces: np.ndarray) -> None:
    steps = [np.median(measure(blurred(faces, sigma)).detail) for sigma in (0.5, 1, 2, 3)]
    assert sorted(steps, reverse=True) == steps
    assert steps[-1] < 0.3


def test_a_grey_picture_in_three_channels_measures_the_same(faces: np.ndarray) -> None:
    colour = np.repeat(faces[..., None], 3, axis=3)
    for name, values in vars(measure(colour)).items():
        np.testing.assert_allclose(values, getattr(measure(faces), name), atol=0.02, err_msg=name)


def test_large_pictures_are_measured_as_small_ones_and_upright_is_as_good_as_square(faces: np.ndarray) -> None:
    large = np.kron(faces, np.ones((1, 4, 4), np.uint8))
    assert max(large.shape[1:]) > LARGEST_SIDE
    np.testing.assert_allclose(measure(large).contrast, measure(faces).contrast, rtol=0.01)
    upright = faces[:, :, 8:40]
    np.testing.assert_allclose(measure(upright).brightness, upright.mean((1, 2)), rtol=1e-4)


def test_progress_ends_with_all_pictures(faces: np.ndarray) -> None:
    told: list[tuple[int, int | None]] = []
    measure(faces, tell=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(faces), len(faces))


def test_no_pictures_have_no_figures() -> None:
    assert len(measure(np.zeros((0, 48, 48), np.uint8))) == 0
    assert {finding.severity for finding in unusable(measure(np.zeros((0, 48, 48), np.uint8)))} == {Severity.FINE}


def test_drawn_faces_are_all_usable(faces: np.ndarray) -> None:
    for finding in unusable(measure(faces)):
        assert finding.severity is Severity.FINE, finding.verdict
        assert finding.verdict.startswith("None of 42 pictures is")


def test_planted_faults_are_found_by_their_own_finding_and_no_other_picture(faces: np.ndarray) -> None:
    spoilt = faces.copy()
    spoilt[[3, 5]] = 120
    spoilt[7] = np.where(faces[7] > 100, 255, 0)
    spoilt[[9, 11]] = blurred(faces[[9, 11]], 4)
    found = {finding.name: finding for finding in unusable(measure(spoilt))}
    assert sorted(found["constant"].rows) == [3, 5]
    assert found["clipped"].rows.tolist() == [7]
    # Constant pictures have no detail either, but each picture is named once.
    assert sorted(found["no-detail"].rows) == [9, 11]
    assert "2 pictures (4.76\u00a0%) are constant or nearly so." in found["constant"].verdict
    assert found["constant"].columns["value"].tolist() == [1, 1]


def test_the_share_decides_how_bad_it_is() -> None:
    assert [by_share(n, 1000) for n in (0, 1, 10, 100)] == [*Severity]


def test_the_worst_come_first(faces: np.ndarray) -> None:
    rows = [1, 2, 4]
    faces = faces.copy()
    for row, sigma in zip(rows, (3, 6, 4), strict=True):
        faces[row] = blurred(faces[row : row + 1], sigma)[0]
    worst = FAULTS[2].rows(measure(faces))
    assert worst.tolist() == [2, 4, 1]
