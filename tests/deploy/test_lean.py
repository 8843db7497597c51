"""An int8 graph made lean: what is pooled and what pixels become stay to the bit, what does not fit is left alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.deploy.lean import lean

STEP, ZERO = np.float32(0.05), np.uint8(7)


class Graph:
    """A quantised graph of one input and one output, built node by node."""

    def __init__(self, given: tuple[int, ...], taken: int = TensorProto.FLOAT) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.given = helper.make_tensor_value_info("given", taken, ["batch", *given])

    def add(self, op: str, *inputs: str | np.ndarray, **attributes: object) -> str:
        """A node; arrays among its inputs become initialisers. Gives the name of its output."""
        name = f"{op}{len(self.nodes)}"
        names = [one if isinstance(one, str) else self._tensor(f"{name}/{i}", one) for i, one in enumerate(inputs)]
        self.nodes.append(helper.make_node(op, names, [name], name, **attributes))
        return name

    def _tensor(self, name: str, values: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def grid(self, step: np.float32 = STEP, zero: np.integer = ZERO) -> tuple[str, str]:
        """Names of a step and of a zero point."""
        number = len(self.tensors)
        return self._tensor(f"step{number}", np.asarray(step)), self._tensor(f"zero{number}", np.asarray(zero))

    def held(self, value: str, grid: tuple[str, str] | None = None) -> str:
        """Rounded to 8 bits and back."""
        grid = grid or self.grid()
        return self.add("DequantizeLinear", self.add("QuantizeLinear", value, *grid), *grid)

    def model(self, output: str) -> onnx.ModelProto:
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "toy", [self.given], [out], self.tensors)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        made = onnx.shape_inference.infer_shapes(made)
        onnx.checker.check_model(made, full_check=True)
        return made


def convolution(
    side: int = 12,
    kernel: int = 3,
    inputs: int = 1,
    pool: dict[str, object] | None = None,
    zero: int = 0,
    **told: object,
) -> onnx.ModelProto:
    """Held input → convolution → held → 2×2 pooling → held, as `quantize_static` writes it."""
    rng, outputs = np.random.default_rng(kernel), 5
    graph = Graph((inputs, side, side))
    given = graph.held("given")
    integers = rng.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
    steps = rng.uniform(0.01, 0.03, outputs).astype(np.float32)
    zeros, many = np.full(outputs, zero, np.int8), np.zeros(outputs, np.int32)
    bias = rng.integers(-90, 90, outputs).astype(np.int32)
    weights = graph.add("DequantizeLinear", integers, steps, zeros, axis=0)
    added = graph.add("DequantizeLinear", bias, STEP * steps, many, axis=0)
    found = graph.add("Conv", given, weights, added, **{"pads": [1, 1, 1, 1], "kernel_shape": [kernel, kernel]} | told)
    pooling = {"kernel_shape": [2, 2], "strides": [2, 2]} if pool is None else pool
    grid = graph.grid()  # one for both, since pooling makes no new values
    return graph.model(graph.held(graph.add("MaxPool", graph.held(found, grid), **pooling), grid))


def answers(model: onnx.ModelProto, given: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"given": given})
    return np.asarray(found)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def seen(side: int, inputs: int = 1) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 3, (3, inputs, side, side)).astype(np.float32)


@pytest.mark.parametrize(
    ("side", "kernel", "told"),
    [
        (12, 3, {}),
        (11, 2, {"pads": [0, 1, 0, 1]}),  # of pads that differ: 10 rows and 12 columns
        (12, 2, {"pads": [1, 0, 0, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1, "auto_pad": "NOTSET"}),
        (12, 1, {"pads": [0, 0, 0, 0]}),
    ],
)
def test_a_thin_convolution_is_pooled_at_once_and_nothing_changes(
    side: int, kernel: int, told: dict[str, object]
) -> None:
    model = convolution(side, kernel, **told)
    made = lean(model)
    [conv] = [node for node in made.graph.node if node.op_type == "Conv"]
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in conv.attribute}
    assert (attributes["strides"], attributes["kernel_shape"]) == ([2, 2], [kernel + 1, kernel + 1])
    pictures = seen(side)
    found = answers(made, pictures)
    np.testing.assert_array_equal(found, answers(model, pictures))
    assert len(np.unique(found)) > 20
    np.testing.assert_array_equal(found[:1], answers(made, pictures[:1]))


@pytest.mark.parametrize(
    "model",
    [
        convolution(13),  # whose last row and column no window of four holds
        convolution(12, inputs=2),  # sees 18 values
        convolution(12, strides=[2, 2]),
        convolution(14, pads=[1, 1, 1, 1], dilations=[2, 2]),
        convolution(12, pool={"kernel_shape": [3, 3], "strides": [2, 2]}),
        convolution(12, pool={"kernel_shape": [2, 2], "strides": [1, 1]}),
        convolution(12, pool={"kernel_shape": [2, 2]}),  # strides of 1 where none are given
        convolution(14, pool={"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        convolution(12, zero=3),  # the zeros around a kernel would not be zero
    ],
    ids=["odd", "wide", "stride", "dilated", "pool-3", "pool-stride", "pool-plain", "pool-pads", "zero"],
)
def test_another_convolution_stays(model: onnx.ModelProto) -> None:
    made = lean(model)
    assert operators(made) == operators(model)
    inputs, side = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:3])
    np.testing.assert_array_equal(answers(made, seen(side, inputs)), answers(model, seen(side, inputs)))


def prepared(scale: np.ndarray, shift: np.ndarray, zero: np.integer, step: float | None = None) -> onnx.ModelProto:
    """Levels, normalised and rounded to a grid: that of 0 to 255, unless another step is given."""
    graph = Graph((1, 16, 16), TensorProto.UINT8)
    normalised = graph.add("Add", graph.add("Mul", graph.add("Cast", "given", to=1), scale), shift)
    return graph.model(graph.held(normalised, graph.grid(np.float32(step or scale.max()), zero)))


ONE, EACH = np.full((1, 1, 1, 1), 0.0157, np.float32), np.array([0.01, 0.02], np.float32).reshape(1, 2, 1, 1)


def test_pixels_are_taken_as_they_are() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    for zero in (-129 * ONE, np.float32(-129.4) * ONE):  # where no level is zero, the nearest stands for it
        model = prepared(ONE, zero, np.uint8(129))
        made = lean(model)
        assert operators(made) == ["DequantizeLinear"]
        np.testing.assert_array_equal(answers(made, levels), answers(model, levels))


@pytest.mark.parametrize(
    "model",
    [
        prepared(EACH, -EACH, np.uint8(9)),
        prepared(ONE, ONE, np.uint8(9)),  # all above zero: no level stands for it
        prepared(ONE, -9 * ONE, np.int8(9)),
        prepared(ONE, -9 * ONE, np.uint8(10)),
        prepared(ONE, np.float32(-127.5) * ONE, np.uint8(128)),  # half-way: rounding goes to even levels
        # Of pictures up to 250: a layer after it has biases in units of this step.
        prepared(ONE, -9 * ONE, np.uint8(9), step=0.0157 * 250 / 255),
    ],
    ids=["channels", "above", "signed", "zero", "half-way", "dim"],
)
def test_pixels_on_another_grid_are_prepared_as_before(model: onnx.ModelProto) -> None:
    assert operators(lean(model)) == operators(model)


def test_two_thin_layers_in_one_graph_are_both_pooled_at_once() -> None:
    rng, graph = np.random.default_rng(0), Graph((1, 12, 12))
    value = graph.held("given")
    for _ in range(2):
        weights = graph.add(
            "DequantizeLinear", rng.integers(-127, 128, (1, 1, 3, 3)).astype(np.int8), *per_channel(1, np.int8), axis=0
        )
        bias = graph.add("DequantizeLinear", np.array([40], np.int32), *per_channel(1, np.int32), axis=0)
        grid = graph.grid()
        found = graph.add("Conv", value, weights, bias, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
        pooled = graph.add("MaxPool", graph.held(found, grid), kernel_shape=[2, 2], strides=[2, 2])
        value = graph.held(pooled, grid)
    model = graph.model(value)
    made = lean(model)
    assert operators(made).count("Reshape") == 4
    np.testing.assert_array_equal(answers(made, seen(12)), answers(model, seen(12)))


def per_channel(count: int, kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Steps and zero points."""
    return np.full(count, 0.02 if kind is np.int8 else STEP * np.float32(0.02), np.float32), np.zeros(count, kind)


