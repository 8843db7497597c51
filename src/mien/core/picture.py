"""From a file, bytes, PIL picture or array to uint8 pixels, the same way at import and at prediction."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.core.errors import MienError

Pixels = NDArray[np.uint8]
MAX_PIXELS = 64_000_000
_STRIP_PIXELS = 250_000
# Endings of picture files, in lower case: what import takes and what prediction looks for in folders.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"),
    *(".jfif", ".avif", ".heic", ".heif"),
)
# ISO/IEC 23008-12: what a HEIF file with HEVC pictures calls itself.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_GREY = ("1", "L", "LA", "La")
_ORIENTATION = 0x0112
_FIRST_ON_ITS_SIDE = 5  # EXIF orientations 5 to 8 swap height and width
# What turns a picture of an EXIF orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WITH_ORIENTATION = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
# What Pillow raises for files that are not what they say, also where warnings are errors. RuntimeError comes from the
# AVIF decoder, and as NotImplementedError from formats of which it knows a part.
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, LookupError, TypeError, OverflowError, RuntimeError),
    *_TOO_LARGE,
)


def decode(
    source: Path | bytes, *, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] | None = None
) -> Image.Image:
    """Read one picture completely, upright and in mode L or RGB.

    EXIF rotation is applied, palettes and CMYK become RGB, 16-bit and float grey is scaled to 8 bits,
    transparency is laid over white, and of an animation the first frame is taken. Only `formats` (Pillow's names)
    are tried; None: all that Pillow knows.

    Raises:
        MienError: the file cannot be read, is truncated, or its header claims more than `max_pixels`.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    try:
        with _open(source, formats) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise MienError(f"{name}: {width}×{height} pixels, more than {max_pixels:,}", hint="make it smaller")
            picture.seek(0)
            picture.load()
            return _plain(_upright(picture))
    except UnidentifiedImageError:
        if formats is None and _is_heif(source):
            hint = "pip install pillow-heif, or save it as JPEG"
            raise MienError(f"{name}: HEIC pictures need the package pillow-heif", hint=hint) from None
        raise MienError(f"{name}: not a picture that can be read", hint="use JPEG, PNG or WebP") from None
    except FileNotFoundError:
        raise MienError(f"{name}: no such file") from None
    except _TOO_LARGE:  # where Pillow's own limit comes first
        raise MienError(f"{name}: too many pixels to be read", hint="make it smaller") from None
    except _DAMAGED as error:
        raise MienError(f"{name}: damaged or unreadable ({error})") from None


def _open(source: Path | bytes, formats: tuple[str, ...] | None = None) -> Image.Image:
    """As `Image.open`; HEIC, the format of many phones, is opened where its plugin is installed."""
    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    except UnidentifiedImageError:
        if formats is not None or not _is_heif(source) or not _register_heif():
            raise
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _is_heif(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        head = source[:12]
    else:
        with source.open("rb") as file:
            head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _register_heif() -> bool:
    """Make Pillow know HEIC. By name, because the plugin is optional and part of no extra (its codecs' licences)."""
    if find_spec("pillow_heif") is None:
        return False
    import_module("pillow_heif").register_heif_opener()
    return True


def from_pil(picture: Image.Image) -> Image.Image:
    """An opened PIL picture upright and in mode L or RGB, as `decode` gives it; of an animation the frame it is at.

    Raises:
        MienError: its file turns out to be truncated or unreadable.
    """
    try:
        picture.load()
        return _plain(_upright(picture))
    except _DAMAGED as error:
        raise MienError(f"picture: damaged or unreadable ({error})") from None


def _upright(picture: Image.Image) -> Image.Image:
    """A copy turned as its EXIF data say. Pillow's own would also write these anew, which fails for many a camera's."""
    turn = _TURNS.get(_orientation(picture))
    if turn is None:
        return picture.copy()
    turned = picture.transpose(turn)
    for key in _WITH_ORIENTATION:
        turned.info.pop(key, None)
    return turned


def _orientation(picture: Image.Image) -> int:
    """1 to 8 of EXIF; 1, upright, where the picture does not say or its EXIF data are damaged."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
        return int(value) if value in _TURNS else 1
    except Exception:  # what the parser raises for damaged data is anything from struct.error to a warning
        return 1


def peek(source: Path | bytes) -> tuple[int, int, int] | None:
    """Height, width and channels (1 or 3) of a picture as `decode` would give it, from the header alone.

    None when it is no picture, or a larger one than `decode` takes. Channels are 3 for a palette, whatever its colours.
    """
    try:
        with _open(source) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                return None
            channels = 1 if picture.mode in (*_GREY, "F") or picture.mode.startswith("I") else 3
            return (width, height, channels) if _lies_on_its_side(picture) else (height, width, channels)
    except _DAMAGED:
        return None


def _lies_on_its_side(picture: Image.Image) -> bool:
    """Whether the size of an opened, not yet decoded picture has height and width swapped."""
    if picture.format == "PNG" and not any(key in picture.info for key in _WITH_ORIENTATION):
        return False  # asking it for its EXIF data would decode the whole picture
    # Pillow gives the size of a TIFF as its own tag turns it, but not as XMP does.
    in_tag = getattr(picture, "tag_v2", {}).get(_ORIENTATION, 1) if picture.format == "TIFF" else 1
    return in_tag not in _TURNS and _orientation(picture) >= _FIRST_ON_ITS_SIDE


def _plain(picture: Image.Image) -> Image.Image:
    """Mode L or RGB. A picture that was grey with transparency stays grey: white shows through as white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _eight_bits(picture)
    if picture.has_transparency_data:
        rgba = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return flat.convert("L" if picture.mode in _GREY else "RGB")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode in _GREY else "RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit or 32-bit grey as 8 bits: by the type's range where it holds, else by the picture's own maximum."""
    top = max((values.max(initial=0) for values in _strips(picture)), default=0)
    scale = 255 / (1 if picture.mode == "F" and top <= 1 else 255 if top <= 255 else 65535 if top <= 65535 else top)
    return Image.fromarray(np.concatenate([(values * scale).round().astype(np.uint8) for values in _strips(picture)]))


def _strips(picture: Image.Image) -> Iterator[NDArray[np.float64]]:
    """The values of a grey picture from top to bottom, none below 0; all at once would take eight bytes each."""
    width, height = picture.size
    rows = max(1, _STRIP_PIXELS // max(width, 1))
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        yield np.nan_to_num(np.asarray(strip, np.float64).clip(min=0))


def to_array(picture: Image.Image, *, channels: int | None = None) -> Pixels:
    """Pixels of shape (H, W) for grey or (H, W, 3); `channels` 1 or 3 converts (ITU-R 601 luma)."""
    if channels is not None:
        picture = picture.convert("L" if channels == 1 else "RGB")
    return np.asarray(picture, np.uint8)


def is_grey(pixels: Pixels) -> bool:
    """Whether a picture has no colour: two dimensions, or three equal channels."""
    return pixels.ndim == 2 or bool((pixels[..., :1] == pixels[..., 1:]).all())


def square(picture: Image.Image) -> Image.Image:
    """The centre square: the longer side is cut to the length of the shorter one."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return picture if width == height else picture.crop((left, top, left + side, top + side))


def fit(picture: Image.Image, height: int, width: int) -> Image.Image:
    """Resize to height × width with an antialiased bilinear filter; a picture of that size is returned as it is."""
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=None)


def conform(picture: Image.Image, height: int, width: int, *, channels: int | None) -> Pixels:
    """A decoded picture as pixels of one size, (height, width) or (height, width, 3): import and prediction share it.

    A picture of that size keeps its pixels. Else, when a square is wanted, the centre square of the picture is
    taken, and then resized; the colour is converted last.
    """
    if picture.size != (width, height):
        picture = fit(square(picture) if height == width else picture, height, width)
    return to_array(picture, channels=channels)
