"""From a person and their action units to the shape of each part of the face.

Face coordinates: one unit is half the width of a face (about 70 mm), x grows to the right of the picture, y down,
and the origin lies between the eyes. Every curve runs from left to right of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.data.drawn.actions import Actions
from mien.data.drawn.curves import Points, open_curve
from mien.data.drawn.face import Face, Identity

_EYE_T = np.linspace(-1, 1, 15)
_LIP_T = np.linspace(-1, 1, 23)
_LIP_BOW = (1 - np.abs(_LIP_T) ** 2.2) * (1 - 0.28 * np.exp(-((_LIP_T / 0.13) ** 2)))
_ROUND = np.sqrt(1 - _LIP_T**2)


@dataclass(frozen=True)
class Eye:
    """Lids as curves, the iris as a circle; `open` is the height of the slit."""

    sign: float
    upper: Points
    lower: Points
    iris: tuple[float, float]
    iris_radius: float
    open: float


@dataclass(frozen=True)
class Mouth:
    """Outlines of the lips and of the opening, the edges of both rows of teeth, and how wide it is open."""

    outer_upper: Points
    inner_upper: Points
    inner_lower: Points
    outer_lower: Points
    teeth_upper: Points
    teeth_lower: Points
    gap: float


@dataclass(frozen=True)
class Anatomy:
    """One face's shape. `head` are control points of a closed curve that starts at the chin."""

    head: Points
    eyes: tuple[Eye, Eye]
    brows: tuple[Points, Points]
    brow_thickness: float
    mouth: Mouth
    nose_base: float
    nose_halfwidth: float
    chin: float
    child: float

    @property
    def jawline(self) -> Points:
        """Controls (11, 2) of the head's lower outline from ear to ear, from right to left."""
        return self.head[[5, 4, 3, 2, 1, 0, 17, 16, 15, 14, 13]]

    @property
    def corners(self) -> tuple[Points, Points]:
        """Left and right corner of the mouth."""
        return self.mouth.outer_upper[0], self.mouth.outer_upper[-1]


def shape(face: Face) -> Anatomy:
    """The shape of every part of `face`."""
    who, actions = face.identity, face.actions
    child = float(np.clip((0.3 - who.age) / 0.3, 0, 1))
    mouth = _mouth(who, actions, child)
    chin = 1.60 + 0.06 * who.chin - 0.16 * child + 0.6 * _jaw_drop(actions) - 0.02 * actions.both(17)
    gaze = (face.scene.gaze_x, face.scene.gaze_y)
    left, right = (_eye(who, actions.side(s), sign=s, child=child, gaze=gaze) for s in (-1.0, 1.0))
    return Anatomy(
        head=_head(who, chin, child),
        eyes=(left, right),
        brows=(_brow(who, actions.left, sign=-1.0), _brow(who, actions.right, sign=1.0)),
        brow_thickness=(0.085 + 0.02 * who.brow_thickness) * (1 - 0.35 * child),
        mouth=mouth,
        nose_base=0.66 + 0.03 * who.nose_length - 0.08 * child,
        nose_halfwidth=0.24 + 0.025 * who.nose_width - 0.04 * child + 0.03 * actions.both(9),
        chin=chin,
        child=child,
    )


def _jaw_drop(actions: Actions) -> float:
    return 0.27 * actions.both(26) + 0.42 * actions.both(27)


def _head(who: Identity, chin: float, child: float) -> Points:
    width = 1 + who.face_width
    jaw = 0.78 + 0.06 * who.jaw - 0.03 * child
    cheek = 0.96 + 0.025 * who.cheekbones + 0.03 * child
    half = np.array(
        [
            (0.28 + 0.06 * who.jaw, chin - 0.03),
            (0.8 * jaw, chin - 0.27),
            (jaw + 0.09, 0.88),
            (cheek, 0.35),
            (cheek + 0.01, -0.15),
            (0.93, -0.62),
            (0.76, -1.08 - 0.04 * who.forehead),
            (0.42, -1.38 - 0.05 * who.forehead),
        ]
    ) * (width, 1)
    mirrored = half[::-1] * (-1, 1)
    return np.concatenate([[(0, chin)], half, [(0, -1.48 - 0.05 * who.forehead)], mirrored])