def layers(*widths: int) -> onnx.ModelProto:
    rng, graph = np.random.default_rng(0), Graph((widths[0],))
    value = graph.held("given")
    for before, after in pairwise(widths):
        integers = rng.integers(-127, 128, (after, before)).astype(np.int8)
        steps, zeros = np.full(after, 0.01, np.float32), np.zeros(after, np.int8)
        weights = graph.add("DequantizeLinear", integers, steps, zeros, axis=0)
        sums = graph.add("Gemm", value, weights, np.zeros(after, np.float32), transB=1)
        value = graph.held(sums, graph.grid(np.float32(1), np.uint8(128)))
    return graph.model(graph.add("Softmax", value, axis=1))


def test_only_logits_are_left_in_float() -> None:
    pictures = np.random.default_rng(5).normal(0, 3, (9, 8)).astype(np.float32)
    model = layers(8, 6, 5)
    made = lean(model)
    assert operators(made).count("QuantizeLinear") == operators(model).count("QuantizeLinear") - 1 == 2
    assert operators(made)[-2:] == ["Gemm", "Softmax"]
    found, rounded = answers(made, pictures), answers(model, pictures)
    assert 0 < np.abs(np.log(found) - np.log(rounded)).max() <= 1.0 + 1e-5  # half a step of a logit, and of the largest
