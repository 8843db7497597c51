"""Hair, scarf, cap and beard."""

from __future__ import annotations

import numpy as np

from mien.data.drawn.anatomy import Anatomy
from mien.data.drawn.curves import Points, closed_curve, ellipse, mirrored, mirrored_closed, moved, open_curve, taper
from mien.data.drawn.face import Face, HairStyle, Identity
from mien.data.drawn.ink import BLACK, WHITE, Ink, Palette, Patch, mix

# Hairline, right half from the ear to the middle of the forehead: six points for each style.
_HAIRLINES: dict[HairStyle, tuple[tuple[float, float], ...]] = {
    "short": ((0.93, 0.28), (0.87, -0.2), (0.83, -0.62), (0.66, -0.92), (0.35, -1.0), (0.0, -0.98)),
    "receding": ((0.93, 0.25), (0.88, -0.2), (0.88, -0.65), (0.75, -1.15), (0.42, -1.22), (0.0, -1.05)),
    "fringe": ((0.92, 0.4), (0.86, 0.0), (0.8, -0.36), (0.6, -0.46), (0.3, -0.47), (0.0, -0.46)),
    "long": ((0.86, 1.5), (0.89, 0.6), (0.86, -0.2), (0.68, -0.72), (0.34, -1.02), (0.0, -1.16)),
    "curly": ((0.94, 0.3), (0.85, -0.25), (0.78, -0.62), (0.58, -0.84), (0.3, -0.9), (0.0, -0.9)),
    "tied": ((0.94, 0.1), (0.88, -0.35), (0.8, -0.76), (0.58, -1.02), (0.3, -1.12), (0.0, -1.14)),
    "cap": ((0.97, 0.3), (0.93, -0.1), (0.92, -0.5), (0.8, -0.62), (0.4, -0.66), (0.0, -0.66)),
}
_HAIRLINES["parted"] = _HAIRLINES["short"]
# The outer edge, from the same height over the crown; the volume is added outwards.
_CROWN = ((0.98, 0.25), (1.02, -0.3), (0.99, -0.75), (0.78, -1.18), (0.42, -1.45), (0.0, -1.54))
_LONG_SIDES = ((1.08, 1.5), (1.08, 0.2))
_OUTWARDS = np.array([0.15, 0.5, 0.8, 1, 1, 1])
_VOLUME: dict[HairStyle, float] = {"curly": 0.34, "tied": 0.03, "cap": 0.03}
_STRANDS = 10


def forehead_top(style: HairStyle) -> float:
    """Height (y) above which hair, scarf or cap cover the forehead."""
    if style == "bald":
        return -1.4
    return -0.74 if style == "scarf" else _HAIRLINES[style][-1][1]


def behind(who: Identity, colours: Palette) -> list[Patch]:
    """Hair or scarf that falls behind the head."""
    back, fullness = mix(colours.hair, BLACK, 0.25), 0.05 * who.hair_volume
    # What shows of the other side when the head turns and the hairline wanders off its edge.
    skull = [] if who.hair in ("bald", "scarf") else [Patch(0.99 * _crown(who), back, depth=0.0, body=True)]
    if who.hair == "tied":
        return [Patch(ellipse((0.1, -1.72), (0.42, 0.36)), back, depth=-0.4, body=True), *skull]
    if who.hair == "long":
        side = 1.14 + fullness
        half = [(0.0, -1.72), (0.7, -1.52), (side, -0.8), (side + 0.08, 0.3), (1.2, 1.4), (0.95, 2.3)]
        return [Patch(closed_curve(mirrored_closed(half)), back, depth=-0.3, body=True), *skull]
    if who.hair == "scarf":
        cloth = mix(colours.cloth, BLACK, 0.2)
        half = [(0.0, -1.72), (0.75, -1.48), (1.12, -0.7), (1.15, 0.4), (0.98, 1.3), (1.3, 2.3), (1.5, 3.4)]
        return [Patch(closed_curve(mirrored_closed(half)), cloth, depth=-0.3, body=True)]
    return skull


