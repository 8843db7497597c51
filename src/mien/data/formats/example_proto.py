"""tensorflow.Example as a protobuf message, built from its published field numbers, without TensorFlow.

The messages live in a descriptor pool of their own, so that TensorFlow can be loaded in the same process.
Source: tensorflow/core/example/example.proto and feature.proto.
"""

from __future__ import annotations

from functools import cache
from typing import Any

# The numbers of descriptor.proto: types and labels of a field.
_FLOAT, _INT64, _STRING, _MESSAGE, _BYTES = 2, 3, 9, 11, 12
_OPTIONAL, _REPEATED = 1, 3
_LISTS = {"BytesList": _BYTES, "FloatList": _FLOAT, "Int64List": _INT64}


def _field(name: str, number: int, kind: int, *, type_name: str = "", repeated: bool = False) -> Any:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto  # see example_class

    label = _REPEATED if repeated else _OPTIONAL
    return FieldDescriptorProto(
        name=name, number=number, type=kind, label=label, type_name=f".tensorflow.{type_name}" if type_name else None
    )


def _file() -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # see example_class

    file = FileDescriptorProto(name="mien/example.proto", package="tensorflow", syntax="proto3")
    for name, kind in _LISTS.items():
        file.message_type.add(name=name).field.append(_field("value", 1, kind, repeated=True))
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(_LISTS, start=1):
        field = _field(name.removesuffix("List").lower() + "_list", number, _MESSAGE, type_name=name)
        field.oneof_index = 0
        feature.field.append(field)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.append(_field("key", 1, _STRING))
    entry.field.append(_field("value", 2, _MESSAGE, type_name="Feature"))
    features.field.append(_field("feature", 1, _MESSAGE, type_name="Features.FeatureEntry", repeated=True))
    file.message_type.add(name="Example").field.append(_field("features", 1, _MESSAGE, type_name="Features"))
    return file


@cache
def example_class() -> Any:
    """The message class. protobuf is loaded here, as only TFRecord files need it and every import of data would pay."""
    from google.protobuf import descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def parse(data: bytes) -> Any | None:
    """The Example that `data` serialises, or None when it is none."""
    from google.protobuf.message import DecodeError  # see example_class

    try:
        return example_class().FromString(data)
    except DecodeError:
        return None


def values(example: Any, *keys: str) -> list[Any]:
    """The values of the first of `keys` that the example has; empty when it has none of them."""
    features = example.features.feature
    for key in keys:
        if key in features:
            kind = features[key].WhichOneof("kind")
            return list(getattr(features[key], kind).value) if kind else []
    return []


def build(features: dict[str, list[bytes] | list[int]]) -> bytes:
    """A serialised Example; lists of bytes and of whole numbers."""
    example = example_class()()
    for key, items in features.items():
        feature = example.features.feature[key]
        target = feature.bytes_list if items and isinstance(items[0], bytes) else feature.int64_list
        target.value.extend(items)
    return bytes(example.SerializeToString(deterministic=True))
