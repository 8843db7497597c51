"""Light and shade: a face as an ellipsoid with Gaussian hills and hollows, lit from one side (Lambert, Phong)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.drawn.anatomy import Anatomy
from mien.data.drawn.face import Face, Scene

Relief = NDArray[np.float64]
_CENTRE_Y, _DEPTH = 0.08, 1.0
# The face's outline is at depth 0, so that hair and skin turn together there; for the light the ellipsoid is a
# little larger, or the outline would be black.
_HALF_WIDTH, _HALF_HEIGHT = 1.0, 1.58
_LIT_HALF_WIDTH, _LIT_HALF_HEIGHT = 1.12, 1.72


def surface_depth(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the surface of the bare ellipsoid is towards the viewer at (x, y), in face units; 0 outside."""
    r2 = (x / _HALF_WIDTH) ** 2 + ((y - _CENTRE_Y) / _HALF_HEIGHT) ** 2
    return _DEPTH * np.sqrt(np.maximum(0.0, 1 - r2))


def relief(anatomy: Anatomy, face: Face) -> Relief:
    """Hills and hollows (k, 6): centre x and y, radii along both axes, tilt in radians, height in face units."""
    who, act = face.identity, face.actions
    base, half, chin = anatomy.nose_base, anatomy.nose_halfwidth, anatomy.chin
    mouth = anatomy.mouth
    middle = len(mouth.outer_lower) // 2
    top, bottom = float(mouth.outer_upper[middle, 1]), float(mouth.outer_lower[middle, 1])
    adult = 1 - 0.6 * anatomy.child
    hills: list[tuple[float, ...]] = [
        (0, 0.3 * base, 0.1, 0.34, 0, 0.17 * adult),
        (0, base - 0.14, 0.13, 0.11, 0, 0.17),
        (0, base + 0.12, 0.09, 0.08, 0, -0.03),
        (0, (top + bottom) / 2, 0.42, 0.3, 0, 0.08),
        (0, top, 0.2, 0.05, 0, 0.02 + 0.01 * who.lip_fullness),
        (0, bottom - 0.04, 0.18, 0.05, 0, 0.035 + 0.01 * who.lip_fullness),
        (0, bottom + 0.1, 0.2, 0.07, 0, -0.06),
        (0, chin - 0.2, 0.2, 0.16, 0, 0.09 + 0.05 * act.both(17)),
        (0, -0.2, 0.12, 0.12, 0, -0.03 + 0.03 * act.both(4)),
        (0, -0.75, 0.6, 0.35, 0, 0.05),
    ]
    for s, units, eye in zip((-1.0, 1.0), (act.left, act.right), anatomy.eyes, strict=True):
        raised = max(units.get(6, 0.0), units.get(12, 0.0))
        x, y = eye.iris
        hills += [
            (s * half * 0.8, base - 0.1 - 0.05 * units.get(9, 0.0), 0.09, 0.09, 0, 0.08),
            (s * 0.42, -0.27, 0.3, 0.1, s * -0.15, 0.06 * adult),
            (s * 0.36, 0.02, 0.24, 0.15, 0, -0.13),
            (x, y, 0.17, 0.12, 0, 0.06),
            (s * (0.6 + 0.02 * who.cheekbones), 0.45 - 0.07 * raised, 0.24, 0.19, 0, 0.07 + 0.07 * raised),
            (s * 0.66, 0.98, 0.16, 0.28, s * 0.3, -0.05 * who.age - 0.01),
            (s * 0.98, -0.45, 0.15, 0.32, 0, -0.07),
        ]
    return np.array(hills, np.float64)


def shading(
    x: NDArray[np.float32], y: NDArray[np.float32], hills: Relief, scene: Scene, *, centre: tuple[float, float]
) -> NDArray[np.float32]:
    """Factors (H, W) that the colours are multiplied with, about 1 where the light falls straight.

    Args:
        x: face coordinates of the pixels, (H, W), not rolled.
        y: the same, downwards.
        hills: from `relief`, already moved to where the turned head shows them.
        scene: light direction, ambient share and shine.
        centre: where the turned ellipsoid has its middle.
    """
    slope_x, slope_y = _hill_slopes(x, y, hills)
    dx = (x - centre[0]) / _LIT_HALF_WIDTH
    dy = (y - centre[1] - _CENTRE_Y) / _LIT_HALF_HEIGHT
    fall = _DEPTH / np.sqrt(np.maximum(0.06, 1 - dx * dx - dy * dy))
    slope_x -= fall * dx / _LIT_HALF_WIDTH
    slope_y -= fall * dy / _LIT_HALF_HEIGHT
    light = _unit(scene.light_x, scene.light_y, 1.1)
    diffuse = _facing(light, slope_x, slope_y) / (0.35 + 0.65 * light[2])
    glance = _facing(_unit(light[0], light[1], light[2] + 1), slope_x, slope_y)
    for _ in range(4):  # to the power of 16
        glance *= glance
    return scene.ambient + (1 - scene.ambient) * diffuse + 0.22 * scene.shine * glance


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = (x * x + y * y + z * z) ** 0.5
    return x / length, y / length, z / length


def _facing(
    direction: tuple[float, float, float], slope_x: NDArray[np.float32], slope_y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosine (H, W) between the surface and a direction, 0 where it faces away."""
    along = direction[2] - direction[0] * slope_x - direction[1] * slope_y
    cosine: NDArray[np.float32] = np.maximum(0, along / np.sqrt(1 + slope_x**2 + slope_y**2))
    return cosine


def _hill_slopes(
    x: NDArray[np.float32], y: NDArray[np.float32], hills: Relief
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sum of the slopes of all hills at every pixel: two matrix products around one exponential.

    A hill is h·exp(-q/2) with q = a·dx² + 2b·dx·dy + c·dy²: q is linear in (1, x, y, x², xy, y²), and so is its
    slope in (1, x, y) once the exponential is known.
    """
    cx, cy, rx, ry, tilt, height = hills.T
    cos, sin = np.cos(tilt), np.sin(tilt)
    a = (cos / rx) ** 2 + (sin / ry) ** 2
    b = cos * sin * (1 / rx**2 - 1 / ry**2)
    c = (sin / rx) ** 2 + (cos / ry) ** 2
    constant = a * cx * cx + 2 * b * cx * cy + c * cy * cy
    form = -0.5 * np.stack([constant, -2 * (a * cx + b * cy), -2 * (b * cx + c * cy), a, 2 * b, c], axis=1)
    fx, fy = x.ravel(), y.ravel()
    terms = np.stack([np.ones_like(fx), fx, fy, fx * fx, fx * fy, fy * fy])
    # Far from a hill the exponential would be a denormal number, which is slow to multiply with.
    bell = form.astype(np.float32) @ terms
    np.exp(np.maximum(bell, np.float32(-40), out=bell), out=bell)
    weights = np.stack([a, b, c, a * cx + b * cy, b * cx + c * cy]) * height
    sa, sb, sc, ox, oy = weights.astype(np.float32) @ bell
    return (ox - fx * sa - fy * sb).reshape(x.shape), (oy - fx * sb - fy * sc).reshape(x.shape)
