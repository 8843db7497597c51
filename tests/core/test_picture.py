"""Files of every odd kind become upright 8-bit pixels in grey or RGB, or an error that names the fault."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from mien.core.errors import MienError
from mien.core.picture import decode, fit, from_pil, is_grey, peek, square, to_array

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (12, 20), dtype=np.uint8)


def encoded(picture: Image.Image | np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file with this picture."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and then has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_files_keep_every_pixel(form: str) -> None:
    assert (to_array(decode(encoded(COLOUR, form))) == COLOUR).all()
    assert (to_array(decode(encoded(GREY, form))) == GREY).all()


def test_a_file_is_read_like_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(GREY))
    assert (to_array(decode(tmp_path / "a.png")) == GREY).all()


@pytest.mark.parametrize(("form", "noise"), [("PNG", COLOUR), ("JPEG", COLOUR), ("GIF", GREY), ("WEBP", COLOUR)])
def test_a_truncated_file_is_an_error_that_says_so(tmp_path: Path, form: str, noise: np.ndarray) -> None:
    large = np.kron(noise, np.ones((8, 8) if noise.ndim == 2 else (8, 8, 1), np.uint8))
    whole = encoded(large, form)
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MienError, match="cut: damaged or unreadable"):
        decode(tmp_path / "cut")


@pytest.mark.parametrize("data", [b"", b"not a picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(MienError, match="not a picture that can be read"):
        decode(data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"gone\.png: no such file"):
        decode(tmp_path / "gone.png")


def test_sixteen_bit_grey_is_scaled_by_its_range() -> None:
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert to_array(decode(encoded(values))).tolist() == [[0, 1, 128, 255]]


def test_eight_bit_values_in_a_sixteen_bit_file_are_kept() -> None:
    values = np.array([[0, 7, 128, 255]], np.uint16)
    assert to_array(decode(encoded(values))).tolist() == [[0, 7, 128, 255]]


def test_sixteen_bit_grey_takes_no_multiple_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(1500 * 2001, dtype=np.uint32).reshape(1500, 2001) % 65536
    picture = Image.fromarray(values.astype(np.uint16))
    tracemalloc.start()
    pixels = to_array(from_pil(picture))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(pixels, np.rint(values / 257).astype(np.uint8))
    assert peak < 6 * values.size
    monkeypatch.setattr("mien.core.picture._STRIP_PIXELS", 1)
    np.testing.assert_array_equal(to_array(from_pil(picture.crop((0, 0, 2001, 7)))), pixels[:7])


def test_float_grey_from_zero_to_one_is_scaled() -> None:
    values = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert to_array(decode(encoded(values, "TIFF"))).tolist() == [[0, 128, 255]]


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    pixels = to_array(decode(encoded(red, "TIFF")))
    assert pixels.shape == (4, 4, 3)
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = to_array(decode(encoded(red, "JPEG", quality=95))).astype(int)
    assert abs(pixels[8, 8] - [255, 0, 0]).max() <= 4


def test_a_palette_becomes_its_colours() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    assert to_array(decode(encoded(picture))).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_the_transparent_colour_of_a_palette_becomes_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    for form in ("PNG", "GIF"):
        assert to_array(decode(encoded(picture, form, transparency=0)))[0].tolist()[0] == [255, 255, 255]
        assert to_array(decode(encoded(picture, form, transparency=0)))[0].tolist()[1] == [200, 100, 50]


def test_transparency_is_laid_over_white_and_grey_stays_grey() -> None:
    grey = Image.new("LA", (3, 1))
    for x, alpha in enumerate((255, 0, 128)):
        grey.putpixel((x, 0), (0, alpha))
    assert to_array(decode(encoded(grey))).tolist() == [[0, 255, 127]]


def test_colour_with_transparency_is_laid_over_white() -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0))
    assert to_array(decode(encoded(picture))).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("mode", "clear", "expected"), [("L", 0, [[255, 9]]), ("RGB", (0, 0, 0), [[[255] * 3, [9] * 3]])]
)
def test_a_single_transparent_colour_becomes_white(mode: str, clear: Any, expected: list[Any]) -> None:
    picture = Image.new(mode, (2, 1))
    picture.putpixel((1, 0), 9 if mode == "L" else (9, 9, 9))
    assert to_array(decode(encoded(picture, transparency=clear))).tolist() == expected


def test_one_bit_pictures_become_black_and_white_grey() -> None:
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    assert to_array(decode(encoded(picture))).tolist() == [[0, 255]]


# What each orientation does to the stored picture so that it stands upright (EXIF 2.32, tag 0x0112).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_exif_orientation_is_applied_and_peek_knows_the_size(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(GREY, form, exif=exif)
    expected = UPRIGHT[orientation](GREY)
    assert (to_array(decode(data)) == expected).all()
    assert peek(data) == (*expected.shape, 1)


def test_a_rotated_jpeg_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((16, 32), np.uint8)
    stored[:, :16] = 255
    data = encoded(stored, "JPEG", exif=exif, quality=95)
    upright = to_array(decode(data))
    assert upright.shape == (32, 16) == peek(data)[:2]
    assert upright[:14].min() > 200
    assert upright[18:].max() < 50


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """One directory of tags: number, type, count, value."""
    body = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + b"\0\0\0\0"


ON_ITS_SIDE = (0x112, 3, 1, b"\x06\0\0\0")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("tags", "upright"),
    [
        pytest.param(exif(ON_ITS_SIDE, (0x100, 6, 4, b"\xff\xff\xff\xff")), (8, 16), id="a number below its range"),
        pytest.param(exif((0x111, 2, 4, b"abcd"), ON_ITS_SIDE), (8, 16), id="text for an offset"),
        pytest.param(exif(ON_ITS_SIDE, (0x100, 11, 1, b"\0\0\xc0\x7f")), (8, 16), id="no number"),
        pytest.param(b"Exif\0\0II*\0", (16, 8), id="cut off"),
        pytest.param(b"Exif\0\0II+\0\x08\0\0\0", (16, 8), id="cut off, for large files"),
        pytest.param(b"Exif\0\0nonsense", (16, 8), id="nonsense"),
    ],
)
def test_damaged_exif_data_do_no_harm_to_the_picture(form: str, tags: bytes, upright: tuple[int, int]) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 8), "red").save(file, form, exif=tags)
    picture = decode(file.getvalue())
    assert picture.size == upright
    assert from_pil(picture).size == upright  # not turned twice
    assert peek(file.getvalue()) == (*upright[::-1], 3)


_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_an_orientation_in_xmp_is_applied_and_peek_knows_the_size(form: str) -> None:
    tags = Image.Exif()
    tags[700] = _XMP
    data = encoded(Image.new("RGB", (20, 12)), form, **({"exif": tags} if form == "TIFF" else {"xmp": _XMP}))
    assert decode(data).size == (12, 20)
    assert peek(data) == (20, 12, 3)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_a_damaged_avif_is_an_error_that_says_so() -> None:
    whole = encoded(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), "AVIF")
    start = whole.index(b"mdat") + 4
    for data in (whole.replace(b"pitm", b"none"), whole[:start] + bytes(len(whole) - start)):
        assert peek(data) in (None, (48, 80, 3))
        with pytest.raises(MienError, match="damaged or unreadable"):
            decode(data)


def test_a_dds_of_an_unknown_kind_is_an_error_that_says_so() -> None:
    head = struct.pack("<7I44x", 124, 0x1007, 4, 4, 0, 0, 0)
    data = b"DDS " + head + struct.pack("<2I4s40x", 32, 4, b"ZZZZ")
    assert peek(data) is None
    with pytest.raises(MienError, match="damaged or unreadable"):
        decode(data)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("L", (6, 4), shade) for shade in (40, 120, 200)]
    for form in ("GIF", "TIFF", "PNG"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        pixels = to_array(decode(data), channels=1)
        assert pixels.shape == (4, 6)
        assert abs(pixels.astype(int) - 40).max() <= 1


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((9_000, 9_000), "9000×9000 pixels, more than 64,000,000"),
        ((11_000, 11_000), "11000×11000 pixels, more than 64,000,000"),
        ((60_000, 60_000), "picture: too many pixels to be read\n.*make it smaller"),  # for Pillow already
        ((2**31 - 1, 1), "picture: too many pixels to be read\n.*make it smaller"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as the command line does it
def test_a_huge_header_is_refused_without_allocating_its_pixels(size: tuple[int, int], message: str) -> None:
    decode(encoded(GREY))  # Pillow loads what it needs at the first picture
    tracemalloc.start()
    with pytest.raises(MienError, match=message):
        decode(png_header(*size))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_the_limit_of_pixels_can_be_lowered_and_is_named() -> None:
    with pytest.raises(MienError, match="20×12 pixels, more than 100"):
        decode(encoded(GREY), max_pixels=100)
    assert decode(encoded(GREY), max_pixels=240).size == (20, 12)


@pytest.mark.parametrize(
    ("picture", "channels"),
    [
        (GREY, 1),
        (COLOUR, 3),
        (Image.new("1", (20, 12)), 1),
        (Image.new("LA", (20, 12)), 1),
        (Image.new("P", (20, 12)), 3),
    ],
)
def test_peek_tells_height_width_and_channels_from_the_header(picture: Any, channels: int) -> None:
    assert peek(encoded(picture)) == (12, 20, channels)


def test_peek_knows_what_is_no_picture_and_what_is_too_large_to_be_taken() -> None:
    assert peek(b"nothing") is None
    assert peek(png_header(8_000, 8_000)) == (8_000, 8_000, 1)
    assert peek(png_header(8_001, 8_000)) is None


def test_channels_convert_by_luma_and_by_repetition() -> None:
    green = decode(encoded(np.full((2, 2, 3), (0, 255, 0), np.uint8)))
    assert to_array(green, channels=1).tolist() == [[150, 150], [150, 150]]  # 0.587 · 255
    repeated = to_array(decode(encoded(GREY)), channels=3)
    assert (repeated == GREY[..., None]).all()


def test_grey_is_seen_in_three_equal_channels_and_one_off_pixel_is_colour() -> None:
    three = np.repeat(GREY[..., None], 3, axis=2)
    assert is_grey(GREY)
    assert is_grey(three)
    three[3, 4, 1] ^= 1
    assert not is_grey(three)


def test_square_takes_the_middle_of_the_longer_side() -> None:
    wide = Image.fromarray(np.tile(np.arange(20, dtype=np.uint8), (12, 1)))
    assert to_array(square(wide))[0].tolist() == list(range(4, 16))
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    assert square(tall).size == (12, 12)
    alike = square(wide)
    assert square(alike) is alike


def test_fit_leaves_the_wanted_size_alone_and_averages_when_shrinking() -> None:
    picture = Image.fromarray(GREY)
    assert fit(picture, 12, 20) is picture
    halves = Image.fromarray(np.repeat(np.array([[0, 200]], np.uint8), 8, axis=1).repeat(16, axis=0))
    small = to_array(fit(halves, 2, 2))
    assert small[:, 0].max() < 60
    assert small[:, 1].min() > 140
    checks = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    assert abs(to_array(fit(checks, 8, 8)).astype(int) - 127).max() <= 3  # no aliasing
