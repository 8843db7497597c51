"""Landmarks: found on small pictures, read from the manifest, and what they say of size and pose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli.app import run
from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.explain import index
from mien.explain.landmarks import COLUMNS, columns, find, of_manifest, shape_of
from mien.faces.detector import Faces

FRONT = np.array([[(10, 10), (30, 10), (20, 20), (13, 30), (27, 30)]], np.float32)
SIZE, TILT, TURN, NOD = range(4)


def figures(points: np.ndarray) -> list[float]:
    return [float(values[0]) for values in shape_of(points, 40).values()]


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Points turned clockwise, as seen with y downwards."""
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((points - 20) @ matrix + 20).astype(np.float32)


def test_a_face_from_the_front_has_no_tilt_and_no_turn() -> None:
    assert figures(FRONT) == pytest.approx([50, 0, 0, 0.5])


@pytest.mark.parametrize("degrees", [-40, 15, 90])
def test_tilting_a_face_changes_its_tilt_alone(degrees: float) -> None:
    assert figures(turned(FRONT, degrees)) == pytest.approx([50, degrees, 0, 0.5], abs=1e-4)


def test_moving_the_nose_is_a_turn_or_a_nod() -> None:
    aside, up = FRONT.copy(), FRONT.copy()
    aside[0, 2] += (5, 0)
    up[0, 2] -= (0, 5)
    assert figures(aside) == pytest.approx([50, 0, 0.25, 0.5])
    assert figures(up) == pytest.approx([50, 0, 0, 0.25])
    assert figures(turned(aside, 20)) == pytest.approx([50, 20, 0.25, 0.5], abs=1e-4)


def test_a_smaller_face_has_a_smaller_size() -> None:
    assert figures(FRONT / 2)[SIZE] == pytest.approx(25)
    assert figures(FRONT / 2)[TURN] == pytest.approx(0)


def test_what_is_missing_or_lies_on_one_place_has_no_pose() -> None:
    points = np.concatenate([FRONT, FRONT, FRONT])
    points[1, 2] = np.nan
    points[2, 1] = points[2, 0]
    for values in shape_of(points, 40).values():
        assert np.isfinite(values).tolist() == [True, False, False]
    assert columns(points, 40)["landmarks"].tolist() == ["found", "none", "found"]


class Corners:
    """Finds the bright square of a picture as the larger of two faces; nothing in a dark one."""

    def __init__(self) -> None:
        self.sizes: set[tuple[int, ...]] = set()

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Faces]:
        self.sizes |= {picture.shape for picture in pictures}
        return [self._faces(picture) for picture in pictures]

    @staticmethod
    def _faces(picture: np.ndarray) -> Faces:
        rows, across = np.nonzero(picture > 128)
        if not len(rows):
            return Faces.none()
        left, top, right, bottom = across.min(), rows.min(), across.max() + 1, rows.max() + 1
        boxes = np.array([[0, 0, 2, 2], [left, top, right, bottom]], np.float32)
        points = np.array([[(0, 0)] * 5, [(left, top), (right, top), (0, 0), (left, bottom), (right, bottom)]])
        return Faces(boxes, np.ones(2, np.float32), points.astype(np.float32))


def test_the_largest_face_is_taken_in_pixels_of_the_packed_picture() -> None:
    images = np.zeros((70, 40, 20), np.uint8)
    images[3, 10:30, 4:12] = 255
    done: list[int] = []
    detector = Corners()
    found = find(detector, images, np.arange(69, -1, -1), done.append)
    assert detector.sizes == {(160, 80)}
    assert np.isnan(found[:66]).all()
    np.testing.assert_allclose(found[66], [(4, 10), (12, 10), (0, 0), (4, 30), (12, 30)], atol=0.3)
    assert sum(done) == 70


def with_landmarks(path: Path, points: np.ndarray, packed: Dataset) -> Dataset:
    table = packed.table
    extra = {name: points.reshape(len(points), -1)[:, i] for i, name in enumerate(COLUMNS)}
    made = dataset.make_table(
        label=packed.label,
        split=packed.split,
        source=table.column("source").to_pylist(),
        images=np.asarray(packed.images),
        extra=extra,
    )
    return dataset.save(path, np.asarray(packed.images), made, dataset.describe("points", FER2013, packed.images, made))


def test_landmarks_of_the_manifest_become_slices_with_intervals(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_manifest(packed, np.arange(3)) is None
    rng = np.random.default_rng(0)
    tilts = rng.uniform(-30, 30, len(packed))
    points = np.concatenate([turned(FRONT, tilt) for tilt in tilts])
    data = with_landmarks(tmp_path / "points", points, packed)
    np.testing.assert_allclose(of_manifest(data, np.array([7, 2])), points[[7, 2]])
    seen = []
    monkeypatch.setattr("mien.explain.show_slices.drawn", lambda found, *_: seen.extend(found))
    monkeypatch.setattr("mien.explain.show_slices.save", lambda _, path: Image.new("L", (1, 1)).save(path))
    monkeypatch.setattr("mien.explain.slices.LEAST", 10)
    out = tmp_path / "explain"
    assert run(["explain", str(weights), str(data.path), "--out", str(out), "--only", "slices"]) == 0
    of_tilt = [one for one in seen if one.column.startswith("tilt")]
    assert len(of_tilt) == 5
    assert of_tilt[0].name.startswith("\N{MINUS SIGN}")
    assert " to " in of_tilt[0].name
    assert all(one.interval.low <= one.accuracy <= one.interval.high for one in of_tilt)
    assert not any(one.column in COLUMNS for one in seen)
    assert index.read(out)


def test_the_verb_asks_the_face_detector(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, seen = Corners(), []
    monkeypatch.setattr("mien.cli.explain.default_detector", lambda: detector)
    monkeypatch.setattr("mien.explain.show_slices.drawn", lambda found, *_: seen.extend(found))
    monkeypatch.setattr("mien.explain.show_slices.save", lambda _, path: Image.new("L", (1, 1)).save(path))
    monkeypatch.setattr("mien.explain.slices.LEAST", 10)
    arguments = ["explain", str(weights), str(packed.path), "--out", str(tmp_path), "--only", "slices"]
    assert run([*arguments, "--landmarks"]) == 0
    assert detector.sizes == {(160, 160)}
    assert any(one.column.startswith("size of the face") for one in seen)
