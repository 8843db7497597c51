"""Writing into an ONNX model what it is, so that its file needs nothing beside it."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import Message

from mien import __version__
from mien.core.files import atomic_path
from mien.core.spec import ModelSpec

# A protobuf message ends at 2 GiB; the rest is left to the graph.
LARGEST = 2**31 - 2**24


def write_signed(model: onnx.ModelProto, spec: ModelSpec, path: Path) -> None:
    """Write a model with its spec inside, if it is a right one; an old file is replaced as a whole."""
    sign(model, spec)
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def sign(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """The spec and mien's name go in; what others noted in the model, such as this machine's code, goes out."""
    _forget_origin(model)
    model.producer_name, model.producer_version = "mien", __version__
    model.graph.name = spec.architecture
    for key, text in spec.to_metadata().items():
        model.metadata_props.add(key=key, value=text)


def _forget_origin(message: Message) -> None:
    """Clear stack traces, names of modules and shapes in between, however deep in the model they are."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string", "value_info"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                _forget_origin(part)
