"""Whole frames now and then, windows in between: the same faces, none lost, far fewer pixels looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from face_toys import SquareDetector, find, scene

from mien.faces.detector import Faces
from mien.video.follow import Follower, Following

WINDOW, FRAME = (128, 128), (480, 640)


def sequence(count: int) -> list[np.ndarray]:
    """One face moves right and down, another stands and grows."""
    return [scene(*FRAME, (60 + 3 * i, 100 + 2 * i, 60), (480, 200, 50 + i // 2)) for i in range(count)]


def test_between_full_searches_only_windows_are_looked_at() -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=5)
    for frame in sequence(11):
        follower.find(frame)
    assert detector.sizes == [FRAME, *[WINDOW] * 8, FRAME, *[WINDOW] * 8, FRAME]


def test_what_windows_show_is_placed_where_a_full_search_finds_it() -> None:
    follower = Follower(SquareDetector(), every=100)
    for frame in sequence(40):
        found, expected = follower.find(frame), find(frame)
        assert len(found) == 2
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=2)
        np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=2)


def test_a_face_that_leaves_its_window_is_searched_for_at_once() -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=100)
    follower.find(scene(*FRAME, (60, 100, 60)))
    jumped = scene(*FRAME, (460, 300, 60))
    np.testing.assert_allclose(follower.find(jumped).boxes, find(jumped).boxes, atol=1)
    assert detector.sizes == [FRAME, WINDOW, FRAME]
    assert len(follower.find(scene(*FRAME))) == 0


def test_a_face_beside_others_is_found_with_the_next_full_search() -> None:
    follower = Follower(SquareDetector(), every=6)
    alone, both = scene(*FRAME, (60, 100, 60)), scene(*FRAME, (60, 100, 60), (400, 100, 60))
    assert [len(follower.find(alone if i < 2 else both)) for i in range(8)] == [1, 1, 1, 1, 1, 1, 2, 2]


def test_without_a_quick_detector_nobody_in_sight_is_searched_for_in_every_frame() -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=10)
    for frame in (scene(*FRAME), scene(*FRAME), scene(*FRAME, (60, 100, 60)), scene(*FRAME, (62, 100, 60))):
        follower.find(frame)
    assert detector.sizes == [FRAME, FRAME, FRAME, WINDOW]


class Half(SquareDetector):
    """A quick detector: does not see squares of less than 40 px."""

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Faces]:
        found = super().detect(pictures)
        return [faces.take(faces.boxes[:, 2] - faces.boxes[:, 0] >= 40) for faces in found]


def looks(frames: Sequence[np.ndarray], *, every: int) -> tuple[list[int], list[str]]:
    """How many faces each frame has to a follower, and whether a full, a quick search or windows found them."""
    full, quick = SquareDetector(), Half()
    follower = Follower(full, quick=quick, every=every)
    counts, ways = [], []
    for frame in frames:
        before = len(full.sizes), len(quick.sizes)
        counts.append(len(follower.find(frame)))
        asked = ["window" if size == WINDOW else "full" for size in full.sizes[before[0] :]]
        ways.append("+".join([*["quick"] * (len(quick.sizes) - before[1]), *dict.fromkeys(asked)]))
    return counts, ways


def test_with_nobody_in_sight_frames_between_are_searched_quickly() -> None:
    nobody, somebody = scene(*FRAME), scene(*FRAME, (60, 100, 60))
    counts, ways = looks([nobody, nobody, nobody, somebody, somebody], every=10)
    assert counts == [0, 0, 0, 1, 1]
    assert ways == ["full", "quick", "quick", "quick", "window"]


def test_who_is_too_small_for_a_quick_search_is_found_with_the_next_full_one_and_then_followed() -> None:
    nobody, far = scene(*FRAME), scene(*FRAME, (60, 100, 30))
    counts, ways = looks([nobody, far, far, far, far, far], every=4)
    assert counts == [0, 0, 0, 0, 1, 1]
    assert ways == ["full", "quick", "quick", "quick", "full", "window"]


def test_many_faces_are_searched_for_quickly_as_long_as_all_are_there() -> None:
    crowd = [(10 + 50 * i, 100, 42) for i in range(12)]
    shrinks = [*crowd[:-1], (560, 100, 30)]
    frames = [scene(*FRAME, *crowd), scene(*FRAME, *crowd), scene(*FRAME, *shrinks), scene(*FRAME, *crowd[:-1])]
    counts, ways = looks(frames, every=10)
    assert counts == [12, 12, 12, 11]
    assert ways == ["full", "quick", "quick+full", "quick+full"]


def test_a_new_face_does_not_stand_in_for_one_that_is_gone() -> None:
    crowd = [(10 + 50 * i, 100, 42) for i in range(11)]
    before = scene(*FRAME, *crowd, (560, 100, 42))
    after = scene(*FRAME, *crowd, (560, 300, 42))
    assert looks([before, after], every=10)[1] == ["full", "quick+full"]


def test_without_a_quick_detector_many_faces_are_searched_for_in_whole_frames() -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=10)
    crowd = scene(*FRAME, *[(10 + 50 * i, 100, 30) for i in range(12)])
    for _ in range(3):
        assert len(follower.find(crowd)) == 12
    assert detector.sizes == [FRAME] * 3


def test_two_faces_that_become_one_are_searched_for_anew() -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=100)
    follower.find(scene(*FRAME, (200, 100, 60), (280, 100, 60)))
    merged = scene(*FRAME, (240, 100, 60))
    assert len(follower.find(merged)) == 1
    assert detector.sizes[-1] == FRAME


def test_as_a_detector_it_takes_pictures_for_frames() -> None:
    detector = SquareDetector()
    frames = sequence(4)
    found = Following(Follower(detector, every=10)).detect(frames)
    for faces, frame in zip(found, frames, strict=True):
        np.testing.assert_allclose(faces.boxes, find(frame).boxes, atol=2)
    assert detector.sizes == [FRAME, *[WINDOW] * 6]


@pytest.mark.parametrize("every", [0, 1])
def test_every_frame_can_be_searched_as_a_whole(every: int) -> None:
    detector = SquareDetector()
    follower = Follower(detector, every=every)
    for frame in sequence(4):
        follower.find(frame)
    assert detector.sizes == [FRAME] * 4
