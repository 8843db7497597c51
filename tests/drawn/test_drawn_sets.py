"""Whole sets of drawn faces, packed and as class folders, and their simulated votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8
from mien.core.votes import COLUMNS, majority
from mien.data.dataset import Dataset, load
from mien.data.drawn.face import draw
from mien.data.drawn.sets import Plan, draw_plan, drawn_set, write_class_folders
from mien.data.drawn.votes import annotate, vote_probabilities

PLAN = Plan(count=70, seed=4, val_fraction=0.2, test_fraction=0.2)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("drawn") / "packed", PLAN, with_votes=True)


def test_a_packed_set_opens_with_every_label_in_every_split(packed: Dataset) -> None:
    again = load(packed.path) if packed.path else packed
    assert again.images.shape == (70, 48, 48)
    assert again.labels == FER2013
    assert again.info.counts == {
        "train": dict.fromkeys(FER2013.names, 6),
        "val": dict.fromkeys(FER2013.names, 2),
        "test": dict.fromkeys(FER2013.names, 2),
    }


def test_the_same_plan_has_the_same_fingerprint_and_another_seed_has_not(tmp_path: Path) -> None:
    small = Plan(count=21, seed=4)
    first = drawn_set(tmp_path / "a", small).info.fingerprint
    assert drawn_set(tmp_path / "b", small).info.fingerprint == first
    assert drawn_set(tmp_path / "c", Plan(count=21, seed=5)).info.fingerprint != first


def test_the_table_holds_strength_and_ten_votes_a_face(packed: Dataset) -> None:
    strength = packed.column("strength")
    assert strength.min() >= 0.4
    assert strength.max() <= 1.0
    assert packed.votes is not None
    assert (packed.votes.sum(1) == 10).all()


def test_class_folders_hold_the_same_pictures_as_the_packed_set(packed: Dataset, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "raw", PLAN)
    files = sorted(folder.glob("*/*/*.png"))
    assert len(files) == 70
    for path in files:
        row = int(path.stem.removeprefix("face_"))
        assert path.parent.name == FER2013.names[packed.label[row]]
        assert path.parent.parent.name == packed.split[row]
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), packed.images[row])


def test_colour_and_other_labels_can_be_asked_for() -> None:
    drawn = draw_plan(Plan(count=24, labels=FERPLUS8, size=32, colour=True))
    assert drawn.images.shape == (24, 32, 32, 3)
    assert [face.expression for face in drawn.faces[:8]] == [
        "neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt",
    ]  # fmt: skip
    np.testing.assert_array_equal(drawn.label, np.arange(24) % 8)


def test_a_plan_too_small_for_its_labels_is_refused() -> None:
    with pytest.raises(MienError, match="20 faces are too few for 7 labels"):
        Plan(count=20)


def test_fractions_that_leave_no_training_faces_are_refused() -> None:
    with pytest.raises(MienError, match="leave nothing for one of the splits"):
        Plan(val_fraction=0.5, test_fraction=0.5)


def test_vote_probabilities_sum_to_one_over_the_ferplus_columns() -> None:
    chances = vote_probabilities(draw(np.random.default_rng(0), 14))
    assert chances.shape == (14, len(COLUMNS))
    np.testing.assert_allclose(chances.sum(1), 1)
    assert chances.min() >= 0


def test_annotators_agree_more_on_stronger_expressions() -> None:
    agreed = []
    for strength in (0.3, 0.6, 1.0):
        faces = draw(np.random.default_rng(1), 400, expressions=["happy"], strength=(strength, strength))
        votes = annotate(faces, np.random.default_rng(2))
        agreed.append((majority(votes) == FERPLUS8.index("happy")).mean())
    assert agreed[0] < agreed[1] < agreed[2]
    assert agreed[2] > 0.95


def test_fear_is_mixed_up_with_surprise_more_than_with_happiness() -> None:
    faces = draw(np.random.default_rng(1), 200, expressions=["fear"], strength=(0.6, 0.6))
    chances = vote_probabilities(faces).mean(0)
    assert chances[COLUMNS.index("surprise")] > 2 * chances[COLUMNS.index("happiness")]
