"""tensorflow.Example as a protobuf message, built from its published field numbers, without TensorFlow.

The messages live in a descriptor pool of their own, so that TensorFlow can be loaded in the same process.
Source: tensorflow/core/example/example.proto and feature.proto.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_LISTS = {"BytesList": _Field.TYPE_BYTES, "FloatList": _Field.TYPE_FLOAT, "Int64List": _Field.TYPE_INT64}


def _field(name: str, number: int, kind: int, *, type_name: str = "", repeated: bool = False) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    return _Field(
        name=name, number=number, type=kind, label=label, type_name=f".tensorflow.{type_name}" if type_name else None
    )


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="mien/example.proto", package="tensorflow", syntax="proto3")
    for name, kind in _LISTS.items():
        file.message_type.add(name=name).field.append(_field("value", 1, kind, repeated=True))
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(_LISTS, start=1):
        field = _field(name.removesuffix("List").lower() + "_list", number, _Field.TYPE_MESSAGE, type_name=name)
        field.oneof_index = 0
        feature.field.append(field)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.append(_field("key", 1, _Field.TYPE_STRING))
    entry.field.append(_field("value", 2, _Field.TYPE_MESSAGE, type_name="Feature"))
    kind = _Field.TYPE_MESSAGE
    features.field.append(_field("feature", 1, kind, type_name="Features.FeatureEntry", repeated=True))
    file.message_type.add(name="Example").field.append(_field("features", 1, kind, type_name="Features"))
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())
Example: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("tensorflow.Example"))


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
    example = Example()
    for key, items in features.items():
        feature = example.features.feature[key]
        target = feature.bytes_list if items and isinstance(items[0], bytes) else feature.int64_list
        target.value.extend(items)
    return bytes(example.SerializeToString(deterministic=True))
