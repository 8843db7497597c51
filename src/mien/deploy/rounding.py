"""Rounding the weights of a layer to integers so that what it computes stays, not each weight by itself.

Nagel et al. 2020 (arXiv 2004.10568, section 3): the error that a rounding Δ of a row of weights makes in its output is
E[(Δ·x)²] = Δᵀ E[xxᵀ] Δ. Neighbouring pixels are nearly equal, so of a first layer, whose rows are small differences of
pixels, the rounding errors have to cancel: rounded to the nearest each row answers to plain grey.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from mien.core.onnx_session import open_session
from mien.core.picture import Pixels

_MOST_SEEN = 64  # values under a kernel: pairs of more are too many, and a first layer of pictures has 9 to 49
_MOST_TURNS = 1000


def round_first_layer(quantised: onnx.ModelProto, exact: onnx.ModelProto, pictures: Pixels) -> None:
    """Round the weights of the convolution that sees the pictures anew, in place; another first layer stays.

    Args:
        quantised: as `quantize_static` makes it of `exact`, with QuantizeLinear and DequantizeLinear around layers.
        exact: the model in float, with the names of the other.
        pictures: uint8, what the model takes.
    """
    layer = next((node for node in exact.graph.node if node.op_type == "Conv"), None)
    own = {tensor.name: tensor for tensor in exact.graph.initializer}
    if layer is None or layer.input[1] not in own:
        return
    weights = numpy_helper.to_array(own[layer.input[1]])
    told = {entry.name: helper.get_attribute_value(entry) for entry in layer.attribute}
    made = next((n for n in quantised.graph.node if n.name == layer.name), None)
    found = None if made is None else _stored(quantised, made.input[1])
    plain = told.get("group", 1) == 1 and set(told.get("dilations", (1,))) == {1}
    plain = plain and told.get("auto_pad", b"NOTSET") == b"NOTSET"  # else the pads are not among the attributes
    if found is None or not plain or weights[0].size > _MOST_SEEN:
        return
    integers, steps = found
    rows = weights.reshape(len(weights), -1) / numpy_helper.to_array(steps).reshape(-1, 1)
    inputs = _inputs(exact, layer, pictures)
    moments = second_moments(inputs, weights.shape[2:], tuple(told.get("pads", (0, 0, 0, 0))))
    limit = int(np.abs(numpy_helper.to_array(integers).astype(np.int64)).max())
    rounded = round_rows(rows, moments, limit).reshape(weights.shape)
    integers.CopyFrom(numpy_helper.from_array(rounded, integers.name))


def _stored(model: onnx.ModelProto, weights: str) -> tuple[onnx.TensorProto, onnx.TensorProto] | None:
    """The integers behind dequantised weights, and their steps; None where the layer is left in float."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next((n for n in model.graph.node if n.output[0] == weights and n.op_type == "DequantizeLinear"), None)
    return None if node is None else (stored[node.input[0]], stored[node.input[1]])


def _inputs(model: onnx.ModelProto, layer: NodeProto, pictures: Pixels) -> NDArray[np.float32]:
    """What a layer is given when the model is shown pictures."""
    looked = onnx.ModelProto()
    looked.CopyFrom(model)
    looked.graph.output.append(helper.make_tensor_value_info(layer.input[0], onnx.TensorProto.FLOAT, None))
    session = open_session(looked.SerializeToString(), None)
    [given] = session.run([layer.input[0]], {session.get_inputs()[0].name: np.ascontiguousarray(pictures)})
    return np.asarray(given, np.float32)


def second_moments(
    inputs: NDArray[np.float32], kernel: tuple[int, int], pads: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """E[xxᵀ], (K, K), of what a convolution sees of `inputs` (N, C, H, W) at once: K = C · height · width values.

    Args:
        inputs: of the layer.
        kernel: height and width of it.
        pads: zeros above, left, below and right of the inputs.
    """
    top, left, bottom, right = pads
    padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
    total = np.zeros([inputs.shape[1] * kernel[0] * kernel[1]] * 2)
    for picture in padded:
        seen = np.lib.stride_tricks.sliding_window_view(picture, kernel, axis=(1, 2))
        seen = seen.transpose(1, 2, 0, 3, 4).reshape(-1, len(total)).astype(np.float64)
        total += seen.T @ seen / len(seen)
    moments: NDArray[np.float64] = total / len(inputs)
    return moments


def round_rows(weights: NDArray[np.floating], moments: NDArray[np.float64], limit: int) -> NDArray[np.int8]:
    """Rows of weights (O, K) in units of their step as integers of at most `limit`, each up or down from its weight.

    Begins with the nearest ones and changes one or two at a time, whichever makes Δᵀ `moments` Δ least, while any does.
    """
    exact = np.asarray(weights, np.float64)
    low = np.floor(exact).clip(-limit, limit - 1)
    chosen = np.rint(exact).clip(low, low + 1)
    k = exact.shape[1]
    some = [list(few) for size in (1, 2) for few in combinations(range(k), size)]
    flips = np.zeros((len(some), k), bool)
    for flip, few in zip(flips, some, strict=True):
        flip[few] = True
    for row in range(len(exact)):
        for _ in range(_MOST_TURNS):
            error = chosen[row] - exact[row]
            steps = np.where(flips, np.where(chosen[row] > low[row], -1.0, 1.0), 0.0)
            gains = 2 * steps @ (moments @ error) + np.einsum("ij,ij->i", steps @ moments, steps)
            best = int(gains.argmin())
            if gains[best] >= -1e-12 * np.trace(moments):
                break
            chosen[row] += steps[best]
    return chosen.astype(np.int8)
