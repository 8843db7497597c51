"""Reading an ONNX file's metadata, and finding tensors kept elsewhere, without building the model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mien.deploy.onnx_file import DATA_LOCATION, EXTERNAL_DATA, METADATA, TENSOR_PATHS, scan


def model_with(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph([*nodes], "g", [], [output], [*initializers])
    model = helper.make_model(graph)
    helper.set_model_props(model, {"mien": "ünïcode {}", "other": ""})
    return model


def tensor() -> TensorProto:
    return numpy_helper.from_array(np.ones(2, np.float32), "elsewhere")


def in_initializer(value: TensorProto) -> onnx.ModelProto:
    return model_with(initializers=(value,))


def in_attribute(value: TensorProto) -> onnx.ModelProto:
    return model_with(helper.make_node("Constant", [], ["y"], value=value))


def in_attribute_list(value: TensorProto) -> onnx.ModelProto:
    return model_with(helper.make_node("Custom", [], ["y"], values=[tensor(), value]))


def in_branch(value: TensorProto) -> onnx.ModelProto:
    inner = in_attribute(value).graph
    return model_with(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=in_attribute(tensor()).graph))


def in_function(value: TensorProto) -> onnx.ModelProto:
    model = model_with(helper.make_node("f", [], ["y"], domain="d"))
    body = [helper.make_node("Constant", [], ["y"], value=value)]
    model.functions.append(helper.make_function("d", "f", [], ["y"], body, [helper.make_opsetid("", 18)]))
    return model


def in_sparse_tensor(value: TensorProto) -> onnx.ModelProto:
    model = model_with()
    model.graph.sparse_initializer.add(values=value, indices=numpy_helper.from_array(np.arange(2)), dims=[4])
    return model


def in_training_graph(value: TensorProto) -> onnx.ModelProto:
    model = model_with()
    model.training_info.add().algorithm.CopyFrom(in_initializer(value).graph)
    return model


PLACES = [
    in_initializer,
    in_attribute,
    in_attribute_list,
    in_branch,
    in_function,
    in_sparse_tensor,
    in_training_graph,
]


def by_location(value: TensorProto) -> None:
    value.data_location = TensorProto.EXTERNAL


def by_entry(value: TensorProto) -> None:
    value.external_data.add(key="location", value="../../secret")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mark", [by_location, by_entry])
def test_external_data_is_found_wherever_a_tensor_can_be(
    place: Callable[[TensorProto], onnx.ModelProto], mark: Callable[[TensorProto], None]
) -> None:
    outside, inside = tensor(), tensor()
    mark(outside)
    assert scan(place(outside).SerializeToString()).has_external_data
    assert not scan(place(inside).SerializeToString()).has_external_data


def test_metadata_is_read_as_the_onnx_package_writes_it() -> None:
    assert scan(model_with().SerializeToString()).metadata == {"mien": "ünïcode {}", "other": ""}


def test_a_file_cut_off_anywhere_is_refused_or_lacks_its_metadata() -> None:
    whole = in_branch(tensor()).SerializeToString()  # the metadata stand at its end
    outcomes = set()
    for length in range(len(whole)):
        try:
            outcomes.add("whole" if "other" in scan(whole[:length]).metadata else "lacking")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"refused", "lacking"}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        metadata = scan(data).metadata
    except ValueError:
        return
    assert all(isinstance(text, str) for item in metadata.items() for text in item)


def test_graphs_nested_ten_thousand_deep_are_walked_through() -> None:
    outside = tensor()
    by_location(outside)
    node = field(1, field(5, field(5, outside.SerializeToString())))  # graph.node.attribute.t
    for _ in range(10_000):
        node = field(1, field(5, field(6, node)))  # graph.node.attribute.g
    assert scan(field(7, node)).has_external_data


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def test_every_way_to_a_tensor_in_the_onnx_format_is_known() -> None:
    """Against the installed onnx package: a later version of the format may add a way."""
    wanted: dict[str, dict[int, str]] = {}
    waiting = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        for f in message.fields:
            if f.message_type is not None and leads_to_tensor(f.message_type, frozenset()):
                wanted.setdefault(message.name, {})[f.number] = f.message_type.name
                if f.message_type.name not in (*wanted, "TensorProto"):
                    waiting.append(f.message_type)
    assert wanted == TENSOR_PATHS


def leads_to_tensor(message: object, seen: frozenset[str]) -> bool:
    if message.name == "TensorProto":
        return True
    inner = [f.message_type for f in message.fields if f.message_type is not None]
    return any(leads_to_tensor(m, seen | {message.name}) for m in inner if m.name not in seen)


def test_field_numbers_are_those_of_the_onnx_package() -> None:
    fields = onnx.TensorProto.DESCRIPTOR.fields_by_name
    assert (fields["external_data"].number, fields["data_location"].number) == (EXTERNAL_DATA, DATA_LOCATION)
    assert onnx.ModelProto.DESCRIPTOR.fields_by_name["metadata_props"].number == METADATA
