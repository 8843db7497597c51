"""TensorBoard's events as protobuf messages, and event files read: without TensorFlow or TensorBoard.

Built from published field numbers: tensorflow/core/util/event.proto, and in tensorflow/core/framework summary.proto,
histogram.proto, graph.proto, node_def.proto, attr_value.proto and tensor_shape.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from mien.data.formats.record_file import read_records

EVENT_FILES = "events.out.tfevents.*.mien"
# The numbers of descriptor.proto for the type of a field.
_DOUBLE, _FLOAT, _INT64, _INT32, _STRING, _MESSAGE, _BYTES = 1, 2, 3, 5, 9, 11, 12
# message: (name, number, type, name of the message, repeated, in the message's oneof)
_MESSAGES: dict[str, tuple[tuple[str, int, int, str, bool, bool], ...]] = {
    "HistogramProto": (
        *(
            (name, i, _DOUBLE, "", False, False)
            for i, name in enumerate(("min", "max", "num", "sum", "sum_squares"), 1)
        ),
        ("bucket_limit", 6, _DOUBLE, "", True, False),
        ("bucket", 7, _DOUBLE, "", True, False),
    ),
    "Image": (
        *((name, i, _INT32, "", False, False) for i, name in enumerate(("height", "width", "colorspace"), 1)),
        ("encoded_image_string", 4, _BYTES, "", False, False),
    ),
    # The oneofs make a scalar of 0 something else than none.
    "Value": (
        ("tag", 1, _STRING, "", False, False),
        ("simple_value", 2, _FLOAT, "", False, True),
        ("image", 4, _MESSAGE, "Image", False, True),
        ("histo", 5, _MESSAGE, "HistogramProto", False, True),
    ),
    "Dim": (("size", 1, _INT64, "", False, False),),
    "TensorShape": (("dim", 2, _MESSAGE, "Dim", True, False),),
    "ListValue": (("shape", 7, _MESSAGE, "TensorShape", True, False),),
    "AttrValue": (
        ("list", 1, _MESSAGE, "ListValue", False, True),
        ("s", 2, _BYTES, "", False, True),
        ("i", 3, _INT64, "", False, True),
    ),
    # A map's entry: on the wire a repeated message of key and value.
    "Attr": (("key", 1, _STRING, "", False, False), ("value", 2, _MESSAGE, "AttrValue", False, False)),
    "NodeDef": (
        ("name", 1, _STRING, "", False, False),
        ("op", 2, _STRING, "", False, False),
        ("input", 3, _STRING, "", True, False),
        ("attr", 5, _MESSAGE, "Attr", True, False),
    ),
    "Versions": (("producer", 1, _INT32, "", False, False),),
    "GraphDef": (
        ("node", 1, _MESSAGE, "NodeDef", True, False),
        ("versions", 4, _MESSAGE, "Versions", False, False),
    ),
    "Summary": (("value", 1, _MESSAGE, "Value", True, False),),
    "Event": (
        ("wall_time", 1, _DOUBLE, "", False, False),
        ("step", 2, _INT64, "", False, False),
        ("file_version", 3, _STRING, "", False, True),
        ("graph_def", 4, _BYTES, "", False, True),
        ("summary", 5, _MESSAGE, "Summary", False, True),
    ),
}


def _file() -> Any:
    file = FileDescriptorProto(name="mien/event.proto", package="mien.tensorboard", syntax="proto3")
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        if any(field[-1] for field in fields):
            made.oneof_decl.add(name="what")
        for name, number, kind, other, repeated, one_of in fields:
            field = FieldDescriptorProto(name=name, number=number, type=kind, label=3 if repeated else 1)
            if other:
                field.type_name = f".mien.tensorboard.{other}"
            if one_of:
                field.oneof_index = 0
            made.field.append(field)
    return file


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """A pool of our own, so that TensorBoard can be loaded in the same process."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return pool


@cache
def message_class(name: str) -> Any:
    """The class of a message by name, such as GraphDef."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"mien.tensorboard.{name}"))


def event_class() -> Any:
    """The class of an event."""
    return message_class("Event")


def read_events(path: Path) -> Iterator[Any]:
    """The events of a file up to the first damaged one. Raises MienError when it cannot be opened."""
    for _, data, fault in read_records(path):
        if fault:
            return
        yield event_class().FromString(data)
