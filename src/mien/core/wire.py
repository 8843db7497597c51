"""Protobuf's wire format, as far as reading and patching ONNX files needs it without any package for it.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: which field.
        value: a number, or the bytes of a string or a message inside; fixed-size numbers, which nothing here needs,
            count as 0.
        raw: the whole field as it stands, to be copied.
    """

    number: int
    value: int | memoryview
    raw: memoryview


def fields(content: memoryview) -> Iterator[Field]:
    """The fields of a message in their order.

    Raises:
        ValueError: the bytes are no protobuf message, such as one that was cut off.
    """
    position = 0
    while position < len(content):
        start = position
        key, position = _read_varint(content, position)
        kind = key & 7
        value: int | memoryview = 0
        if kind == _LENGTH:
            length, position = _read_varint(content, position)
            value, position = content[position : position + length], position + length
        elif kind == _VARINT:
            value, position = _read_varint(content, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            position += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no protobuf message: wire type {kind}")
        if key >> 32 or position > len(content):
            raise ValueError("no protobuf message: a field is cut off or has no valid number")
        yield Field(key >> 3, value, content[start:position])


def _read_varint(content: memoryview, position: int) -> tuple[int, int]:
    """A number of at most ten bytes, seven bits each, and the position after it."""
    value = 0
    for i, byte in enumerate(content[position : position + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, position + i + 1
    raise ValueError("no protobuf message: a number is cut off")


def number_field(number: int, value: int) -> bytes:
    """A field that holds a number of at least 0."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that holds a string or a message."""
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
