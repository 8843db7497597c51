"""Pixels as text: the fast way and the careful way agree, and every fault has a reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.data.formats.pixeltext import format_pixels, parse_text, parse_texts, side_of

images = st.integers(1, 6).flatmap(lambda side: arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(side * side))))


@given(images)
def test_text_written_and_read_is_the_same_picture(pixels: np.ndarray) -> None:
    parsed, faults = parse_texts([format_pixels(row).encode() for row in pixels], pixels.shape[1])
    assert (parsed == pixels).all()
    assert faults == {}


# Tokens that a fast reader might take for numbers: each is tried at each place of a row of otherwise good pixels.
ODD = [
    "256",
    "999",
    "1234",
    "0300",
    "-1",
    "+1",
    "1.0",
    "1e1",
    "x",
    "",
    "\t7",
    "٣",
    "7\x00",
    "1_0",
    "0x1",
    "/",
    ":",
    "²",
]


@pytest.mark.parametrize("token", ODD)
@pytest.mark.parametrize("place", [0, 4, 8])
def test_an_odd_token_is_read_as_the_careful_reader_reads_it(token: str, place: int) -> None:
    tokens = ["1", "22", "255", "0", "10", "100", "9", "99", "200"]
    tokens[place] = token
    row = " ".join(tokens)
    good = b"0 1 2 3 4 5 6 7 8"
    parsed, faults = parse_texts([good, row.encode(), good], 9)
    alone = parse_text(row, 9)
    assert faults == ({1: alone} if isinstance(alone, str) else {})
    assert parsed[1].tolist() == ([0] * 9 if isinstance(alone, str) else alone.tolist())
    assert parsed[0].tolist() == parsed[2].tolist() == list(range(9))


@given(st.lists(st.text("0123456789 -", max_size=24), min_size=1, max_size=40))
def test_many_rows_at_once_are_read_like_one_at_a_time(rows: list[str]) -> None:
    parsed, faults = parse_texts([row.encode() for row in rows], 4)
    for i, row in enumerate(rows):
        alone = parse_text(row, 4)
        assert faults.get(i, "") == (alone if isinstance(alone, str) else "")
        assert parsed[i].tolist() == ([0] * 4 if isinstance(alone, str) else alone.tolist())


def test_digits_of_one_row_never_leak_into_the_next() -> None:
    parsed, faults = parse_texts([b"1 2 3 25", b"5 1 1 1"], 4)
    assert parsed.tolist() == [[1, 2, 3, 25], [5, 1, 1, 1]]
    assert faults == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1 2 3", "3 pixels instead of 4"),
        ("1 2 3 4 5", "5 pixels instead of 4"),
        ("1 2 3 256", "pixel 3 is 256, beyond 0–255"),
        ("1 -2 3 4", "pixel 1 is '-2', not a whole number from 0 to 255"),
        ("1 2 x 4", "pixel 2 is 'x', not a whole number from 0 to 255"),
        ("", "no pixels"),
        ("99999999999999999999 1 1 1", "pixel 0 is 99999999999999999999, beyond 0–255"),
    ],
)
def test_the_reason_names_the_place_and_the_value(row: str, reason: str) -> None:
    assert parse_text(row, 4) == reason
    assert parse_texts([row.encode()], 4)[1] == {0: reason}


def test_spaces_in_excess_are_no_fault() -> None:
    parsed, faults = parse_texts([b"  1  2 3   4 "], 4)
    assert parsed.tolist() == [[1, 2, 3, 4]]
    assert not faults


def test_the_side_is_that_of_most_rows_even_when_the_first_is_broken() -> None:
    assert side_of([b"1 2 3", b"1 2 3 4", b"1 2 3 4"]) == 2
    assert side_of([b"1 2 3"]) is None
    assert side_of([]) is None