def in_front(who: Identity, colours: Palette) -> list[Patch]:
    """Hair, scarf or cap over the forehead, with strands."""
    if who.hair == "scarf":
        return _scarf(colours)
    if who.hair == "bald":
        return _bald_sides(who, colours)
    rng = np.random.default_rng(who.shade_seed + 1)
    outer, inner = _edges(who, rng)
    patches = [
        Patch(np.concatenate([inner, moved(inner, 0, 0.035)[::-1]]), mix(colours.hair, colours.skin, 0.5), lift=0.02),
        Patch(np.concatenate([outer, inner[::-1]]), colours.hair, lift=0.03, body=True),
    ]
    patches += _strands(rng, outer, inner, colours.hair)
    return patches + (_cap(colours) if who.hair == "cap" else [])


def _edges(who: Identity, rng: np.random.Generator) -> tuple[Points, Points]:
    """Outer edge and hairline, each (n, 2) from left to right, point by point opposite each other."""
    line = moved(np.array(_HAIRLINES[who.hair]) * (1 + who.face_width, 1), 0, -0.05 * who.forehead)
    outer, inner = _crown(who), open_curve(mirrored(line))
    if who.hair in ("parted", "long"):
        inner = _part(inner, side=-1.0 if rng.random() < 0.5 else 1.0, depth=0.3 if who.hair == "parted" else 0.1)
    if who.hair == "curly":
        curls = 1 + 0.06 * np.abs(np.sin(np.linspace(0, 38, len(outer)) + rng.uniform(0, 3)))
        outer = outer * curls[:, None]
    inner[2:-2, 1] += rng.normal(0, 0.015, len(inner) - 4)
    return outer, inner


def _crown(who: Identity) -> Points:
    """Outer edge of the hair (n, 2), from ear to ear over the top."""
    crown = np.array(_CROWN)
    if who.hair == "long":
        crown[:2] = _LONG_SIDES
    volume = _VOLUME.get(who.hair, 0.1) + 0.035 * who.hair_volume
    crown *= (1 + who.face_width, 1)
    crown += crown / np.sqrt((crown**2).sum(1, keepdims=True)) * (volume * _OUTWARDS)[:, None]
    return open_curve(mirrored(crown))


def _part(line: Points, *, side: float, depth: float) -> Points:
    """A hairline with a parting at one side: it rises there and sweeps down over the other temple."""
    x = line[:, 0] * side
    on_top = np.exp(-(((x + 0.1) / 0.75) ** 2)) * (line[:, 1] < -0.4)
    swept = depth * on_top * np.clip(-1.2 * (x - 0.35), -0.6, 1.2)
    return np.stack([line[:, 0], line[:, 1] + swept], axis=1)


def _strands(rng: np.random.Generator, outer: Points, inner: Points, ink: Ink) -> list[Patch]:
    """Lighter and darker lines from the crown towards the hairline."""
    at = rng.integers(3, len(outer) - 3, _STRANDS)
    a, b = outer[at], inner[at]
    bend = (a + b) / 2 + np.stack([rng.uniform(-0.06, 0.06, _STRANDS), np.full(_STRANDS, 0.02)], axis=1)
    controls = np.stack([0.96 * a, bend, 0.3 * b + 0.7 * bend, 0.85 * b + 0.15 * bend], axis=1)
    lines = open_curve(controls, per_segment=3)
    width = 0.035 * taper(lines.shape[1], 0.3, 0.1)
    return [
        Patch(line, mix(ink, WHITE if tone > 0 else BLACK, abs(tone)), lift=0.03, width=width)
        for line, tone in zip(lines, rng.uniform(-0.3, 0.16, _STRANDS).tolist(), strict=True)
    ]


def _bald_sides(who: Identity, colours: Palette) -> list[Patch]:
    if who.age < 0.45:
        return []
    half = np.array([(0.93, 0.25), (0.9, -0.1), (0.93, -0.5), (1.06, -0.35), (1.06, 0.0), (1.02, 0.25)])
    thin = mix(colours.hair, colours.skin, 0.25)
    return [Patch(closed_curve(half * (s, 1)), thin, body=True) for s in (-1, 1)]


