"""Cut-out faces are told from photos, and how they are framed is measured."""

from __future__ import annotations

import numpy as np
import pytest
from deploy_toys import make_spec
from face_toys import SquareDetector, find, scene

from mien.core.errors import MienError
from mien.faces.detector import Faces
from mien.faces.framing import fills, is_small, measure_framing

SPEC = make_spec(face_margin=1.0)


def test_a_picture_that_one_face_fills_is_that_face() -> None:
    assert fills(find(scene(100, 100, (10, 10, 80))), 100, 100, SPEC)
    assert fills(find(scene(100, 130, (25, 10, 80))), 100, 130, SPEC)


@pytest.mark.parametrize(
    "squares",
    [
        [],
        [(30, 30, 40)],  # small
        [(0, 0, 65)],  # in a corner
        [(0, 10, 45), (50, 10, 45)],  # two
    ],
)
def test_a_picture_with_a_small_lateral_second_or_no_face_is_a_photo(squares: list[tuple[int, int, int]]) -> None:
    assert not fills(find(scene(100, 100, *squares)), 100, 100, SPEC)


def test_the_margin_counts() -> None:
    faces = find(scene(100, 100, (20, 20, 60)))
    assert not fills(faces, 100, 100, SPEC)
    assert fills(faces, 100, 100, make_spec(face_margin=1.4))


def test_pictures_of_data_sets_are_small() -> None:
    assert is_small(48, 48)
    assert is_small(64, 40)
    assert not is_small(48, 65)


@pytest.mark.parametrize("side", [48, 100])
def test_framing_is_measured_in_any_size(side: int) -> None:
    face, top = round(0.6 * side), round(0.1 * side)
    picture = scene(side, side, (round(0.2 * side), top, face), colour=False)
    measured = measure_framing(SquareDetector(), [picture] * 19 + [picture[::-1].copy()] + [picture] * 20)
    assert (measured.found, measured.pictures) == (40, 40)
    assert measured.margin == pytest.approx(side / face, rel=0.04)
    assert measured.shift == pytest.approx(0.5 - (top + face / 2) / side, abs=0.02)


def test_too_few_faces_tell_nothing() -> None:
    empty = scene(48, 48, colour=False)
    with pytest.raises(MienError, match="faces in 0 of 30 pictures"):
        measure_framing(SquareDetector(), [empty] * 30)
    assert len(Faces.none()) == 0


def test_of_several_faces_the_largest_counts() -> None:
    picture = scene(100, 100, (0, 40, 20), (30, 20, 60), colour=False)
    assert measure_framing(SquareDetector(), [np.asarray(picture)] * 20).margin == pytest.approx(100 / 60, rel=0.05)


def test_pictures_that_show_far_more_than_a_face_have_no_framing() -> None:
    """A model file would not be read with such a margin."""

    class Tiny:
        def detect(self, pictures: list[np.ndarray]) -> list[Faces]:
            return [Faces(np.float32([[0, 0, 15, 15]]), np.float32([1]), np.zeros((1, 5, 2), np.float32))] * len(
                pictures
            )

    with pytest.raises(MienError, match="not cut out around"):
        measure_framing(Tiny(), [scene(100, 100)] * 30)
