"""Furrows and wrinkles of the skin: from age, and deeper where an action unit presses it (FACS manual)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mien.data.drawn.anatomy import Anatomy, Eye
from mien.data.drawn.curves import open_curve, taper
from mien.data.drawn.face import Face
from mien.data.drawn.hair import forehead_top
from mien.data.drawn.ink import BLACK, Patch, mix

# One fold: three control points, width in face units, strength from 0 to 1.
Fold = tuple[tuple[tuple[float, float], ...], float, float]
_WHITE = (255.0, 255.0, 255.0)
_FAINTEST = 0.04
_DARKEST = 0.62


def fold_strokes(anatomy: Anatomy, face: Face) -> list[Patch]:
    """Folds as grey strokes, faint ones first: white leaves the skin as it is, darker multiplies it down."""
    age = float(np.clip((face.identity.age - 0.3) / 0.7, 0, 1))
    found = [*_forehead(face, age), *_middle(anatomy, face)]
    for s, units, eye in zip((-1.0, 1.0), (face.actions.left, face.actions.right), anatomy.eyes, strict=True):
        found += _around_eye(eye, units, age)
        found += _cheek(anatomy, units, s, age)
    found = sorted((fold for fold in found if fold[2] > _FAINTEST), key=lambda fold: fold[2])
    lines = open_curve([fold[0] for fold in found], per_segment=5)
    relative = taper(lines.shape[1], 0.15, 0.15)
    return [
        Patch(line, mix(_WHITE, BLACK, _DARKEST * min(1.0, strength)), lift=0.02, width=width * relative)
        for line, (_, width, strength) in zip(lines, found, strict=True)
    ]


def _forehead(face: Face, age: float) -> Iterator[Fold]:
    inner, outer = face.actions.both(1), face.actions.both(2)
    reach = 0.3 + 0.35 * min(1.0, outer + age)
    strength = 0.6 * max(outer, inner) * (0.4 + 0.6 * age) + 0.3 * age
    top = forehead_top(face.identity.hair) + 0.06
    for y in (-0.58, -0.72, -0.86):
        if y > top:
            yield ((-reach, y), (0, y - 0.02 - 0.06 * inner * (1 - outer)), (reach, y)), 0.035, strength
    for s, units in ((-1, face.actions.left), (1, face.actions.right)):
        frown = units.get(4, 0.0) * (1 - 0.3 * units.get(1, 0.0))
        yield ((s * 0.07, -0.38), (s * 0.095, -0.24), (s * 0.08, -0.12)), 0.04, 0.9 * frown + 0.15 * age


def _middle(anatomy: Anatomy, face: Face) -> Iterator[Fold]:
    for y in (0.02, 0.1, 0.18):
        yield ((-0.14, y + 0.03), (0, y), (0.14, y + 0.03)), 0.035, 0.75 * face.actions.both(9)
    lip = float(anatomy.mouth.outer_lower[len(anatomy.mouth.outer_lower) // 2, 1])
    groove = ((-0.2, lip + 0.1), (0.0, lip + 0.065), (0.2, lip + 0.1))
    yield groove, 0.09, 0.3 + 0.45 * face.actions.both(17)


def _around_eye(eye: Eye, units: Mapping[int, float], age: float) -> Iterator[Fold]:
    s = eye.sign
    x, y = eye.lower[0 if s < 0 else -1].tolist()
    squint = max(units.get(6, 0.0), 0.4 * units.get(7, 0.0))
    for dy, slope in ((-0.03, -0.08), (0.02, 0.0), (0.07, 0.09)):
        start, end = (x + s * 0.05, y + dy), (x + s * 0.2, y + dy + slope)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        yield (start, middle, end), 0.026, 0.55 * squint * (0.35 + 0.65 * age) + 0.12 * age
    (x0, y0), (x1, y1), (x2, y2) = eye.lower[[1, len(eye.lower) // 2, -2]].tolist()
    sag = 0.06 + 0.03 * age
    pressed = max(units.get(6, 0.0), units.get(7, 0.0), units.get(9, 0.0))
    yield ((x0, y0 + sag), (x1, y1 + sag), (x2, y2 + sag)), 0.045, 0.12 + 0.25 * age + 0.45 * pressed


def _cheek(anatomy: Anatomy, units: Mapping[int, float], s: float, age: float) -> Iterator[Fold]:
    half, base = anatomy.nose_halfwidth, anatomy.nose_base
    x, y = anatomy.corners[0 if s < 0 else 1].tolist()
    a9, a10, a12 = (units.get(unit, 0.0) for unit in (9, 10, 12))
    top = (s * (half + 0.03), base - 0.14 - 0.06 * a9)
    bend = (s * (0.55 * half + 0.5 * abs(x) + 0.11 + 0.03 * a12), (base + y) / 2 - 0.06)
    end = (x + s * 0.1, y + 0.05 - 0.03 * a12)
    pulled = 0.6 * a12 + 0.55 * max(a9, a10) + 0.25 * units.get(20, 0.0)
    yield (top, bend, end), 0.055, 0.12 + 0.25 * age + pulled - 0.25 * anatomy.child
    dimple = ((x + s * 0.05, y - 0.06), (x + s * 0.075, y), (x + s * 0.05, y + 0.07))
    yield dimple, 0.05, 0.9 * units.get(14, 0.0)
    droop = ((x + s * 0.015, y + 0.02), (x + s * 0.07, y + 0.11), (x + s * 0.06, y + 0.2))
    yield droop, 0.05, 0.55 * units.get(15, 0.0) + 0.25 * age
