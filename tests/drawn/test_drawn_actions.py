"""Each action unit moves what the FACS manual says it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.core.labels import FERPLUS8, canonical
from mien.data.drawn.actions import PROTOTYPES, UNITS, Actions, draw_actions, prototype
from mien.data.drawn.anatomy import Anatomy, shape
from mien.data.drawn.face import Face, draw
from mien.data.drawn.paint import draw_face


@pytest.fixture(scope="module")
def resting() -> Face:
    face = draw(np.random.default_rng(8), 1, expressions=["neutral"])[0]
    scene = replace(
        face.scene, yaw_degrees=0.0, pitch_degrees=0.0, roll_degrees=0.0, shift_x=0.0, shift_y=0.0, zoom=1.0,
        noise=0.0, blur=0.0, cover="none", light_x=0.0,
    )  # fmt: skip
    who = replace(face.identity, hair="short", beard="none", glasses="none", age=0.4)
    return replace(face, actions=Actions({}, {}), scene=scene, identity=who)


def acting(face: Face, **units: float) -> Face:
    shown = {int(name[2:]): strength for name, strength in units.items()}
    return replace(face, actions=Actions(shown, shown))


def inner_brow(anatomy: Anatomy) -> np.ndarray:
    return anatomy.brows[1][0]


def test_au12_pulls_the_corners_of_the_mouth_up_and_out(resting: Face) -> None:
    before, after = shape(resting).corners[1], shape(acting(resting, au12=1.0)).corners[1]
    assert after[0] > before[0] + 0.1
    assert after[1] < before[1] - 0.1


def test_au15_draws_them_down(resting: Face) -> None:
    assert shape(acting(resting, au15=1.0)).corners[0][1] > shape(resting).corners[0][1] + 0.08


def test_au20_stretches_the_mouth_sideways(resting: Face) -> None:
    assert shape(acting(resting, au20=1.0)).corners[1][0] > shape(resting).corners[1][0] + 0.08


def test_au26_opens_the_mouth_and_lowers_the_chin(resting: Face) -> None:
    before, after = shape(resting), shape(acting(resting, au26=1.0))
    assert before.mouth.gap < 0.01 < 0.15 < after.mouth.gap
    assert after.chin > before.chin + 0.1


def test_au1_raises_only_the_inner_brow_and_au2_the_outer(resting: Face) -> None:
    rest, inner, outer = (
        shape(face).brows[1] for face in (resting, acting(resting, au1=1.0), acting(resting, au2=1.0))
    )
    assert rest[0, 1] - inner[0, 1] > 0.1 > 0.02 > abs(rest[-1, 1] - inner[-1, 1])
    assert rest[-1, 1] - outer[-1, 1] > 0.08 > 0.02 > abs(rest[0, 1] - outer[0, 1])


def test_au4_lowers_the_brows_and_draws_them_together(resting: Face) -> None:
    before, after = inner_brow(shape(resting)), inner_brow(shape(acting(resting, au4=1.0)))
    assert after[0] < before[0]
    assert after[1] > before[1] + 0.08


def test_au5_opens_the_eyes_au7_narrows_and_au43_closes_them(resting: Face) -> None:
    rest, wide, narrow, shut = (
        shape(face).eyes[0].open
        for face in (resting, acting(resting, au5=1.0), acting(resting, au7=1.0), acting(resting, au43=1.0))
    )
    assert wide > 1.3 * rest > rest > 1.3 * narrow > narrow > shut == 0


def test_mirrored_actions_give_a_mirrored_face(resting: Face) -> None:
    one = shape(replace(resting, actions=Actions({12: 0.8, 1: 0.5}, {4: 0.6})))
    other = shape(replace(resting, actions=Actions({4: 0.6}, {12: 0.8, 1: 0.5})))
    np.testing.assert_allclose(one.brows[0], other.brows[1][::-1] * (-1, 1))
    np.testing.assert_allclose(one.mouth.outer_lower, other.mouth.outer_lower[::-1] * (-1, 1))


def test_a_face_without_actions_is_symmetric_to_the_pixel_grid(resting: Face) -> None:
    head = shape(resting).head
    np.testing.assert_allclose(np.sort(head[:, 0]), -np.sort(head[:, 0])[::-1], atol=1e-12)


@pytest.mark.parametrize(
    ("unit", "rows"), [("au12", (28, 40)), ("au1", (3, 18)), ("au43", (12, 22)), ("au26", (28, 48))]
)
def test_a_unit_changes_the_pixels_where_it_acts(resting: Face, unit: str, rows: tuple[int, int]) -> None:
    change = np.abs(draw_face(acting(resting, **{unit: 1.0})).astype(float) - draw_face(resting))
    change = np.where(change > 6, change, 0).sum(1)  # the camera's exposure moves all pixels a little
    here = change[slice(*rows)].sum()
    assert here > 0.6 * change.sum()
    assert here > 500


def test_contempt_shows_on_one_side_only() -> None:
    for seed in range(6):
        actions = draw_actions(np.random.default_rng(seed), "contempt", 1.0)
        strengths = sorted(side.get(14, 0.0) for side in (actions.left, actions.right))
        assert strengths[0] < 0.35 < 0.6 < strengths[1]


def test_there_is_a_prototype_for_every_expression_of_ferplus() -> None:
    assert {canonical(name) for name in FERPLUS8.names} == set(PROTOTYPES)


def test_prototypes_use_known_units_and_strengths() -> None:
    for variants in PROTOTYPES.values():
        for units in variants:
            assert set(units) <= set(UNITS)
            assert all(0 < strength <= 1 for strength in units.values())


def test_no_strength_is_the_resting_face() -> None:
    assert not prototype("fear", strength=0.0).vector().any()
    assert prototype("fear").vector().any()


def test_drawn_strengths_follow_the_strength_asked_for() -> None:
    rng = np.random.default_rng(2)
    faint, full = (
        np.mean([draw_actions(rng, "happy", strength).both(12) for _ in range(100)]) for strength in (0.4, 0.9)
    )
    assert 1.9 < full / faint < 2.6