def _eye(who: Identity, units: Mapping[int, float], *, sign: float, child: float, gaze: tuple[float, float]) -> Eye:
    a1, a2, a4, a5, a6, a7, a9 = (units.get(unit, 0.0) for unit in (1, 2, 4, 5, 6, 7, 9))
    halfwidth = 0.215 + 0.014 * who.eye_size + 0.02 * child
    up = 0.115 + 0.012 * who.eye_size + 0.03 * child + 0.085 * a5 - 0.035 * a7 - 0.03 * a9 - 0.03 * a6
    down = 0.072 + 0.01 * child + 0.012 * a5 - 0.045 * a7 - 0.05 * a6 - 0.02 * a9
    slit = max(up + down, 0.035) * (1 - units.get(43, 0.0))
    lean = 0.035 * a1 * (1 - a2) - 0.05 * a4 * (1 - a1)
    u = _EYE_T * sign
    bulge = (1 - _EYE_T**2) ** 0.72
    x = sign * (0.445 + 0.022 * who.eye_distance) + halfwidth * _EYE_T
    base = 0.012 - (0.028 + 0.022 * who.eye_slant) * (u + 1) / 2
    lower = base + down * bulge * (1 + 0.2 * u)
    upper = lower - slit * bulge * (1 - 0.12 * u) + (lean * u * bulge if slit > 0.05 else 0)
    centre = (sign * (0.435 + 0.022 * who.eye_distance) + 0.05 * gaze[0], -0.02 + 0.035 * gaze[1])
    return Eye(
        sign=sign,
        upper=np.stack([x, np.minimum(upper, lower - 0.004)], axis=1),
        lower=np.stack([x, lower], axis=1),
        iris=centre,
        iris_radius=0.1 + 0.008 * child,
        open=slit,
    )


def _brow(who: Identity, units: Mapping[int, float], *, sign: float) -> Points:
    a1, a2, a4, a6, a9 = (units.get(unit, 0.0) for unit in (1, 2, 4, 6, 9))
    inward = a4 * (1 - 0.75 * a1)
    base = -0.02 - 0.025 * who.brow_height
    controls = [
        (0.17 - 0.05 * a4, base - 0.275 - 0.17 * a1 + 0.13 * inward + 0.07 * a9),
        (0.38 - 0.03 * a4, base - 0.32 - 0.1 * a1 - 0.09 * a2 + 0.11 * inward + 0.03 * a4 + 0.05 * a9),
        (0.6, base - 0.325 - 0.03 * who.brow_arch - 0.01 * a1 - 0.17 * a2 + 0.06 * a4 + 0.02 * a9),
        (0.8, base - 0.22 - 0.1 * a2 + 0.03 * a4 + 0.02 * a6),
    ]
    curve = open_curve(np.array(controls) * (sign, 1), per_segment=5)
    return curve if sign > 0 else curve[::-1]


def _mouth(who: Identity, actions: Actions, child: float) -> Mouth:
    get = actions.both
    line = 1.05 + 0.015 * who.nose_length - 0.07 * child
    (xl, yl), (xr, yr) = (_corner(who, actions.side(s), line, child, s) for s in (-1.0, 1.0))
    middle = line + 0.045 * get(12) - 0.06 * get(17) - 0.02 * get(15) - 0.05 * max(get(9), get(10))
    gap = 0.075 * get(25) + 0.85 * _jaw_drop(actions)
    lift = (0.03 * get(25) + 0.05 * get(12) + 0.06 * get(10)) * min(1.0, gap / 0.06) + 0.03 * get(27)
    drop = gap + 0.06 * get(16) * min(1.0, gap / 0.04)
    thin = 1 - 0.6 * max(get(23), get(24)) - 0.3 * get(12) - 0.25 * get(20)
    upper_lip = (0.075 + 0.02 * who.lip_fullness) * max(thin, 0.25)
    lower_lip = (0.105 + 0.022 * who.lip_fullness) * max(thin, 0.25) * (1 + 0.25 * get(17))

    x = (xl + xr) / 2 + (xr - xl) / 2 * _LIP_T
    corner = np.where(_LIP_T < 0, yl, yr)
    y = middle + (corner - middle) * np.abs(_LIP_T) ** 1.8
    inner_upper, inner_lower = y - lift * _ROUND, y + drop * _ROUND
    shown = min(0.15, 0.03 + 0.11 * get(12) + 0.1 * get(10) + 0.08 * get(20)) * _ROUND**0.5
    below = 0.09 * min(1.0, get(16) + 0.4 * get(20)) * _ROUND**0.5
    return Mouth(
        outer_upper=np.stack([x, inner_upper - upper_lip * _LIP_BOW], axis=1),
        inner_upper=np.stack([x, inner_upper], axis=1),
        inner_lower=np.stack([x, inner_lower], axis=1),
        outer_lower=np.stack([x, inner_lower + lower_lip * _ROUND**1.5], axis=1),
        teeth_upper=np.stack([x, np.minimum(inner_upper + shown, inner_lower)], axis=1),
        teeth_lower=np.stack([x, np.maximum(inner_lower - below, inner_upper)], axis=1),
        gap=lift + drop,
    )


def _corner(who: Identity, units: Mapping[int, float], line: float, child: float, sign: float) -> tuple[float, float]:
    a12, a14, a15, a20, a23, a24, a27 = (units.get(unit, 0.0) for unit in (12, 14, 15, 20, 23, 24, 27))
    out = 0.38 + 0.028 * who.mouth_width - 0.05 * child
    out += 0.13 * a12 + 0.11 * a20 + 0.02 * a14 - 0.02 * a15 - 0.07 * a23 - 0.03 * a24 - 0.13 * a27
    return sign * out, line - 0.14 * a12 + 0.12 * a15 + 0.035 * a20 - 0.03 * a14
