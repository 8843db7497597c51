"""Everything that makes one drawn face: who, doing what, seen how. Drawn at random here, applied in `paint`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.drawn.actions import Actions, draw_actions

HairStyle = Literal["bald", "receding", "short", "parted", "fringe", "long", "curly", "tied", "scarf", "cap"]
Beard = Literal["none", "stubble", "moustache", "goatee", "full"]
Glasses = Literal["none", "round", "square", "dark"]
Cover = Literal["none", "hand", "strand", "mark"]
Name = TypeVar("Name", bound=str)

_HAIR: dict[HairStyle, float] = {
    "bald": 0.07, "receding": 0.08, "short": 0.17, "parted": 0.13, "fringe": 0.13,
    "long": 0.16, "curly": 0.10, "tied": 0.08, "scarf": 0.04, "cap": 0.04,
}  # fmt: skip
_BEARD: dict[Beard, float] = {"none": 0.52, "stubble": 0.18, "moustache": 0.08, "goatee": 0.07, "full": 0.15}
_GLASSES: dict[Glasses, float] = {"none": 0.8, "round": 0.08, "square": 0.1, "dark": 0.02}
_COVER: dict[Cover, float] = {"none": 0.88, "hand": 0.03, "strand": 0.04, "mark": 0.05}


@dataclass(frozen=True)
class Identity:
    """One made-up person. Lengths are in half face widths; the others are deviations around 0, or 0 to 1."""

    face_width: float
    jaw: float
    chin: float
    forehead: float
    cheekbones: float
    eye_size: float
    eye_distance: float
    eye_slant: float
    lid_fold: float
    brow_height: float
    brow_thickness: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_fullness: float
    ears: float
    age: float
    skin: float
    redness: float
    hair_tone: float
    hair_red: float
    hair_volume: float
    lip_colour: float
    hair: HairStyle
    beard: Beard
    glasses: Glasses
    shade_seed: int


@dataclass(frozen=True)
class Scene:
    """How the face is seen. Angles in degrees, shifts in half face widths, blur in 1/100 of the picture's side."""

    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float
    zoom: float
    shift_x: float
    shift_y: float
    gaze_x: float
    gaze_y: float
    light_x: float
    light_y: float
    ambient: float
    exposure: float
    contrast: float
    blur: float
    noise: float
    shine: float
    background: float
    cover: Cover
    seed: int


@dataclass(frozen=True)
class Face:
    """The whole of one picture, small enough to keep and to change with `dataclasses.replace`."""

    expression: str
    strength: float
    identity: Identity
    actions: Actions
    scene: Scene


def draw_identity(rng: np.random.Generator) -> Identity:
    """One made-up person."""
    age = float(rng.beta(1.4, 2.2))
    deviation = iter(rng.normal(size=20).clip(-2, 2).tolist())
    hair = _pick(rng, _HAIR)
    grey = rng.random() < 1.6 * (age - 0.35)
    return Identity(
        face_width=0.045 * next(deviation),
        jaw=next(deviation),
        chin=next(deviation),
        forehead=next(deviation),
        cheekbones=next(deviation),
        eye_size=next(deviation),
        eye_distance=next(deviation),
        eye_slant=next(deviation),
        lid_fold=float(rng.random()),
        brow_height=next(deviation),
        brow_thickness=next(deviation),
        brow_arch=next(deviation),
        nose_length=next(deviation),
        nose_width=next(deviation),
        mouth_width=next(deviation),
        lip_fullness=next(deviation),
        ears=next(deviation),
        age=age,
        skin=float(rng.random()),
        redness=float(rng.random()),
        hair_tone=float(rng.uniform(0.6, 1.0) if grey else rng.beta(1.0, 2.2)),
        hair_red=0.0 if grey else float(rng.random()),
        hair_volume=next(deviation),
        lip_colour=float(rng.beta(1.2, 2.5)),
        hair=hair,
        beard=_pick(rng, _BEARD) if _may_have_beard(rng, hair, age) else "none",
        glasses=_pick(rng, _GLASSES),
        shade_seed=int(rng.integers(2**31)),
    )


def _may_have_beard(rng: np.random.Generator, hair: HairStyle, age: float) -> bool:
    return age > 0.2 and rng.random() < (0.12 if hair in ("long", "tied", "scarf", "fringe") else 0.85)


def draw_scene(rng: np.random.Generator, *, spread: float = 1.0) -> Scene:
    """One way of looking at a face; `spread` is how far it strays from a frontal portrait, 0 to 1."""
    deviation = iter((spread * rng.normal(size=12).clip(-2.2, 2.2)).tolist())
    cover = _pick(rng, _COVER)
    return Scene(
        yaw_degrees=10 * next(deviation),
        pitch_degrees=6 * next(deviation),
        roll_degrees=6 * next(deviation),
        zoom=1 + 0.06 * next(deviation),
        shift_x=0.06 * next(deviation),
        shift_y=0.06 * next(deviation),
        gaze_x=0.4 * next(deviation),
        gaze_y=0.25 * next(deviation),
        light_x=float(rng.uniform(-0.9, 0.9)),
        light_y=float(rng.uniform(-0.9, 0.15)),
        ambient=float(rng.uniform(0.35, 0.75)),
        exposure=0.05 * next(deviation),
        contrast=float(rng.uniform(0.8, 1.25)),
        blur=float(rng.beta(1.2, 3.0)),
        noise=float(rng.beta(1.2, 5.0)),
        shine=float(rng.random()),
        background=float(rng.random()),
        cover=cover if rng.random() < spread else "none",
        seed=int(rng.integers(2**31)),
    )


def draw(
    rng: np.random.Generator,
    n: int,
    *,
    expressions: Sequence[str] = FER2013.names,
    strength: tuple[float, float] = (0.4, 1.0),
    spread: float = 1.0,
) -> list[Face]:
    """`n` faces; the expressions take turns, so that each is there n / len(expressions) times.

    Args:
        rng: the only source of chance; the same state gives the same faces on every machine.
        n: how many.
        expressions: names of `actions.PROTOTYPES`.
        strength: range that the strength of a face's action units is drawn from, 0 to 1 at most.
        spread: how far pose, place and gaze stray from a frontal portrait: 0 not at all, 1 as in pictures
            from the web.

    Raises:
        MienError: for an unknown expression, or a strength or spread outside 0 to 1.
    """
    low, high = strength
    if not 0 <= low <= high <= 1:
        raise MienError(f"strength must be a range within 0 and 1, got {low} to {high}")
    if not 0 <= spread <= 1:
        raise MienError(f"spread must be within 0 and 1, got {spread}")
    return [_draw_one(rng, expressions[i % len(expressions)], strength, spread) for i in range(n)]


def _draw_one(rng: np.random.Generator, expression: str, strength: tuple[float, float], spread: float) -> Face:
    shown = float(rng.uniform(*strength))
    return Face(
        expression=expression,
        strength=shown,
        identity=draw_identity(rng),
        actions=draw_actions(rng, expression, shown),
        scene=draw_scene(rng, spread=spread),
    )


def _pick(rng: np.random.Generator, weights: dict[Name, float]) -> Name:
    """A name drawn by its weight (the weights sum to 1)."""
    edges = np.cumsum(list(weights.values()))
    return list(weights)[min(int(np.searchsorted(edges, rng.random())), len(weights) - 1)]
