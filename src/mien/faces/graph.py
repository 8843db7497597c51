"""An ONNX graph that was written for one size, opened to any: no package for it is needed, the rest is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mien.core.wire import bytes_field, fields, number_field

# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_MODEL_GRAPH = 7
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR = 1
_TENSOR_ELEMENT, _TENSOR_SHAPE = 1, 2
_SHAPE_DIM = 1
_DIM_VALUE, _DIM_NAME = 1, 2
_FLOAT = 1

Shape = tuple[int | str, ...]


def with_shapes(model: bytes, shapes: Mapping[str, Shape]) -> bytes:
    """The model with other shapes declared for some of its float inputs and outputs; it has to be able to take them.

    Args:
        model: an ONNX file.
        shapes: by name; a string is a size that is free.

    Raises:
        ValueError: the bytes are no ONNX file, or have no input or output of that name.
    """
    left = set(shapes)
    opened = b"".join(_opened(memoryview(model), shapes, left))
    if left:
        raise ValueError(f"no input or output named {', '.join(sorted(left))}")
    return opened


def _opened(model: memoryview, shapes: Mapping[str, Shape], left: set[str]) -> Iterator[bytes]:
    for number, value, raw in fields(model):
        if number == _MODEL_GRAPH and isinstance(value, memoryview):
            yield bytes_field(_MODEL_GRAPH, b"".join(_graph(value, shapes, left)))
        else:
            yield bytes(raw)


def _graph(graph: memoryview, shapes: Mapping[str, Shape], left: set[str]) -> Iterator[bytes]:
    for number, value, raw in fields(graph):
        name = _name(value) if number in (_GRAPH_INPUT, _GRAPH_OUTPUT) and isinstance(value, memoryview) else ""
        if name in shapes:
            left.discard(name)
            yield bytes_field(number, _declaration(name, shapes[name]))
        else:
            yield bytes(raw)


def _name(value_info: memoryview) -> str:
    names = (
        bytes(v).decode() for number, v, _ in fields(value_info) if number == _VALUE_NAME and not isinstance(v, int)
    )
    return next(names, "")


def _declaration(name: str, shape: Shape) -> bytes:
    dims = (number_field(_DIM_VALUE, d) if isinstance(d, int) else bytes_field(_DIM_NAME, d.encode()) for d in shape)
    tensor = number_field(_TENSOR_ELEMENT, _FLOAT)
    tensor += bytes_field(_TENSOR_SHAPE, b"".join(bytes_field(_SHAPE_DIM, dim) for dim in dims))
    return bytes_field(_VALUE_NAME, name.encode()) + bytes_field(_VALUE_TYPE, bytes_field(_TYPE_TENSOR, tensor))
