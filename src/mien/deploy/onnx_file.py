"""What an ONNX file says about itself, read from its bytes before anything is built from it.

ONNX Runtime follows "external data": tensors that name another file to read their values from. Its versions
differ in which paths they refuse, so a file from a stranger is looked through here first, without the onnx
package. The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (a test compares
them with the onnx package).
"""

from __future__ import annotations

from typing import NamedTuple

from mien.core.wire import fields

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
        for field, value, _ in fields(content):
            if message == "TensorProto":
                external |= field == EXTERNAL_DATA or (field == DATA_LOCATION and value != 0)
            elif isinstance(value, memoryview) and field in inner:
                waiting.append((inner[field], value))
            elif isinstance(value, memoryview) and message == "ModelProto" and field == METADATA:
                key, text = _entry(value)
                metadata[key] = text
    return OnnxFile(metadata, external)


def _entry(content: memoryview) -> tuple[str, str]:
    parts = {field: bytes(value) for field, value, _ in fields(content) if isinstance(value, memoryview)}
    return parts.get(1, b"").decode(), parts.get(2, b"").decode()
