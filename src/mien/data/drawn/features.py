"""Eyes, brows, nose and mouth as patches."""

from __future__ import annotations

import numpy as np

from mien.data.drawn.anatomy import Anatomy, Eye, Mouth
from mien.data.drawn.curves import Points, between, circle, ellipse, moved, open_curve, taper
from mien.data.drawn.face import Face
from mien.data.drawn.ink import BLACK, WHITE, Ink, Palette, Patch, mix

_MOUTH_DARK: Ink = (46.0, 14.0, 16.0)
_TONGUE: Ink = (140.0, 64.0, 64.0)
_TOOTH: Ink = (235.0, 228.0, 216.0)
_RING, _GLINT = 20, 8


def eye(one: Eye, colours: Palette, *, crease: float, light_x: float) -> list[Patch]:
    """One eye from white to lashes; `crease` 0 to 1 is how clear the fold above the lid is."""
    count = len(one.upper)
    faint = mix(colours.skin, colours.shadow, 0.25 + 0.4 * crease)
    patches = [Patch(moved(one.upper, 0.0, -0.065), faint, width=0.03 * taper(count, 0.2, 0.2))]
    if one.open > 0.03:
        slit = np.concatenate([one.upper, one.lower[::-1]])
        patches += [Patch(slit, mix(WHITE, colours.shadow, 0.14)), *_iris(one, colours, light_x)]
    edge = mix(colours.shadow, BLACK, 0.25)
    patches.append(Patch(moved(one.lower, 0.0, 0.008), edge, width=0.022 * taper(count, 0.3, 0.6)))
    lashes = np.linspace(0.028, 0.058, count)[:: int(one.sign)]
    return [*patches, Patch(moved(one.upper, 0.0, -0.012), mix(BLACK, colours.skin, 0.12), width=lashes)]


def _iris(one: Eye, colours: Palette, light_x: float) -> list[Patch]:
    """Iris, pupil, glint and the shadow of the lid, all clipped to the slit."""
    radius, (x, y) = one.iris_radius, one.iris
    ring = circle(_RING) * radius
    glint = moved(circle(_GLINT) * 0.026, 0.3 * radius * np.sign(light_x), -0.35 * radius)
    shapes = [ring, 0.82 * ring, 0.45 * ring, glint]
    inks = [mix(colours.iris, BLACK, 0.5), colours.iris, BLACK, WHITE]
    shade = np.concatenate([one.upper, moved(one.upper, 0.0, 0.035)[::-1]])
    clipped = between(np.concatenate([*(moved(shape, x, y) for shape in shapes), shade]), one.upper, one.lower)
    parts = np.split(clipped, np.cumsum([len(shape) for shape in shapes]))
    inks.append(mix(BLACK, WHITE, 0.25))
    return [Patch(part, ink) for part, ink in zip(parts, inks, strict=True)]


def brow(line: Points, thickness: float, colours: Palette, sign: float) -> list[Patch]:
    """One eyebrow: thick in the inner half, thin at the outer end, with a soft edge."""
    t = np.linspace(0, 1, len(line))[:: int(sign)]
    ends = (0.55 + 0.45 * np.minimum(1, t / 0.25)) * (1 - 0.72 * np.maximum(0, (t - 0.45) / 0.55) ** 1.3)
    widths = thickness * ends
    soft = mix(colours.brow, colours.skin, 0.55)
    return [
        Patch(line, soft, lift=0.02, width=1.25 * widths),
        Patch(line, colours.brow, lift=0.02, width=0.8 * widths),
    ]


def nose(anatomy: Anatomy, face: Face, colours: Palette) -> list[Patch]:
    """Nostrils and the edges of the wings; the rest of a nose is light and shade."""
    base, half = anatomy.nose_base, anatomy.nose_halfwidth
    edge, dark = mix(colours.skin, colours.shadow, 0.55), mix(colours.shadow, BLACK, 0.55)
    patches = []
    for s, units in ((-1.0, face.actions.left), (1.0, face.actions.right)):
        rise = 0.05 * units.get(9, 0.0) + 0.03 * units.get(10, 0.0)
        hole = ellipse((s * 0.44 * half, base - 0.035 - 0.5 * rise), (0.062, 0.026), 12)
        hole[:, 1] += 0.25 * (np.abs(hole[:, 0]) - 0.44 * half)
        wing = [(0.82, -0.2), (1.02, -0.11), (0.86, -0.02), (0.6, -0.02)]
        line = open_curve([(s * half * x, base + y - rise) for x, y in wing], per_segment=4)
        patches.append(Patch(line, edge, lift=0.1, width=0.03 * taper(len(line), 0.1, 0.1)))
        patches.append(Patch(hole, dark, lift=0.16))
    return patches


def mouth(parts: Mouth, colours: Palette) -> list[Patch]:
    """Lips, and teeth and tongue where it is open."""
    is_open = parts.gap > 0.012
    patches = _inside(parts) if is_open else []
    upper = np.concatenate([parts.outer_upper, parts.inner_upper[::-1]])
    lower = np.concatenate([parts.inner_lower, parts.outer_lower[::-1]])
    patches.append(Patch(upper, mix(colours.lips, colours.shadow, 0.28), lift=0.05))
    patches.append(Patch(lower, colours.lips, lift=0.05))
    width = (0.014 if is_open else 0.034) * taper(len(parts.inner_upper), 0.5, 0.5)
    return [*patches, Patch(parts.inner_upper, mix(colours.shadow, BLACK, 0.6), lift=0.05, width=width)]


def _inside(parts: Mouth) -> list[Patch]:
    hole = np.concatenate([parts.inner_upper, parts.inner_lower[::-1]])
    patches = [Patch(hole, _MOUTH_DARK, lift=-0.02)]
    if parts.gap > 0.16:
        floor = parts.inner_lower[len(parts.inner_lower) // 2]
        tongue = ellipse(floor, (0.24, min(0.14, 0.4 * parts.gap)), 18)
        patches.append(Patch(between(tongue, parts.inner_upper, parts.inner_lower), _TONGUE, lift=-0.02))
    for top, bottom in ((parts.inner_upper, parts.teeth_upper), (parts.teeth_lower, parts.inner_lower)):
        row = np.concatenate([top[2:-2], bottom[2:-2][::-1]])
        patches.append(Patch(row, _TOOTH, lift=-0.02))
    return patches
