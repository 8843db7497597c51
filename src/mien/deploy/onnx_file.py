"""What an ONNX file says about itself, read from its bytes before anything is built from it.

ONNX Runtime follows "external data": tensors that name another file to read their values from. Its versions
differ in which paths they refuse, so a file from a stranger is looked through here first, without the onnx
package. The wire format is https://protobuf.dev/programming-guides/encoding, the field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (a test compares them with the onnx package).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# message: {field: message inside}, for every way that leads from a model to a tensor.
TENSOR_PATHS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
}
METADATA = 14  # of ModelProto; entries with key = 1, value = 2
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of TensorProto

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class OnnxFile(NamedTuple):
    """The metadata of a model, and whether any of its tensors is kept in another file."""

    metadata: dict[str, str]
    has_external_data: bool


def scan(data: bytes) -> OnnxFile:
    """Walk through an ONNX model without building it.

    Raises:
        ValueError: the bytes are no protobuf message, such as a file that was cut off.
    """
    metadata: dict[str, str] = {}
    external = False
    # A stack instead of recursion: how deep graphs lie in each other is up to whoever wrote the file.
    waiting = [("ModelProto", memoryview(data))]
    while waiting:
        message, content = waiting.pop()
        inner = TENSOR_PATHS.get(message, {})
        for field, value in _fields(content):
            if message == "TensorProto":
                external |= field == EXTERNAL_DATA or (field == DATA_LOCATION and value != 0)
            elif isinstance(value, memoryview) and field in inner:
                waiting.append((inner[field], value))
            elif isinstance(value, memoryview) and message == "ModelProto" and field == METADATA:
                key, text = _entry(value)
                metadata[key] = text
    return OnnxFile(metadata, external)


def _entry(content: memoryview) -> tuple[str, str]:
    parts = {field: bytes(value) for field, value in _fields(content) if isinstance(value, memoryview)}
    return parts.get(1, b"").decode(), parts.get(2, b"").decode()


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; fixed-size numbers, which nothing here needs, count as 0."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind, value = key & 7, 0
        if kind == _LENGTH:
            length, position = _varint(content, position)
            yield key >> 3, content[position : position + length]
            position += length
        elif kind == _VARINT:
            value, position = _varint(content, position)
            yield key >> 3, value
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            position += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no protobuf message: wire type {kind}")
        if key >> 32 or position > len(content):
            raise ValueError("no protobuf message: a field is cut off or has no valid number")


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """A number of at most ten bytes, seven bits each, and the position after it."""
    value = 0
    for i, byte in enumerate(content[position : position + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, position + i + 1
    raise ValueError("no protobuf message: a number is cut off")
