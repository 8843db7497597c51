"""A server around a model made by hand and a detector that finds a face in each 100 px of width."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from deploy_toys import Linear, structured
from PIL import Image
from starlette.testclient import TestClient

from mien.core.labels import FER2013, FERPLUS8
from mien.core.picture import Pixels
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.deploy.runtime import Predictor
from mien.faces.detector import Faces
from mien.serve.app import create_app
from mien.serve.engine import Engine
from mien.serve.server import make_server
from mien.serve.settings import Access, Batching, Limits, Settings

FACE = 100
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without its calls home; the sandbox does not work for root in a container, and only our own page is opened.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]


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


@pytest.fixture
def opened(make: Callable[..., SimpleNamespace]) -> Iterator[Callable[..., TestClient]]:
    """Opens clients of servers with other limits."""
    clients = []

    def open_one(**changes: object) -> TestClient:
        client = TestClient(make(**changes).app, base_url="http://localhost", raise_server_exceptions=False)
        clients.append(client)
        return client.__enter__()

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


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


def write_camera(path: Path) -> Path:
    """A film of a drawn face, then of a portrait, as motion JPEG of 320×240."""
    data = pytest.importorskip("skimage.data")
    [face] = draw(np.random.default_rng(1), 1, expressions=("happy",), strength=(0.9, 1.0), spread=0.2)
    portrait = Image.fromarray(data.astronaut()).crop((60, 0, 460, 300)).resize((320, 240))
    drawn = Image.new("RGB", (320, 240), "grey")
    drawn.paste(Image.fromarray(draw_face(face, size=160, colour=True)), (80, 40))
    with path.open("wb") as film:
        for picture in (drawn, portrait):
            for _ in range(20):
                picture.save(film, "JPEG", quality=90)
    return path


# Not for longer than a file's tests: its event loop runs in this thread and would be in the way of others.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Chromium that sees that film."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    film = write_camera(tmp_path_factory.mktemp("film") / "camera.mjpeg")
    with sync_api.sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, make: Callable[..., Any], toys: SimpleNamespace) -> Iterator[Callable[..., Any]]:
    """Opens the page of a server with given settings in a browser with given habits; complaints fail the test."""
    contexts, servers, complaints = [], [], []

    def open_page(settings: dict[str, Any] | None = None, **habits: Any) -> Any:
        server = toys.running(make(**(settings or {})))
        port = server.__enter__()
        servers.append(server)
        context = browser.new_context(permissions=["camera", "clipboard-read", "clipboard-write"], **habits)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: complaints.append(asked.url) if not is_own(asked.url, port) else None)
        page.goto(f"http://127.0.0.1:{port}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    for server in servers:
        server.__exit__(None, None, None)
    assert not complaints


def is_own(url: str, port: int) -> bool:
    return url.startswith((f"http://127.0.0.1:{port}/", f"blob:http://127.0.0.1:{port}/"))


@contextmanager
def case(name: object) -> Iterator[None]:
    """One of several cases of a test: says which one failed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"case: {name}")
        raise


def choose(page: Any, picture: bytes, name: str = "a.png", kind: str = "image/png") -> None:
    """Give the page a picture."""
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": picture})


@pytest.fixture
def toys() -> SimpleNamespace:
    """The helpers above, for tests: this file itself cannot be imported."""
    return SimpleNamespace(encoded=encoded, photo=photo, running=running, choose=choose, case=case, FACE=FACE)


@pytest.fixture(scope="session")
def exported(predictor: Predictor) -> Path:
    """The model's file."""
    return predictor.path
