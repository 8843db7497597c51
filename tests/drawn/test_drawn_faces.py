"""Drawing faces: draw, then apply; the same everywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.drawn.face import Face, draw
from mien.data.drawn.paint import draw_face

_DIGEST = """
import hashlib, numpy as np
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
pictures = [draw_face(face, colour=True) for face in draw(np.random.default_rng(3), 7)]
print(hashlib.sha256(np.stack(pictures)).hexdigest())
"""


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return draw(np.random.default_rng(3), 7)


def test_another_process_draws_the_same_pixels(faces: list[Face]) -> None:
    pictures = np.stack([draw_face(face, colour=True) for face in faces])
    environment = {"PYTHONHASHSEED": "12345", "PATH": ""}
    answer = subprocess.run(
        [sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True, env=environment
    )
    assert answer.stdout.strip() == hashlib.sha256(pictures).hexdigest()


def test_the_same_face_applied_twice_is_bit_for_bit_the_same(faces: list[Face]) -> None:
    for face in faces:
        np.testing.assert_array_equal(draw_face(face), draw_face(face))


def test_a_longer_draw_begins_with_the_shorter_one(faces: list[Face]) -> None:
    assert draw(np.random.default_rng(3), 12)[:7] == faces


def test_no_two_faces_are_the_same() -> None:
    pictures = {draw_face(face).tobytes() for face in draw(np.random.default_rng(0), 40)}
    assert len(pictures) == 40


@pytest.mark.parametrize(("size", "colour", "expected"), [(48, False, (48, 48)), (130, True, (130, 130, 3))])
def test_pixels_are_uint8_of_the_size_asked_for(
    faces: list[Face], size: int, colour: bool, expected: tuple[int, ...]
) -> None:
    pixels = draw_face(faces[0], size=size, colour=colour)
    assert pixels.shape == expected
    assert pixels.dtype == np.uint8
    assert pixels.std() > 15


def test_a_size_too_small_for_a_face_is_refused(faces: list[Face]) -> None:
    with pytest.raises(MienError, match="at least 16 pixels, got 8"):
        draw_face(faces[0], size=8)


def test_a_face_looks_the_same_at_another_size(faces: list[Face]) -> None:
    for face in faces:
        still = replace(face, scene=replace(face.scene, noise=0.0, cover="none"))
        small = draw_face(still, size=48).astype(float)
        large = Image.fromarray(draw_face(still, size=192)).reduce(4)
        assert np.corrcoef(small.ravel(), np.asarray(large, float).ravel())[0, 1] > 0.98


def test_grey_pictures_are_the_luma_of_the_coloured_ones(faces: list[Face]) -> None:
    for face in faces[:3]:
        plain = replace(face, scene=replace(face.scene, noise=0.0, background=0.0, zoom=1.6, shift_x=0.0))
        luma = np.asarray(Image.fromarray(draw_face(plain, colour=True)).convert("L"), float)
        middle = np.s_[12:36, 12:36]
        assert np.abs(luma - draw_face(plain))[middle].mean() < 12


def test_expressions_take_turns() -> None:
    names = [face.expression for face in draw(np.random.default_rng(1), 21)]
    assert names == list(FER2013.names) * 3


def test_strength_stays_in_the_range_asked_for() -> None:
    found = [face.strength for face in draw(np.random.default_rng(1), 60, strength=(0.2, 0.3))]
    assert 0.2 <= min(found) < max(found) <= 0.3


def test_an_impossible_strength_is_refused() -> None:
    with pytest.raises(MienError, match=r"within 0 and 1, got 0\.5 to 1\.5"):
        draw(np.random.default_rng(0), 1, strength=(0.5, 1.5))


def test_without_spread_every_face_is_a_frontal_portrait() -> None:
    for face in draw(np.random.default_rng(1), 30, spread=0.0):
        assert (face.scene.yaw_degrees, face.scene.shift_x, face.scene.zoom, face.scene.cover) == (0, 0, 1, "none")


def test_an_impossible_spread_is_refused() -> None:
    with pytest.raises(MienError, match="spread must be within 0 and 1, got 2"):
        draw(np.random.default_rng(0), 1, spread=2)


def test_an_unknown_expression_names_the_nearest_one() -> None:
    with pytest.raises(MienError, match="did you mean 'surprise'"):
        draw(np.random.default_rng(0), 1, expressions=["suprise"])


def test_every_kind_of_hair_beard_glasses_and_cover_can_be_painted(faces: list[Face]) -> None:
    plain = draw_face(_with(faces[1], hair="bald", beard="none", glasses="none", cover="none"))
    for key, names in _KINDS.items():
        for name in names:
            kinds = {"hair": "short", "beard": "none", "glasses": "none", "cover": "none"} | {key: name}
            assert np.abs(draw_face(_with(faces[1], **kinds)).astype(int) - plain).mean() > 0.3, (key, name)


_KINDS = {
    "hair": ("receding", "short", "parted", "fringe", "long", "curly", "tied", "scarf", "cap"),
    "beard": ("stubble", "moustache", "goatee", "full"),
    "glasses": ("round", "square", "dark"),
    "cover": ("hand", "strand", "mark"),
}


def _with(face: Face, *, cover: str, **kinds: str) -> Face:
    identity = replace(face.identity, age=0.6, **kinds)  # type: ignore[arg-type]
    return replace(face, identity=identity, scene=replace(face.scene, cover=cover))  # type: ignore[arg-type]
