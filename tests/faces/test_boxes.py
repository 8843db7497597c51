"""Overlaps of boxes and non-maximum suppression, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces.boxes import areas, overlaps, suppress
from mien.faces.detector import Faces

BOX = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
BOXES = st.lists(BOX, max_size=6).map(lambda boxes: np.array(boxes, np.float32).reshape(-1, 4))


def cells(box: np.ndarray) -> set[tuple[int, int]]:
    left, top, right, bottom = box.astype(int)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


@given(BOXES, BOXES)
def test_overlap_is_shared_cells_over_all_cells(a: np.ndarray, b: np.ndarray) -> None:
    found = overlaps(a, b)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            whole = cells(one) | cells(other)
            expected = len(cells(one) & cells(other)) / len(whole) if whole else 0
            assert found[i, j] == pytest.approx(expected, abs=1e-6)
    assert areas(a).tolist() == [len(cells(box)) for box in a]


@given(BOXES, st.randoms(use_true_random=False))
def test_what_is_kept_overlaps_no_better_one_and_all_else_does(boxes: np.ndarray, random: object) -> None:
    scores = np.array([random.choice((0.5, 0.6, 0.9)) for _ in boxes], np.float32)
    kept = suppress(boxes, scores, overlap=0.3)
    assert (np.diff(scores[kept]) <= 0).all()
    shared = overlaps(boxes, boxes)
    for i in kept:
        assert not any(shared[i, j] > 0.3 for j in kept if j != i)
    for i in set(range(len(boxes))) - set(kept.tolist()):
        assert any(shared[i, j] > 0.3 and scores[j] >= scores[i] for j in kept)


def test_faces_are_ordered_from_left_to_right_by_their_middles() -> None:
    boxes = np.array([[50, 0, 60, 10], [0, 0, 90, 90], [5, 50, 15, 60], [5, 0, 15, 10]], np.float32)
    faces = Faces(boxes, np.arange(4, dtype=np.float32), np.zeros((4, 5, 2), np.float32))
    assert faces.ordered().scores.tolist() == [3, 2, 1, 0]
    assert len(Faces.none()) == 0
    assert len(Faces.none().ordered()) == 0