def _scarf(colours: Palette) -> list[Patch]:
    around = [(0.0, -1.7), (0.75, -1.45), (1.12, -0.7), (1.12, 0.4), (0.92, 1.25), (0.5, 1.95), (0.0, 2.15)]
    face = [(0.0, -0.78), (0.55, -0.66), (0.84, -0.2), (0.86, 0.4), (0.7, 1.05), (0.38, 1.5), (0.0, 1.62)]
    outer, opening = closed_curve(mirrored_closed(around)), closed_curve(mirrored_closed(face))
    ring = np.concatenate([outer, outer[:1], opening[:1], opening[::-1]])
    edge = np.concatenate([opening, opening[:1]])
    return [
        Patch(ring, colours.cloth, lift=0.02, body=True),
        Patch(edge, mix(colours.cloth, BLACK, 0.4), lift=0.02, width=np.full(len(edge), 0.04)),
    ]


def _cap(colours: Palette) -> list[Patch]:
    dome = open_curve(mirrored([(1.04, -0.55), (1.04, -0.95), (0.72, -1.45), (0.0, -1.68)]))
    rim = open_curve(mirrored([(1.04, -0.55), (0.6, -0.72), (0.0, -0.78)]))
    brim = open_curve(mirrored([(0.98, -0.6), (0.8, -0.5), (0.4, -0.44), (0.0, -0.42)]))
    return [
        Patch(np.concatenate([dome, rim[::-1]]), colours.cloth, lift=0.05, body=True),
        Patch(np.concatenate([brim, rim[::-1]]), mix(colours.cloth, BLACK, 0.35), lift=0.2, body=True),
    ]


def beard(face: Face, anatomy: Anatomy, colours: Palette) -> list[Patch]:
    """Beard or stubble on the skin, before the lips are painted over it."""
    style = face.identity.beard
    if style == "none":
        return []
    outlines = [_moustache(anatomy)]
    if style in ("full", "stubble"):
        outlines.append(_jaw_beard(anatomy, 0.06 if style == "full" else 0.0))
    if style == "goatee":
        lip = float(anatomy.mouth.outer_lower[:, 1].max())
        outlines.append(ellipse((0, (lip + anatomy.chin) / 2 + 0.04), (0.24, (anatomy.chin - lip) / 2 + 0.05)))
    # Four layers, each smaller and denser, are the soft edge of a beard.
    density, edge = (0.26, 2.5) if style == "stubble" else (0.85, 1.0)
    return [
        Patch(_grown(outline, by * edge), mix(colours.skin, colours.brow, share * density), body=style == "full")
        for by, share in ((0.03, 0.25), (0.015, 0.5), (0.0, 0.75), (-0.015, 1.0))
        for outline in outlines
    ]


def _grown(outline: Points, by: float) -> Points:
    """The outline moved away from its middle by about `by`."""
    away = outline - outline.mean(0)
    grown: Points = outline + by * away / (np.abs(away).max(0) + 1e-9)
    return grown


def _jaw_beard(anatomy: Anatomy, thick: float) -> Points:
    jaw = moved(anatomy.jawline * (0.97 + thick, 1), 0, thick - 0.04)
    line = [(0.86, 0.3), (0.78, 0.66), (0.56, 0.88), (0.34, 0.86), (0.0, anatomy.nose_base + 0.14)]
    widest = 0.97 * float(jaw[0, 0])
    return np.concatenate([open_curve(jaw), open_curve(mirrored([(min(x, widest), y) for x, y in line]))])


def _moustache(anatomy: Anatomy) -> Points:
    (lx, ly), (rx, ry) = anatomy.corners
    top = anatomy.nose_base + 0.05
    lip = anatomy.mouth.outer_upper[len(anatomy.mouth.outer_upper) // 2, 1]
    left, right = (lx - 0.05, ly + 0.03), (rx + 0.05, ry + 0.03)
    slopes = (0.65 * lx, (top + ly) / 2 - 0.03), (0.65 * rx, (top + ry) / 2 - 0.03)
    upper = open_curve([left, slopes[0], (0, top), slopes[1], right])
    return np.concatenate([upper, open_curve([right, (0, lip + 0.02), left])])
