"""Changes of pictures by known amounts."""

from __future__ import annotations

import numpy as np
import pytest

from mien.explain import robustness
from mien.explain.robustness import CHANGES, Change, Curve, curve
from mien.explain.show_robustness import sentence


def pictures(colour: bool = False) -> np.ndarray:
    """Four smooth pictures with a bright spot left of the middle."""
    y, x = np.mgrid[:32, :32]
    spot = 60 + 150 * np.exp(-((y - 16) ** 2 + (x - 8) ** 2) / 12)
    images = np.repeat(spot[None], 4, 0).round().astype(np.uint8)
    return np.repeat(images[..., None], 3, 3) if colour else images


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_the_first_level_leaves_pictures_and_the_last_does_not(change: Change, colour: bool) -> None:
    images = pictures(colour)
    first, last = (change.apply(images, change.levels[place]).astype(int) for place in (0, -1))
    assert first.shape == last.shape == images.shape
    assert np.abs(first - images).mean() < 1
    assert np.abs(last - images).mean() > 3


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_gives_the_same_twice_and_spares_its_input(change: Change) -> None:
    images = pictures()
    once, again = (change.apply(images, change.levels[-1]) for _ in range(2))
    assert (once == again).all()
    assert (images == pictures()).all()


def test_shifting_moves_every_second_picture_the_other_way() -> None:
    moved = robustness.shift(pictures(), 0.25)
    assert [int(picture[16].argmax()) for picture in moved[1:3]] == [0, 16]


def test_occlusion_hides_the_area_it_says() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40)).astype(np.uint8)
    changed = (robustness.occlude(images, 0.5) != images).sum((1, 2))
    assert ((changed > 390) & (changed <= 400)).all()


def test_noise_has_its_deviation() -> None:
    flat = np.full((8, 48, 48), 128, np.uint8)
    assert robustness.add_noise(flat, 10).std() == pytest.approx(10, rel=0.03)


def test_a_curve_counts_right_answers_and_says_where_it_falls() -> None:
    def ask(images: np.ndarray) -> np.ndarray:
        bright = images.mean((1, 2)) > 100
        return np.stack([~bright, bright], 1).astype(np.float64)

    images = np.repeat(np.arange(80, 180, 10, dtype=np.uint8), 4).repeat(4).reshape(10, 4, 4)
    darker = Change("darker", "levels", (0, 20, 40), lambda batch, level: batch - np.uint8(level))
    found = curve(darker, images, np.ones(10, np.int64), ask)
    assert found.hits == (7, 5, 3)
    assert found.tolerates(0.1) == pytest.approx(10)
    assert Curve(darker, 10, (7, 7, 7)).tolerates() is None


def test_the_sentence_says_what_costs_five_points_what_does_not_and_nothing_at_chance() -> None:
    steady, losing = Curve(CHANGES[0], 100, (70, 70, 69, 69, 68)), Curve(CHANGES[1], 100, (70, 60, 50, 40, 30))
    assert sentence([steady]) == "100 pictures. No level tried costs five points for: rotation."
    assert sentence([losing]) == "100 pictures. Five points are lost at shift 0.025 of the width."
    assert sentence([losing], at_chance=True) == "100 pictures. The net answers at chance: its robustness says nothing."
