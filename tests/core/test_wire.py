"""Protobuf's wire format: what is written is read, what is read can be copied, what is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.wire import bytes_field, fields, number_field

NUMBERS = st.integers(1, 2**29 - 1)
ANY_FIELD = st.one_of(
    st.builds(number_field, NUMBERS, st.integers(0, 2**64 - 1)),
    st.builds(bytes_field, NUMBERS, st.binary(max_size=300)),
)


@given(st.lists(ANY_FIELD, max_size=5))
def test_fields_can_be_taken_apart_and_put_together(made: list[bytes]) -> None:
    found = list(fields(memoryview(b"".join(made))))
    assert [bytes(field.raw) for field in found] == made


@given(NUMBERS, st.integers(0, 2**64 - 1), st.binary(max_size=300))
def test_numbers_and_bytes_come_back(number: int, value: int, content: bytes) -> None:
    [first, second] = fields(memoryview(number_field(number, value) + bytes_field(number, content)))
    assert (first.number, first.value) == (number, value)
    assert (second.number, bytes(second.value)) == (number, content)


@pytest.mark.parametrize("content", [b"\x0a", b"\x0a\x05ab", b"\x80" * 11, b"\x0b", b"\x09\x00"])
def test_what_is_cut_off_or_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no protobuf message"):
        list(fields(memoryview(content)))
