"""Opening the shapes of an ONNX graph without the onnx package, checked with it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.faces.graph import with_shapes


def blur(height: int, width: int) -> bytes:
    """A convolution that was written for one size."""
    kernel = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "kernel")
    node = helper.make_node("Conv", ["picture", "kernel"], ["blurred"], pads=[1, 1, 1, 1])
    shape = [1, 1, height, width]
    graph = helper.make_graph(
        [node],
        "blur",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("blurred", TensorProto.FLOAT, shape)],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"about": "ünïcode"})
    return model.SerializeToString()


FREE = {"picture": ("n", 1, "h", "w"), "blurred": ("n", 1, "h", "w")}


def test_a_graph_for_one_size_takes_any() -> None:
    session = ort.InferenceSession(with_shapes(blur(4, 4), FREE), providers=["CPUExecutionProvider"])
    [blurred] = session.run(None, {"picture": np.ones((3, 1, 7, 9), np.float32)})
    assert blurred.shape == (3, 1, 7, 9)
    assert blurred[2, 0, 3, 3] == pytest.approx(1)
    assert blurred[2, 0, 0, 0] == pytest.approx(4 / 9)


def test_nothing_but_the_named_shapes_changes() -> None:
    before, after = onnx.load_from_string(blur(4, 4)), onnx.load_from_string(with_shapes(blur(4, 4), FREE))
    onnx.checker.check_model(after, full_check=True)
    for value in (*after.graph.input, *after.graph.output):
        dims = value.type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["n", 1, "h", "w"]
        for dim, size in zip(dims, (1, 1, 4, 4), strict=True):
            dim.dim_value = size
    assert after == before


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no input or output named absent"):
        with_shapes(blur(4, 4), {"absent": (1,), "picture": ("n", 1, "h", "w")})


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="no protobuf message"):
        with_shapes(blur(4, 4)[:-3], FREE)
