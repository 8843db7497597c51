"""TensorBoard's Event as a protobuf message, built from its published field numbers, without TensorFlow or TensorBoard.

Source: tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto and histogram.proto.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

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
    "Summary": (("value", 1, _MESSAGE, "Value", True, False),),
    "Event": (
        ("wall_time", 1, _DOUBLE, "", False, False),
        ("step", 2, _INT64, "", False, False),
        ("file_version", 3, _STRING, "", False, True),
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
def event_class() -> Any:
    """The message class, in a pool of its own, so that TensorBoard can be loaded in the same process."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mien.tensorboard.Event"))
