"""Cutting out faces: what the window shows, level, of the right size and colour, whatever the picture's edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from deploy_toys import make_spec, structured
from face_toys import POINTS, find, scene
from PIL import Image

from mien.core.picture import fit
from mien.faces import crop
from mien.faces.crop import Window, cut, eye_angles, face_crops, face_windows
from mien.faces.detector import Faces

PLAIN = {"height": 24, "width": 24, "crop": None}


def face_at(x: float, y: float, side: float, degrees: float = 0) -> Faces:
    """A square box around (x, y), its landmarks turned about its middle."""
    turn = math.radians(degrees)
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    landmarks = (POINTS - 0.5) * side @ rotation + (x, y)
    box = np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]], np.float32)
    return Faces(box, np.ones(1, np.float32), landmarks.astype(np.float32)[None])


def difference(a: object, b: object) -> float:
    return float(abs(np.asarray(a, float) - np.asarray(b, float)).mean())


def test_a_window_of_the_models_size_is_cut_out_as_it_is() -> None:
    [picture] = structured(1, 60, 80)
    shown = cut(picture, Window(40, 30, 24, 0), 24, 24)
    np.testing.assert_array_equal(shown, picture[18:42, 28:52])


@pytest.mark.parametrize("side", [31, 48, 100, 240, 700])
def test_a_level_face_is_shrunk_as_import_shrinks_it(side: int) -> None:
    [picture] = structured(1, side + 20, side + 40)
    shown = cut(picture, Window(20 + side / 2, 10 + side / 2, side, 0), 24, 24)
    expected = fit(Image.fromarray(picture[10 : 10 + side, 20 : 20 + side]), 24, 24)
    assert difference(shown, expected) < 4


@pytest.mark.parametrize("degrees", [-40, -15, 15, 40, 90])
def test_a_tilted_face_is_made_level(degrees: float) -> None:
    [upright] = structured(1, 200, 200)
    tilted = np.asarray(cut(upright, Window(100, 100, 200, math.radians(degrees)), 200, 200))
    faces = face_at(100, 100, 90, -degrees)
    assert math.degrees(eye_angles(faces)[0]) == pytest.approx(-degrees, abs=1e-3)
    spec = make_spec(**PLAIN, face_margin=1.0)
    [level] = face_crops(tilted, faces, spec)
    [expected] = face_crops(upright, face_at(100, 100, 90), spec)
    [not_level] = face_crops(tilted, faces, spec.model_copy(update={"face_level": False}))
    assert difference(level, expected) < 6
    assert difference(not_level, expected) > 2 * difference(level, expected)


def test_margin_and_shift_move_the_frame_along_the_face() -> None:
    spec = make_spec(face_margin=1.5, face_shift=0.1)
    [upright] = face_windows(face_at(100, 80, 40), spec)
    assert upright == pytest.approx((100, 86, 60, 0))
    [tilted] = face_windows(face_at(100, 80, 40, 90), spec)
    assert tilted == pytest.approx((94, 80, 60, math.pi / 2), abs=1e-4)


def test_boxes_that_are_no_squares_count_by_their_area() -> None:
    faces = Faces(np.array([[0, 0, 20, 45]], np.float32), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    [window] = face_windows(faces, make_spec(face_margin=1.0))
    assert window == pytest.approx((10, 22.5, 30, 0))


def test_landmarks_that_are_not_there_leave_the_face_as_it_is() -> None:
    faces = face_at(50, 50, 20, 30)
    faces.landmarks[:] = np.nan
    assert eye_angles(faces).tolist() == [0]


def test_eyes_in_one_place_tell_nothing_of_the_tilt() -> None:
    faces = face_at(50, 50, 20, 30)
    faces.landmarks[:, 1] = faces.landmarks[:, 0] + np.float32([-0.5, 1.0])
    assert eye_angles(faces).tolist() == [0]


def test_beyond_the_edge_the_edge_is_repeated() -> None:
    [picture] = structured(1, 40, 40)
    shown = np.asarray(cut(picture, Window(0, 20, 40, 0), 40, 40))
    np.testing.assert_array_equal(shown[:, 20:], picture[:, :20])
    np.testing.assert_array_equal(shown[:, :20], np.repeat(picture[:, :1], 20, axis=1))
    far = np.asarray(cut(picture, Window(-500, -500, 40, 0.3), 8, 8))
    assert (far == picture[0, 0]).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colour", [False, True])
def test_crops_have_the_models_size_and_colour(channels: int, colour: bool) -> None:
    picture = scene(80, 120, (10, 20, 30), (70, 10, 40), colour=colour)
    spec = make_spec(height=24, width=20, channels=channels, crop=None, face_margin=0.8)
    crops = face_crops(picture, find(picture), spec)
    assert crops.shape == ((2, 24, 20, 3) if channels == 3 else (2, 24, 20))
    assert crops.dtype == np.uint8
    assert (crops == 230).all()
    assert len(face_crops(picture, Faces.none(), spec)) == 0


@pytest.mark.parametrize("degrees", [0, 20])
def test_a_wide_margin_around_a_large_face_takes_no_more_than_a_smaller_picture_shows(
    monkeypatch: pytest.MonkeyPatch, degrees: float
) -> None:
    picture = scene(300, 400, (120, 60, 150))
    window = Window(200, 150, 3000, math.radians(degrees))
    expected = cut(picture, window, 48, 48)
    sizes = []
    surroundings = crop._surroundings
    monkeypatch.setattr(crop, "_MOST_SIDE", 1000)
    monkeypatch.setattr(crop, "_surroundings", lambda *a: sizes.append((r := surroundings(*a))[0].size) or r)
    assert difference(cut(picture, window, 48, 48), expected) < 2
    assert max(sizes[0]) < 1010
