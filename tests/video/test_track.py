"""Faces keep their number: in motion, side by side, crossing, and when they are gone for a moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mien.faces.detector import Faces
from mien.video.track import Tracker

FRAME_S = 1 / 25


def faces(*squares: tuple[float, float, float]) -> Faces:
    """Squares (x, y of the middle, side) as faces, in the given order."""
    boxes = np.array([(x - s / 2, y - s / 2, x + s / 2, y + s / 2) for x, y, s in squares], np.float32)
    return Faces(boxes.reshape(-1, 4), np.ones(len(squares), np.float32), np.zeros((len(squares), 5, 2), np.float32))


def follow(tracker: Tracker, seen: Sequence[Sequence[tuple[float, float, float]]]) -> list[list[int]]:
    return [tracker.number(faces(*squares), i * FRAME_S) for i, squares in enumerate(seen)]


def test_numbers_are_given_in_order_of_appearance_and_kept_in_any_order_of_faces() -> None:
    tracker = Tracker()
    assert tracker.number(faces((50, 50, 30), (150, 50, 30)), 0) == [1, 2]
    assert tracker.number(faces((152, 51, 30), (52, 49, 31)), FRAME_S) == [2, 1]
    assert tracker.number(faces((250, 50, 30), (53, 49, 31), (154, 51, 30)), 2 * FRAME_S) == [3, 1, 2]
    assert tracker.number(Faces.none(), 3 * FRAME_S) == []
    assert tracker.alive == {1, 2, 3}


def test_a_fast_face_is_followed_by_its_motion() -> None:
    """It moves by 1.5 of its sides from one frame to the next, once it has sped up."""
    steps = np.concatenate([np.linspace(2, 45, 12), np.full(10, 45)])
    numbers = follow(Tracker(), [[(x, 100, 30)] for x in np.cumsum(steps)])
    assert numbers == [[1]] * 22


def test_faces_that_cross_keep_their_numbers() -> None:
    numbers = follow(Tracker(), [[(100 + 6 * i, 100, 40), (340 - 6 * i, 106, 40)] for i in range(40)])
    assert numbers == [[1, 2]] * 40


@pytest.mark.parametrize(("gone", "number"), [(10, 1), (24, 1), (40, 2)])
def test_a_face_that_is_gone_for_less_than_the_patience_keeps_its_number(gone: int, number: int) -> None:
    seen = [[(100, 100, 40)]] * 5 + [[]] * gone + [[(108, 98, 42)]]
    assert follow(Tracker(patience_s=1.0), seen)[-1] == [number]


def test_patience_is_in_seconds_not_in_frames() -> None:
    tracker = Tracker(patience_s=1.0)
    assert tracker.number(faces((100, 100, 40)), 0) == [1]
    assert tracker.number(faces((100, 100, 40)), 0.9) == [1]
    assert tracker.number(Faces.none(), 1.5) == []
    assert tracker.number(faces((100, 100, 40)), 2.0) == [2]


def test_faces_keep_their_number_where_looks_are_further_apart_than_the_patience() -> None:
    tracker = Tracker(patience_s=1.0)
    for look in range(10):
        assert tracker.number(faces((100, 100, 40), (300, 100, 40)), 2.0 * look) == [1, 2]
    assert tracker.number(faces((100, 100, 40)), 20.0) == [1]
    assert tracker.number(faces((100, 100, 40), (300, 100, 40)), 22.0) == [1, 3]


def test_another_place_or_size_is_another_face() -> None:
    tracker = Tracker()
    assert tracker.number(faces((100, 100, 40)), 0) == [1]
    assert tracker.number(faces((145, 100, 40)), FRAME_S) == [2]
    assert tracker.number(faces((145, 100, 120)), 2 * FRAME_S) == [3]


def test_a_face_that_stops_or_turns_keeps_its_number() -> None:
    tracker = Tracker()
    assert [tracker.number(faces((x, 100, 100)), i / 5) for i, x in enumerate((0, 75, 215, 215, 215))] == [[1]] * 5
    tracker = Tracker()
    swaying = 300 + 35 * np.sin(2.8 * np.arange(40))
    assert [tracker.number(faces((x, 100, 100)), i / 2) for i, x in enumerate(swaying)] == [[1]] * 40


def test_fast_faces_in_a_row_keep_their_numbers() -> None:
    """Each comes to where another one was in the frame before, and the one behind is named first."""
    first = np.cumsum(np.concatenate([np.linspace(2, 45, 12), np.full(10, 45)]))
    numbers = follow(Tracker(), [[(x, 100, 30), (x + 45, 100, 30)] for x in first])
    assert numbers == [[1, 2]] * 22


def test_jitter_and_frames_of_the_same_time_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    tracker = Tracker()
    for i in range(200):
        jitter = rng.normal(0, 2, (2, 2))
        seen = faces((100 + jitter[0, 0], 80 + jitter[0, 1], 40), (160 + jitter[1, 0], 80 + jitter[1, 1], 40))
        assert tracker.number(seen, (i // 2) * FRAME_S) == [1, 2]


def test_frames_that_come_close_together_do_not_make_a_still_face_another_one() -> None:
    """A variable frame rate may give pairs of frames a millisecond apart; of these, jitter would be a fast motion."""
    rng = np.random.default_rng(0)
    tracker = Tracker()
    times = np.cumsum(np.tile([0.066, 0.001], 50))
    assert {
        tracker.number(faces((200 + x, 100, 40)), t)[0] for x, t in zip(rng.normal(0, 0.7, 100), times, strict=True)
    } == {1}
