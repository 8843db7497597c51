"""A server around a model made by hand and a detector that finds a face in each 100 px of width."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from deploy_toys import Linear, structured
from PIL import Image
from starlette.testclient import TestClient

from mien.core.labels import FER2013, FERPLUS8
from mien.core.picture import Pixels
from mien.deploy.runtime import Predictor
from mien.faces.detector import Faces
from mien.serve.app import create_app
from mien.serve.engine import Engine
from mien.serve.server import make_server
from mien.serve.settings import Access, Batching, Limits, Settings

FACE = 100


class Rows:
    """Finds a face of 60 px in the middle of each 100 px of width. `hold` keeps it from answering."""

    def __init__(self) -> None:
        self.hold = threading.Event()
        self.hold.set()
        self.batches: list[int] = []
        self.fails: Exception | None = None

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        assert self.hold.wait(20)
        self.batches.append(len(pictures))
        if self.fails:
            raise self.fails
        return [self._faces(*picture.shape[:2]) for picture in pictures]

    def _faces(self, height: int, width: int) -> Faces:
        left = FACE * np.arange(width // FACE, dtype=np.float32) + 20
        top = np.full_like(left, height / 2 - 30)
        boxes = np.stack([left, top, left + 60, top + 60], 1)
        points = np.stack([boxes[:, :2] + 20, boxes[:, :2] + [40, 20], *([boxes[:, :2] + 30] * 3)], 1)
        return Faces(boxes, np.full(len(boxes), 0.9, np.float32), points.astype(np.float32))


def encoded(pixels: Pixels, kind: str = "PNG", **options: object) -> bytes:
    """A picture as a file of some kind."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def photo(width: int = 100, height: int = 120, *, seed: int = 0, kind: str = "PNG", **options: object) -> bytes:
    """A structured colour picture as a file: not a crop, as it is larger than 64 px and no face fills it."""
    return encoded(structured(1, height, width, channels=3, seed=seed)[0], kind, **options)


@pytest.fixture(scope="session")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A linear model for 12-px grey faces with two heads."""
    model = Linear(tmp_path_factory.mktemp("model") / "linear.onnx", [FER2013, FERPLUS8], side=12, abstain_below=0.2)
    return Predictor(model.path, threads=1)


@pytest.fixture
def detector() -> Rows:
    return Rows()


@pytest.fixture
def make(predictor: Predictor, detector: Rows) -> Callable[..., Settings]:
    """Makes settings and app; limits, batching and access by their own names."""

    def made(**changes: object) -> SimpleNamespace:
        groups = {"limits": Limits, "batching": Batching, "access": Access}
        parts = {
            name: kind(**{key: value for key, value in changes.items() if key in kind.model_fields})
            for name, kind in groups.items()
        }
        rest = {key: value for key, value in changes.items() if key in ("host", "port")}
        settings = Settings(**parts, **rest)
        found, most = changes.get("detector", detector), settings.limits.pixels
        engine = Engine(predictor, found, max_pixels=most, follow=changes.get("follow"))
        return SimpleNamespace(settings=settings, app=create_app(engine, settings))

    return made


@pytest.fixture
def client(make: Callable[..., SimpleNamespace]) -> Iterator[TestClient]:
    """Talks to a server with the usual limits."""
    with TestClient(make().app, base_url="http://localhost") as opened:
        yield opened


@contextmanager
def running(made: SimpleNamespace) -> Iterator[int]:
    """The server on a port of its own, in a thread; gives the port."""
    server = make_server(made.app, made.settings.model_copy(update={"port": 0}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def toys() -> SimpleNamespace:
    """The helpers above, for tests: this file itself cannot be imported."""
    return SimpleNamespace(encoded=encoded, photo=photo, running=running, FACE=FACE)


@pytest.fixture(scope="session")
def exported(predictor: Predictor) -> Path:
    """The model's file."""
    return predictor.path
