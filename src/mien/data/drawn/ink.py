"""Colours of one person, and the patch: a filled outline in one colour, the only thing that is ever painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data.drawn.curves import Points
from mien.data.drawn.face import Identity

Ink = tuple[float, float, float]

_SKINS = np.array(
    [(252, 226, 206), (240, 202, 174), (216, 168, 132), (178, 126, 92), (132, 90, 66), (96, 66, 52)], np.float64
)
_HAIRS = np.array([(24, 20, 20), (58, 40, 30), (112, 80, 54), (190, 156, 106), (206, 200, 192), (236, 234, 230)])
_HAIR_STOPS = (0.0, 0.15, 0.35, 0.6, 0.8, 1.0)
_RED = (120.0, 50.0, 26.0)
BLACK: Ink = (18.0, 14.0, 14.0)
WHITE: Ink = (250.0, 248.0, 244.0)


class Patch(NamedTuple):
    """Outline (n, 2) in face coordinates filled with an ink; with `width` (n,), a brush stroke along it.

    `depth` is the distance towards the viewer of parts that do not lie on the face's surface; None for those that
    do, which then follow it when the head turns, `lift` above it. `body` parts are what the background is behind.
    """

    points: Points
    ink: Ink
    depth: float | None = None
    lift: float = 0.0
    body: bool = False
    width: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Palette:
    """The colours of one person, under white light."""

    skin: Ink
    shadow: Ink
    lips: Ink
    hair: Ink
    brow: Ink
    iris: Ink
    cloth: Ink


def mix(a: Ink, b: Ink, share: float) -> Ink:
    """`a` with a share 0 to 1 of `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def palette(who: Identity) -> Palette:
    """The colours of a person; those that `Identity` does not fix follow from its shade seed."""
    rng = np.random.default_rng(who.shade_seed)
    skin = mix(_between(_SKINS, np.linspace(0, 1, len(_SKINS)), who.skin), (214.0, 120.0, 104.0), 0.16 * who.redness)
    # Dark skin goes with dark hair, dyes aside: the tone is drawn freely only on light skin and on grey heads.
    tone = who.hair_tone if who.hair_tone > 0.7 else who.hair_tone * (1 - 0.85 * who.skin)
    hair = mix(_between(_HAIRS, np.array(_HAIR_STOPS), tone), _RED, 0.5 * who.hair_red * (0.2 < tone < 0.7))
    shadow = mix(skin, (58.0, 26.0, 20.0), 0.62)
    rouge: Ink = (150.0, 32.0, 48.0) if rng.random() < 0.5 else (190.0, 70.0, 80.0)
    lips = mix(mix(skin, (168.0, 74.0, 74.0), 0.42), rouge, 0.7 * who.lip_colour * (who.age > 0.25))
    iris = mix((70.0, 46.0, 30.0), (96.0, 128.0, 150.0), float(rng.random()) * (1 - who.skin) ** 0.5)
    cloth = tuple(float(c) for c in rng.uniform(20, 235, 3))
    return Palette(
        skin=skin,
        shadow=shadow,
        lips=lips,
        hair=hair,
        brow=mix(mix(hair, BLACK, 0.35), skin, 0.12 if tone < 0.5 else 0.3),
        iris=mix(iris, BLACK, 0.35),
        cloth=(cloth[0], cloth[1], cloth[2]),
    )


def _between(stops: np.ndarray, at: np.ndarray, value: float) -> Ink:
    r, g, b = (float(np.interp(value, at, stops[:, i])) for i in range(3))
    return r, g, b
