"""Marked pictures: every face seen, none covered, nothing else changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from face_toys import scene
from PIL import Image, ImageColor

from mien.core.labels import FER2013, FERPLUS8
from mien.deploy import annotate as annotations
from mien.deploy import fonts
from mien.deploy.annotate import COLOURS, UNSURE_COLOUR, annotate, annotate_crop, colour_of, shown_name
from mien.deploy.photos import Face
from mien.deploy.runtime import make_prediction


def face(box: tuple[float, float, float, float], label: str = "happy", *, abstain_below: float | None = None) -> Face:
    row = np.full(7, 0.05, np.float32)
    row[FER2013.names.index(label)] = 0.7
    return Face(box, (), 0.9, make_prediction("a", row, FER2013.names, abstain_below))


def changed(before: np.ndarray, after: Image.Image) -> np.ndarray:
    return (np.asarray(after) != before).any(2)


def count(picture: Image.Image, colour: str) -> int:
    return int((np.asarray(picture) == ImageColor.getrgb(colour)).all(2).sum())


def test_a_face_gets_corners_in_its_labels_colour_and_a_card_beside_it() -> None:
    before = scene(400, 400)
    after = annotate(Image.fromarray(before), [face((120, 80, 220, 200))])
    different = changed(before, after)
    assert after.size == (400, 400)
    assert count(after, COLOURS["happy"]) > 100
    inside = different[90:190, 130:210]
    assert inside.mean() < 0.1  # the face itself stays to be seen
    assert different[:70].sum() == 0
    assert different[205:].sum() > 1000


def test_no_card_covers_another_face() -> None:
    before = scene(600, 800)
    boxes = [(x, y, x + 70, y + 90) for x in (30, 130, 230, 330, 430, 530, 630) for y in (120, 260)]
    different = changed(before, annotate(Image.fromarray(before), [face(box) for box in boxes]))
    for left, top, right, bottom in boxes:
        middle = different[top + 25 : bottom - 25, left + 20 : right - 20]
        assert not middle.any()


@pytest.mark.parametrize("box", [(-40, -30, 60, 80), (350, 360, 470, 480), (0, 0, 400, 400), (180, 180, 184, 184)])
def test_faces_at_the_edge_huge_or_tiny_are_drawn_inside_the_picture(box: tuple[float, ...]) -> None:
    before = scene(400, 400)
    after = annotate(Image.fromarray(before), [face(box)])
    assert after.size == (400, 400)
    assert changed(before, after).sum() > 500


def test_an_unsure_answer_is_grey() -> None:
    picture = Image.fromarray(scene(300, 300))
    unsure = annotate(picture, [face((100, 50, 180, 150), abstain_below=0.8)])
    assert count(unsure, UNSURE_COLOUR) > 50
    assert count(annotate(picture, [face((100, 50, 180, 150))]), UNSURE_COLOUR) == 0


def test_the_picture_given_is_left_as_it_is_and_grey_ones_become_colour() -> None:
    grey = Image.fromarray(scene(200, 200, colour=False))
    before = np.array(grey)
    after = annotate(grey, [face((50, 20, 120, 100))])
    assert after.mode == "RGB"
    np.testing.assert_array_equal(before, np.asarray(grey))
    assert annotate(grey, []).tobytes() == grey.convert("RGB").tobytes()


def test_titles_stand_before_labels() -> None:
    picture = Image.fromarray(scene(200, 300))
    plain, titled = (annotate(picture, [face((50, 20, 120, 100))], titles=t) for t in ((), ("#12",)))
    assert plain.tobytes() != titled.tobytes()


def test_a_small_cut_out_face_is_enlarged_with_its_card_below() -> None:
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 255, (48, 40, 3), np.uint8)
    after = annotate_crop(Image.fromarray(crop), face((0, 0, 40, 48)))
    assert min(after.size) >= 240
    expected = np.asarray(Image.fromarray(crop).resize((240, 288)))
    np.testing.assert_array_equal(np.asarray(after)[:288, :240], expected)
    assert after.height > 288 + 50


def test_an_expression_has_one_colour_whatever_a_set_calls_it() -> None:
    for mine in FERPLUS8.names:
        assert colour_of(mine, FERPLUS8.names) in COLOURS.values()
    assert colour_of("anger", ["anger"]) == colour_of("angry", ["sad", "angry"])
    assert colour_of("cat", ["cat", "dog"]) != colour_of("dog", ["cat", "dog"])


def named(*names: str) -> Image.Image:
    row = np.full(len(names), 0.1 / max(len(names) - 1, 1), np.float32)
    row[0] = 0.9
    one = Face((120, 80, 220, 200), (), 0.9, make_prediction("a", row, names, None))
    return annotate(Image.fromarray(scene(400, 400)), [one])


@pytest.mark.parametrize(("one", "other"), [("радость", "грустно"), ("高兴", "悲伤")])
def test_names_in_any_script_are_drawn_in_a_font_that_has_their_letters(one: str, other: str) -> None:
    """Boxes would be the same for both."""
    if fonts.font_file(one + other) is None:
        pytest.skip("no font with these letters here")
    a, b = named(one, "x"), named(other, "x")
    assert shown_name(one, [one]) == one
    assert a.tobytes() != b.tobytes()


def test_names_that_no_font_has_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", tuple)
    fonts._font_file.cache_clear()
    try:
        assert shown_name("高兴", ["sad", "高兴"]) == "class 1"
        assert shown_name("sad", ["sad", "高兴"]) == "sad"
        monkeypatch.setattr(annotations, "colour_of", lambda *_: "#FF5A5F")
        assert named("高兴", "悲伤").tobytes() == named("радость", "грустно").tobytes()
    finally:
        fonts._font_file.cache_clear()


def test_prediction_looks_for_fonts_without_matplotlib() -> None:
    code = (
        "import sys; from mien.deploy import annotate, fonts; fonts.font_file('高'); print('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_user_without_a_home_has_the_fonts_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def expanded(path: Path) -> Path:
        if str(path).startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return path

    (tmp_path / "a.ttf").touch()
    monkeypatch.setattr(Path, "expanduser", expanded)
    monkeypatch.setattr(fonts, "_FOLDERS", {"linux": ("~/.fonts", str(tmp_path))})
    monkeypatch.setattr(sys, "platform", "linux")
    assert list(fonts._files()) == [tmp_path / "a.ttf"]


def test_texts_that_differ_in_what_every_font_has_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", tuple)
    fonts._font_file.cache_clear()
    for i in range(10):
        fonts.font_file(f"é {chr(97 + i)}")
    assert fonts._font_file.cache_info().misses == 1
    fonts._font_file.cache_clear()


def test_a_file_that_is_no_font_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.ttf").write_text("no font")
    monkeypatch.setattr(fonts, "_installed", lambda: (tmp_path / "broken.ttf",))
    fonts._font_file.cache_clear()
    assert fonts.font_file("é") is None
    fonts._font_file.cache_clear()
