"""The page before a camera, in a real Chromium, while people come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from mien.core.picture import Pixels
from mien.faces.detector import Faces

pytestmark = pytest.mark.slow

Page = Any
# Where, from 0 to 1 of its width, the canvas has the colour of a chosen face.
CHOSEN = """() => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const is = (i) => data[4 * i] === 255 && data[4 * i + 1] === 212 && data[4 * i + 2] === 121;
    return [...Array(data.length / 4).keys()].filter(is).map((i) => (i % canvas.width) / canvas.width);
}"""


class People:
    """Faces of 60 px in the middle of a picture of 320×240, by their left edges."""

    def __init__(self, *lefts: float) -> None:
        self.lefts = lefts
        self.fails: Exception | None = None
        self.failed = 0

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        if self.fails:
            self.failed += 1
            raise self.fails
        boxes = np.array([(left, 90, left + 60, 150) for left in self.lefts], np.float32).reshape(-1, 4)
        faces = Faces(boxes, np.ones(len(boxes), np.float32), np.full((len(boxes), 5, 2), np.nan, np.float32))
        return [faces] * len(pictures)


def numbers(page: Page) -> list[str]:
    return page.locator(".face .number").all_text_contents()


def test_cards_and_frames_stay_with_their_people_and_the_focus_with_theirs(visit: Callable[..., Page]) -> None:
    people = People(220)
    page = visit({"detector": people})
    page.click("#camera")
    page.wait_for_selector(".face")
    page.focus(".face")
    assert max(page.evaluate(CHOSEN)) < 0.5  # mirrored
    people.lefts = (20, 220)
    page.wait_for_selector(".face >> nth=1")
    assert numbers(page) == ["1", "2"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Face 1: ")
    assert page.locator(".face.chosen .number").all_text_contents() == ["1"]
    assert max(page.evaluate(CHOSEN)) < 0.5
    people.lefts = (20,)
    page.wait_for_selector(".face >> nth=1", state="detached")
    assert numbers(page) == ["2"]
    assert page.evaluate("document.activeElement.id") == "tools"
    assert page.locator(".face.chosen").count() == 0
    assert page.evaluate(CHOSEN) == []
    page.focus(".face")
    people.lefts = ()
    page.wait_for_selector(".face", state="detached")
    assert page.evaluate("document.activeElement.id") == "tools"


def test_a_problem_that_lasts_is_said_once(visit: Callable[..., Page]) -> None:
    people = People(220)
    page = visit({"detector": people})
    page.evaluate(
        """() => {
            window.heard = [];
            new MutationObserver(() => heard.push(problem.textContent)).observe(problem, { childList: true });
        }"""
    )
    page.click("#camera")
    page.wait_for_selector(".face")
    for times in (1, 2):
        people.fails, people.failed = RuntimeError("a defect"), 0
        while people.failed < 4:
            page.wait_for_timeout(50)
        people.fails = None
        page.wait_for_selector("#problem", state="hidden")
        assert [bool(words) for words in page.evaluate("heard")] == [True, False] * times
