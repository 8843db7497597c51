from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.serve.header import LONGEST_SIDE, MOST_CHUNKS, MOST_SCANS, MOST_SEGMENTS, read_header
from mien.serve.problems import RequestError

PLENTY = 10**9
WAYS = [
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True, "quality": 30}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"exif": b"Exif\x00\x00" + b"\xff" * 300, "comment": b"\xff\xc0 not a frame"}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGBA", {}),
    ("WEBP", "RGB", {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}),
    ("WEBP", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (37, 21), "red")]}),
]


def file(kind: str, mode: str, size: tuple[int, int] = (37, 21), **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    opened = Image.fromarray(noise)
    picture = Image.new("I;16", size, 700) if mode == "I;16" else opened.convert(mode)
    saved = io.BytesIO()
    picture.save(saved, kind, **options)
    return saved.getvalue()


@pytest.mark.parametrize(("kind", "mode", "options"), WAYS)
def test_kind_and_size_are_those_that_pillow_sees(kind: str, mode: str, options: dict[str, object]) -> None:
    assert read_header(file(kind, mode, **options), max_pixels=PLENTY) == (kind, 37, 21)


@pytest.mark.parametrize("size", [(1, 1), (255, 257), (3000, 2), (2, 4097)])
@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})])
def test_sizes_of_more_than_a_byte_are_read(kind: str, options: dict[str, object], size: tuple[int, int]) -> None:
    assert read_header(file(kind, "RGB", size, **options), max_pixels=PLENTY)[1:] == size


@pytest.mark.parametrize(("kind", "mode", "options"), WAYS)
def test_a_file_cut_off_anywhere_is_read_or_refused(kind: str, mode: str, options: dict[str, object]) -> None:
    whole = file(kind, mode, **options)
    for end in range(len(whole)):
        try:
            assert read_header(whole[:end], max_pixels=PLENTY) == (kind, 37, 21)
        except RequestError as error:
            assert error.status in (415, 422)  # noqa: PT017


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(20), b"BM" + bytes(50), b"<svg/>", b"%PDF-1.7", b"http://localhost/a.png", b"\xff\xd8"],
)
def test_anything_else_is_refused_by_its_content(data: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_header(data, max_pixels=PLENTY)
    assert caught.value.body.code == "unsupported_type"


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]), st.binary(max_size=200))
def test_noise_behind_a_signature_is_read_or_refused(signature: bytes, noise: bytes) -> None:
    try:
        header = read_header(signature + noise, max_pixels=10**6)
        assert 0 < header.width * header.height <= 10**6
    except RequestError as error:
        assert error.status in (413, 422)  # noqa: PT017


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def jpeg_bomb(side: int) -> bytes:
    frame = struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def webp_bomb(side: int) -> bytes:
    canvas = (side - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("bomb", [png_bomb, jpeg_bomb, webp_bomb])
def test_a_small_file_that_says_it_is_huge_is_refused(bomb: Callable[[int], bytes]) -> None:
    with pytest.raises(RequestError, match="at most 25,000,000") as caught:
        read_header(bomb(16_000), max_pixels=25_000_000)
    assert caught.value.status == 413
    assert read_header(bomb(5000), max_pixels=25_000_000)[1:] == (5000, 5000)


def test_a_png_in_very_many_pieces_is_refused() -> None:
    start, end = png_bomb(8)[:33], chunk(b"IEND", b"")
    few = start + chunk(b"tEXt", b"") * (MOST_CHUNKS - 2) + end
    assert read_header(few, max_pixels=PLENTY)[1:] == (8, 8)
    with pytest.raises(RequestError, match="pieces"):
        read_header(few + end, max_pixels=PLENTY)


def test_a_jpeg_in_very_many_passes_is_refused() -> None:
    one = file("JPEG", "RGB", progressive=True)
    scan = one[one.index(b"\xff\xda") : -2]
    assert read_header(one, max_pixels=PLENTY)
    with pytest.raises(RequestError, match="passes"):
        read_header(one[:-2] + scan * MOST_SCANS + one[-2:], max_pixels=PLENTY)


def test_the_larger_a_jpeg_the_fewer_passes_it_may_have() -> None:
    one = file("JPEG", "RGB", progressive=True)
    assert one.count(b"\xff\xda") == 10
    twice = one[:-2] + one[one.index(b"\xff\xda") :]
    assert read_header(twice, max_pixels=37 * 21)
    with pytest.raises(RequestError, match="in more than 20 passes"):
        read_header(twice[:-2] + one[one.index(b"\xff\xda") :], max_pixels=37 * 21)


def test_what_a_phone_puts_behind_a_jpeg_is_no_part_of_it() -> None:
    one = file("JPEG", "RGB", progressive=True)
    assert read_header(one + one * MOST_SCANS + b"\xff\xda" * 1000, max_pixels=37 * 21)[1:] == (37, 21)


def test_what_looks_like_a_pass_in_a_comment_is_none() -> None:
    assert read_header(file("JPEG", "RGB", comment=b"\xff\xda" * 1000), max_pixels=37 * 21)[1:] == (37, 21)


@pytest.mark.parametrize("between", [b"", b"noise", b"\xff\x00", b"\xff\xff\xff", b"\xff\xd3", b"\xff\x02\xff\xff"])
def test_passes_cannot_be_hidden_by_what_a_decoder_skips(between: bytes) -> None:
    one = file("JPEG", "RGB", progressive=True)
    scan = between + one[one.index(b"\xff\xda") : -2]
    with pytest.raises(RequestError, match="passes"):
        read_header(one[:-2] + scan * MOST_SCANS + one[-2:], max_pixels=PLENTY)


def test_a_jpeg_in_very_many_pieces_is_refused() -> None:
    one = file("JPEG", "RGB")
    with pytest.raises(RequestError, match="pieces"):
        read_header(one[:-2] + b"\xff\xfe\x00\x02" * MOST_SEGMENTS + one[-2:], max_pixels=PLENTY)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    frame = struct.pack(">BHHB", 8, size[1], size[0], 1) + b"\x01\x11\x00"
    with pytest.raises(RequestError, match=r"says it is (0×5|5×0) pixels"):
        read_header(b"\xff\xd8\xff\xc0\x00\x0b" + frame, max_pixels=PLENTY)


def test_a_picture_of_one_endless_column_is_refused() -> None:
    assert read_header(file("PNG", "L", (1, LONGEST_SIDE)), max_pixels=PLENTY).height == LONGEST_SIDE
    with pytest.raises(RequestError, match="a side has at most 20,000") as error:
        read_header(file("PNG", "L", (1, LONGEST_SIDE + 1)), max_pixels=PLENTY)
    assert error.value.status == 413
