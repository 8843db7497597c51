"""What the page says, in a real Chromium, when a server, a camera, a key or a picture is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mien.serve.problems import STATUS
from mien.serve.settings import read_keys

pytestmark = pytest.mark.slow

Page = Any
KEY = "correct-horse-battery"
OWN_CAMERA = """() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => (window.media = await open(wanted));
}"""


def test_a_server_that_goes_away_ends_the_camera_with_a_word(visit: Callable[..., Page]) -> None:
    page = visit({"stream_idle_seconds": 0.01, "answer_seconds": 5})
    page.click("#camera")
    page.wait_for_selector("#problem:visible")
    assert page.text_content("#problem") == "The connection to the server ended."
    assert page.get_attribute("#camera", "aria-pressed") == "false"


def test_a_camera_that_is_in_use_elsewhere_is_told_so(visit: Callable[..., Page]) -> None:
    page = visit()
    fails = "async () => { throw new DOMException('', 'NotReadableError'); }"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {fails}; }}")
    page.click("#camera")
    page.wait_for_selector("#problem:visible")
    assert "in use by another program" in page.text_content("#problem")


def test_a_camera_that_is_unplugged_stops_with_a_word(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate(OWN_CAMERA)
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")
    page.evaluate("media.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert page.text_content("#problem") == "The camera is gone. Connect it and start it again."
    assert page.text_content("#camera") == "Use the camera"
    assert page.evaluate("media.getVideoTracks()[0].readyState") == "ended"
    assert page.locator(".face").count() == 0


@pytest.mark.parametrize("late", ["getUserMedia", "play"])
def test_a_camera_that_opens_after_a_picture_was_chosen_goes_off(
    visit: Callable[..., Page], toys: SimpleNamespace, late: str
) -> None:
    page = visit()
    page.evaluate(
        """(late) => {
            const owner = late === "play" ? HTMLMediaElement.prototype : navigator.mediaDevices;
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => (window.media = await open(wanted));
            const really = owner[late];
            const allowed = new Promise((allow) => (window.allow = allow));
            owner[late] = function (...wanted) {
                window.asked = true;
                return allowed.then(() => (late === "play" ? undefined : really.apply(this, wanted)));
            };
            const socket = window.WebSocket;
            window.sockets = 0;
            window.WebSocket = class extends socket {
                constructor(...where) { super(...where); window.sockets++; }
            };
        }""",
        late,
    )
    page.click("#camera")
    while not page.evaluate("window.asked"):  # the page's policy refuses what wait_for_function does
        page.wait_for_timeout(20)
    toys.choose(page, toys.photo(200, 130))
    page.wait_for_selector(".face >> nth=1")
    page.evaluate("allow()")
    page.wait_for_selector('#camera[aria-disabled="false"]')
    assert page.evaluate("media.getVideoTracks()[0].readyState") == "ended"
    assert page.evaluate("sockets") == 0
    assert page.locator(".face").count() == 2
    assert not page.is_visible("#problem")


def test_a_late_word_about_the_camera_does_not_come_over_a_picture(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit({"streams": 0})
    held = []
    page.route("**/v1/model", lambda route: held.append(route))
    page.click("#camera")
    while not held:
        page.wait_for_timeout(20)
    toys.choose(page, toys.photo(200, 130))
    page.wait_for_selector(".face >> nth=1")
    held[0].fulfill(status=502, content_type="text/html", body="<h1>502</h1>")
    page.wait_for_timeout(200)
    assert not page.is_visible("#problem")
    assert page.get_attribute("#canvas", "aria-label").startswith("2 faces")


def test_a_page_that_is_come_back_to_says_that_its_camera_is_off(visit: Callable[..., Page]) -> None:
    page = visit()
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert page.get_attribute("#camera", "aria-pressed") == "false"
    assert page.locator(".face").count() == 0


def test_a_frame_without_a_picture_does_not_end_the_camera(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate(
        """() => {
            const make = HTMLCanvasElement.prototype.toBlob;
            let first = true;
            HTMLCanvasElement.prototype.toBlob = function (done, ...kind) {
                if (!first) return make.call(this, done, ...kind);
                first = false;
                window.withoutPicture = true;
                done(null);
            };
        }"""
    )
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")
    assert page.evaluate("window.withoutPicture") is True
    assert page.get_attribute("#camera", "aria-pressed") == "true"


def test_what_is_no_picture_and_what_the_server_refuses_is_told(
    visit: Callable[..., Page], toys: SimpleNamespace
) -> None:
    page = visit({"pixels": 20_000})
    toys.choose(page, b"no picture")
    page.wait_for_selector("#problem:visible")
    assert "cannot show this file" in page.text_content("#problem")
    toys.choose(page, toys.photo(200, 130))
    page.wait_for_selector('#problem:has-text("200×130")')
    assert page.get_attribute("#problem", "role") == "alert"


def test_what_stands_before_the_server_is_understood(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    answer: dict[str, Any] = {}
    page = visit()
    page.route("**/v1/predict", lambda route: route.fulfill(**answer))
    for status, kind, body, words in (
        (502, "text/html", "<h1>502 Bad Gateway</h1>", "The server does not answer."),
        (503, "text/plain", "Service Unavailable", "The server is busy. Try again in a moment."),
        (413, "text/html", "<h1>413</h1>", "The picture is too large. Make it smaller and try again."),
        (404, "application/json", '{"detail": "no"}', "The server does not answer."),
        (200, "text/html", "<h1>Welcome to this network</h1>", "The server does not answer."),
    ):
        answer = {"status": status, "content_type": kind, "body": body}
        with toys.case(answer):
            page.reload()
            toys.choose(page, toys.photo(200, 130))
            page.wait_for_selector("#problem:visible")
            assert page.text_content("#problem") == words


def test_a_camera_that_a_proxy_refuses_is_told(visit: Callable[..., Page]) -> None:
    page = visit({"streams": 0})
    page.route("**/v1/model", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>502</h1>"))
    page.click("#camera")
    page.wait_for_selector("#problem:visible")
    assert page.text_content("#problem") == "The server does not answer."


def test_every_error_of_the_server_has_words_in_both_languages(visit: Callable[..., Page]) -> None:
    page = visit()
    told = page.evaluate(
        """async (codes) => {
            const { sayProblem, setLanguage } = await import("/page/words.js");
            const all = (language) => (setLanguage(language), codes.map((code) => sayProblem({ code })));
            return [all("en"), all("zh")];
        }""",
        sorted(STATUS),
    )
    for english, chinese in zip(*told, strict=True):
        assert english.isascii()
        assert english.endswith(".")
        assert chinese.endswith("。")


def test_an_error_is_told_anew_in_the_other_language(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit()
    toys.choose(page, b"no picture")
    page.wait_for_selector("#problem:visible")
    page.click("[data-language=zh]")
    assert page.text_content("#problem") == "浏览器无法将此文件显示为图片。"
    page.click("[data-language=en]")
    assert page.text_content("#problem") == "Your browser cannot show this file as a picture."


def test_a_mistyped_key_can_be_typed_again(visit: Callable[..., Page], toys: SimpleNamespace) -> None:
    page = visit({"keys": read_keys(KEY, None)})
    toys.choose(page, toys.photo(200, 130))
    page.wait_for_selector("#key-form:visible")
    page.fill("#key", KEY.replace("-", "–"))
    page.keyboard.press("Enter")
    assert "signs of ASCII" in page.text_content("#problem")
    assert page.is_visible("#key-form")
    page.fill("#key", f" {KEY} ")
    page.keyboard.press("Enter")
    page.wait_for_selector(".face >> nth=1")
    page.click("#camera")
    page.wait_for_selector(".face >> nth=2")
