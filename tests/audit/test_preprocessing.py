"""What the net is fed in training and in evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien.core import recipe as recipes
from mien.data.audit.finding import Severity
from mien.data.audit.preprocessing import preprocessing
from mien.data.audit.registration import register
from mien.data.dataset import Dataset
from mien.data.drawn.sets import Plan, draw_plan, drawn_set
from mien.models.classifier import build_classifier
from mien.train.fed import fed
from mien.train.prepare import make_spec, training_rows


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_plan(Plan(count=21, spread=0.5)).images[:14]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("drawn") / "packed", Plan(count=120))


def normalised(images: np.ndarray) -> np.ndarray:
    return ((images / 255 - 0.5) / 0.25).astype(np.float32)


def cut(images: np.ndarray, side: int, *, to: int | None = None, at: tuple[int, int] | None = None) -> np.ndarray:
    """Squares of `side` px from the centre or from `at`, resized `to`."""
    start = (images.shape[1] - side) // 2
    top, left = at or (start, start)
    part = images[:, top : top + side, left : left + side]
    if to is None:
        return part
    return np.stack([np.asarray(Image.fromarray(x).resize((to, to), Image.Resampling.BILINEAR)) for x in part])


def test_the_same_on_both_sides_is_fine(faces: np.ndarray) -> None:
    found = preprocessing(normalised(faces), normalised(faces))
    assert found.severity is Severity.FINE
    assert found.figures["face_size"] == 1
    assert found.figures["share_seen"] == 1
    assert found.figures["training_mean"] == found.figures["evaluation_mean"]


@pytest.mark.parametrize(("side", "scale"), [(24, 2.0), (32, 1.5), (40, 1.2)])
def test_registration_finds_how_much_larger_training_shows_faces(faces: np.ndarray, side: int, scale: float) -> None:
    views = register(normalised(cut(faces, side, to=48))[:, None], normalised(faces)[:, None])
    assert np.median(views.scale[views.matched]) == pytest.approx(scale, rel=0.07)
    assert np.median(views.share[views.matched]) == pytest.approx((side / 48) ** 2, rel=0.15)
    assert views.matched.mean() > 0.9


def test_registration_finds_smaller_and_mirrored_faces_too(faces: np.ndarray) -> None:
    larger = np.pad(faces, ((0, 0), (12, 12), (12, 12)), mode="edge")
    smaller = cut(larger, 72, to=48)[:, :, ::-1]
    views = register(normalised(smaller)[:, None], normalised(faces)[:, None])
    assert np.median(views.scale[views.matched]) == pytest.approx(2 / 3, rel=0.07)
    assert np.median(views.share[views.matched]) == 1


def test_half_faces_in_training_and_whole_ones_in_evaluation_are_severe(faces: np.ndarray) -> None:
    found = preprocessing(normalised(cut(faces, 26, to=48, at=(4, 12))), normalised(faces))
    assert found.severity is Severity.SEVERE
    assert "times as large" in found.verdict
    assert found.figures["face_size"] == pytest.approx(48 / 26, rel=0.07)


def test_a_crop_that_evaluation_does_not_make_is_a_warning_even_at_the_same_scale(faces: np.ndarray) -> None:
    found = preprocessing(normalised(cut(faces, 36)), normalised(faces))
    assert found.severity is Severity.WARNING
    assert "with faces as large as there" in found.verdict
    assert found.figures["training_size"] == "36×36"


def test_forgotten_scaling_in_evaluation_is_severe(faces: np.ndarray) -> None:
    found = preprocessing((faces / 255).astype(np.float32), faces.astype(np.float32))
    assert found.severity is Severity.SEVERE
    assert "from 0 to 255" in found.verdict or "to 25" in found.verdict


def test_another_mean_in_evaluation_is_a_warning(faces: np.ndarray) -> None:
    found = preprocessing(normalised(faces) + 0.7, normalised(faces))
    assert found.severity is Severity.WARNING
    assert "other values" in found.verdict


def test_values_off_centre_on_both_sides_are_only_noted(faces: np.ndarray) -> None:
    unit = (faces / 255).astype(np.float32)
    found = preprocessing(unit, unit)
    assert found.severity is Severity.NOTE
    assert "not centred" in found.verdict


def test_constant_inputs_do_not_break_it() -> None:
    zeros = np.zeros((20, 1, 16, 16), np.float32)
    found = preprocessing(zeros, zeros)
    assert found.figures["registered"] == 0
    assert found.severity is Severity.FINE


def test_channels_have_figures_of_their_own(faces: np.ndarray) -> None:
    colour = np.stack([normalised(faces)] * 3, axis=1) + np.array([0, 1, 2]).reshape(1, 3, 1, 1)
    found = preprocessing(colour, colour, channels=("red", "green", "blue"))
    step = found.figures["training_green_mean"] - found.figures["training_red_mean"]
    assert step == pytest.approx(1, abs=1e-3)
    assert found.sheets[0].pictures is not None
    assert found.sheets[0].pictures.shape == (8, 48, 48, 3)


@pytest.mark.parametrize("name", [name for name in recipes.names() if name != "demo"])
def test_every_recipe_feeds_alike_in_training_and_evaluation(name: str, packed: Dataset) -> None:
    given = fed(packed, recipes.read(name), pictures=14)
    assert len(given.training) == len(given.evaluation) == 14
    found = preprocessing(given.training, given.evaluation)
    assert found.severity <= Severity.NOTE, found.verdict


def test_without_augmentation_both_sides_are_the_same_numbers(packed: Dataset) -> None:
    plain = recipes.build({"data": {"crop": 40}, "model": {"name": "mien-s"}}, source="test")
    given = fed(packed, plain, pictures=32)
    np.testing.assert_array_equal(given.training, given.evaluation)
    assert given.training.shape == (32, 1, 40, 40)


def test_what_is_fed_is_what_the_step_makes_and_what_the_classifier_sees(packed: Dataset, tmp_path: Path) -> None:
    recipe = recipes.read("mien-s")
    rows = training_rows(packed, recipe)
    given = fed(packed, recipe, pictures=len(rows))
    model = build_classifier(make_spec(packed, recipe, rows))
    seen = model.prepare(torch.from_numpy(np.ascontiguousarray(packed.images[rows])))
    np.testing.assert_array_equal(given.evaluation, seen.numpy())
    assert given.training.shape == given.evaluation.shape
    assert not tmp_path.joinpath("run").exists()
