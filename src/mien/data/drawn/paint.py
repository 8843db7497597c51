"""From a `Face` to pixels: fill its parts, lay light and folds over them, take the photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mien.core.errors import MienError
from mien.core.picture import Pixels
from mien.data.drawn import features, hair, outfit
from mien.data.drawn.anatomy import Anatomy, shape
from mien.data.drawn.camera import background, photograph
from mien.data.drawn.curves import closed_curve
from mien.data.drawn.face import Face
from mien.data.drawn.folds import fold_strokes
from mien.data.drawn.ink import Ink, Patch, palette
from mien.data.drawn.light import relief, shading, surface_depth
from mien.data.drawn.view import View

_LIGHT_PIXELS = 128
_FOLD_BLUR = 0.014


def draw_face(face: Face, *, size: int = 48, colour: bool = False) -> Pixels:
    """The picture of a face: uint8, (size, size), or (size, size, 3) in colour. The same face gives the same pixels.

    Raises:
        MienError: for a size under 16 pixels.
    """
    if size < 16:
        raise MienError(f"a drawn face needs at least 16 pixels, got {size}")
    anatomy, view, rng = shape(face), View(face.scene, size), np.random.default_rng(face.scene.seed)
    patches = _patches(face, anatomy, side=-1.0 if rng.random() < 0.5 else 1.0)
    strokes = fold_strokes(anatomy, face)
    outlines = view.outlines([*patches, *strokes], enlarge=_over(size))
    albedo, body = _fill(patches, outlines, size=size, colour=colour)
    folds = _soften(strokes, outlines[len(patches) :], view)
    lit = albedo * (_light(face, anatomy, view) * folds)[..., None]
    lit += (1 - body[..., None]) * background(rng, face.scene, size, albedo.shape[-1])
    pixels = photograph(rng, lit, face.scene)
    return pixels if colour else pixels[..., 0]


def _patches(face: Face, anatomy: Anatomy, *, side: float) -> list[Patch]:
    """Everything that is painted, from back to front; `side` is where a hand or strand is."""
    who, colours = face.identity, palette(face.identity)
    patches = hair.behind(who, colours) + outfit.bust(face, anatomy, colours)
    patches.append(Patch(closed_curve(anatomy.head), colours.skin, depth=0.0, body=True))
    patches += hair.beard(face, anatomy, colours)
    for eye in anatomy.eyes:
        patches += features.eye(eye, colours, crease=who.lid_fold, light_x=face.scene.light_x)
    for line, sign in zip(anatomy.brows, (-1, 1), strict=True):
        patches += features.brow(line, anatomy.brow_thickness, colours, sign)
    patches += features.nose(anatomy, face, colours) + features.mouth(anatomy.mouth, colours)
    patches += hair.in_front(who, colours) + outfit.glasses(face, anatomy, colours)
    return patches + outfit.cover(face, colours, side)


def _over(size: int) -> int:
    """How many times larger each side is painted, to be averaged down: antialiasing."""
    return 3 if size <= 64 else 2


def _fill(
    patches: list[Patch], outlines: list[list[float]], *, size: int, colour: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (size, size, 1 or 3) times the share (size, size) of each pixel that is person, and that share."""
    over = _over(size)
    canvas = Image.new("RGB" if colour else "L", (size * over, size * over))
    mask = Image.new("L", canvas.size)
    brush, cutter = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for patch, outline in zip(patches, outlines, strict=False):
        brush.polygon(outline, fill=_tone(patch.ink, colour))
        if patch.body:
            cutter.polygon(outline, fill=255)
    canvas.paste(0, mask=ImageChops.invert(mask))
    filled = np.asarray(canvas.reduce(over), np.float32).reshape(size, size, -1)
    return filled, np.asarray(mask.reduce(over), np.float32) / np.float32(255)


def _tone(ink: Ink, colour: bool) -> int | tuple[int, ...]:
    if colour:
        return (int(ink[0] + 0.5), int(ink[1] + 0.5), int(ink[2] + 0.5))
    return int(0.299 * ink[0] + 0.587 * ink[1] + 0.114 * ink[2] + 0.5)


def _soften(strokes: list[Patch], outlines: list[list[float]], view: View) -> NDArray[np.float32]:
    """Factors (size, size), below 1 along furrows and wrinkles."""
    over = _over(view.size)
    layer = Image.new("L", (view.size * over, view.size * over), 255)
    brush = ImageDraw.Draw(layer)
    for patch, outline in zip(strokes, outlines, strict=True):
        brush.polygon(outline, fill=int(patch.ink[0]))
    soft = layer.reduce(over).filter(ImageFilter.GaussianBlur(_FOLD_BLUR * view.scale))
    return np.asarray(soft, np.float32) / np.float32(255)


def _light(face: Face, anatomy: Anatomy, view: View) -> NDArray[np.float32]:
    """Shading factors (size, size); light changes slowly, so large pictures get it enlarged."""
    side = min(view.size, _LIGHT_PIXELS)
    hills = relief(anatomy, face)
    hills[:, :2] = view.turn(hills[:, :2], surface_depth(hills[:, 0], hills[:, 1]))
    middle_x, middle_y = view.turn(np.zeros((1, 2)), np.full(1, 0.35))[0].tolist()
    factors = shading(*view.grid(side), hills, face.scene, centre=(middle_x, middle_y))
    if side == view.size:
        return factors
    enlarged = Image.fromarray(factors).resize((view.size, view.size), Image.Resampling.BICUBIC)
    return np.asarray(enlarged, np.float32)
