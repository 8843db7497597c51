"""Neck, clothes and ears behind the face; glasses, a hand or a strand of hair before it."""

from __future__ import annotations

import numpy as np

from mien.data.drawn.anatomy import Anatomy
from mien.data.drawn.curves import Points, closed_curve, ellipse, mirrored, moved, open_curve, taper
from mien.data.drawn.face import Face, Glasses
from mien.data.drawn.ink import BLACK, WHITE, Palette, Patch, mix


def bust(face: Face, anatomy: Anatomy, colours: Palette) -> list[Patch]:
    """Clothes, neck and ears."""
    wide = 0.58 + 0.05 * face.identity.jaw - 0.12 * anatomy.child
    y = anatomy.chin
    neck = [(wide, 0.9), (wide, y + 0.05), (wide + 0.06, y + 0.25), (1.0, y + 0.4), (0.0, y + 0.9)]
    shoulders = [(2.4, y + 2.5), (2.2, y + 0.75), (1.4, y + 0.42), (0.66, y + 0.24), (0.0, y + 0.52)]
    under = ellipse((0.0, y - 0.12), (wide + 0.05, 0.3))
    patches = [
        Patch(open_curve(mirrored(neck)), mix(colours.skin, colours.shadow, 0.22), depth=-0.3, body=True),
        Patch(under, mix(colours.skin, colours.shadow, 0.45), depth=-0.3),
        Patch(open_curve(mirrored(shoulders)), colours.cloth, depth=-0.3, body=True),
    ]
    return patches if face.identity.hair == "scarf" else patches + _ears(face, colours)


def _ears(face: Face, colours: Palette) -> list[Patch]:
    size = 1 + 0.1 * face.identity.ears
    patches = []
    for s in (-1.0, 1.0):
        x = s * (0.97 + face.identity.face_width)
        for centre, radii, dark in (((x, 0.22), (0.125, 0.27), 0.12), ((x + s * 0.02, 0.2), (0.06, 0.17), 0.5)):
            outline = ellipse(centre, (radii[0] * size, radii[1] * size), 16)
            patches.append(Patch(outline, mix(colours.skin, colours.shadow, dark), depth=-0.05, body=True))
    return patches


def glasses(face: Face, anatomy: Anatomy, colours: Palette) -> list[Patch]:
    """Frames, or dark lenses."""
    style = face.identity.glasses
    if style == "none":
        return []
    frame = mix(BLACK, colours.cloth, 0.15)
    bridge = open_curve([(-0.17, 0.0), (0, -0.05), (0.17, 0.0)])
    patches = [Patch(bridge, frame, lift=0.2, body=True, width=np.full(len(bridge), 0.05))]
    for eye in anatomy.eyes:
        rim = moved(_rim(style), eye.sign * 0.45, 0.03)
        if style == "dark":
            patches.append(Patch(rim, mix(BLACK, WHITE, 0.08), lift=0.15, body=True))
            continue
        inside = 0.87 * rim + 0.13 * rim.mean(0)
        ring = np.concatenate([rim, rim[:1], inside[:1], inside[::-1]])
        patches.append(Patch(ring, frame, lift=0.15, body=True))
        arm = np.array([(eye.sign * 0.75, -0.02), (eye.sign * 0.97, -0.02)])
        patches.append(Patch(arm, frame, lift=0.05, body=True, width=np.full(2, 0.05)))
    return patches


def _rim(style: Glasses) -> Points:
    if style == "round":
        return ellipse((0, 0), (0.29, 0.27), 28)
    x, y = (0.31, 0.21) if style == "square" else (0.34, 0.25)
    upper = [(-x, -y), (0, -y * 1.02), (x, -y), (x * 0.98, 0.1)]
    return closed_curve([*upper, (x * 0.7, y), (0, y * 1.05), (-x * 0.7, y), (-x * 0.98, 0.1)], 4)


def cover(face: Face, colours: Palette, side: float) -> list[Patch]:
    """What hides a part of the face on one `side` (−1 or 1): a hand at the cheek or a strand of hair."""
    if face.scene.cover == "hand":
        return _hand(side, colours)
    if face.scene.cover == "strand" and face.identity.hair not in ("bald", "scarf", "cap"):
        line = open_curve(np.array([(0.2, -1.1), (0.55, -0.55), (0.66, 0.1), (0.6, 0.6)]) * (side, 1))
        width = 0.16 * taper(len(line), 0.9, 0.05)
        return [Patch(line, colours.hair, lift=0.05, body=True, width=width)]
    return []


def _hand(s: float, colours: Palette) -> list[Patch]:
    dark = mix(colours.skin, colours.shadow, 0.55)
    palm = closed_curve(np.array([(0.5, 1.5), (0.75, 1.15), (1.15, 1.2), (1.3, 1.8), (1.1, 2.4), (0.7, 2.3)]) * (s, 1))
    patches = [Patch(palm, colours.skin, depth=0.6, body=True)]
    for k in range(4):
        finger = [(0.62 + 0.15 * k, 1.5), (0.5 + 0.17 * k, 0.95), (0.5 + 0.18 * k, 0.5 + 0.05 * k * k)]
        line = open_curve(np.array(finger) * (s, 1), 6)
        width = 0.17 * np.sqrt(np.clip(1.02 - np.linspace(0, 1, len(line)) ** 8, 0, 1))
        patches.append(Patch(line, dark, depth=0.6, body=True, width=width + 0.025))
        patches.append(Patch(line, colours.skin, depth=0.6, width=width))
    return patches
