"""Rewrites of an int8 graph that leave its answers and take time off them, which shows where one face is asked about.

A convolution that sees few values, such as the first one of grey pictures, takes far longer than its products would.
Where its answers are pooled 2×2, all four of a window are computed at once from the values that they share, as four
times the channels of half as many rows and columns; the pooling then takes the most of each four.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxscript import ir
from onnxscript.rewriter import MatchResult, RewriteRule, RewriteRuleSet, rewrite

WITH_WEIGHTS = frozenset({"Conv", "Gemm", "MatMul"})  # operators that are computed in 8 bits for their weights' sake
_WINDOW = ((0, 0), (0, 1), (1, 0), (1, 1))  # rows and columns of a 2×2 pooling, in the order of the new channels
_MOST_SEEN = 9  # values under the kernel, for which it was measured; the more there are, the more are the products
_EACH = ("ws", "wz", "b", "bs", "bz")  # what a convolution has one of for each channel: steps, zero points, biases
_CHANNELS_LAST, _CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
# Attributes that a rewrite is made for; of the second ones nothing needs to be said (ONNX, Conv and MaxPool).
_POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
_POOL_MAY = {"pads": [0, 0, 0, 0], "dilations": [1, 1], "auto_pad": "NOTSET"}
_CONV_MAY = {"strides": [1, 1], "dilations": [1, 1], "group": 1, "auto_pad": "NOTSET"}


def lean(model: onnx.ModelProto) -> onnx.ModelProto:
    """A quantised model that gives the same in less time; the one that is given stays as it is.

    The logits are more exact afterwards: they are not rounded to 8 bits any more.

    Args:
        model: with QuantizeLinear and DequantizeLinear around its layers, as `quantize_static` makes it.
    """
    rules = [
        RewriteRule(one.pattern, one.rewrite, one.check) for one in (_PixelsAsTheyAre, _PooledAtOnce, _LogitsInFloat)
    ]
    made: onnx.ModelProto = rewrite(onnx.shape_inference.infer_shapes(model), RewriteRuleSet(rules))
    used = {name for node in made.graph.node for name in node.input} | {value.name for value in made.graph.output}
    kept = [tensor for tensor in made.graph.initializer if tensor.name in used]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    return made


@final
class _PixelsAsTheyAre:
    """Pixels are integers already, so their normalisation is a step and a zero point: nothing has to be computed.

    Only where that is the grid they were given: the biases of the layer after it are in units of it.
    """

    @staticmethod
    def pattern(op: Any, pixels: Any, scale: Any, shift: Any, step: Any, zero: Any) -> Any:
        prepared = op.Cast(pixels, _allow_other_attributes=True) * scale + shift
        return op.DequantizeLinear(op.QuantizeLinear(prepared, step, zero), step, zero)

    @staticmethod
    def check(_: Any, pixels: Any, scale: Any, shift: Any, step: Any, zero: Any) -> MatchResult:
        result = MatchResult()
        if pixels.dtype != ir.DataType.UINT8 or zero.dtype != ir.DataType.UINT8:
            return result.fail("not uint8")
        told = [_constant(value) for value in (scale, shift, step, zero)]
        if any(one is None or one.size != 1 for one in told):
            return result.fail("channels differ")
        normal, added, grid, level = (float(one.item()) for one in told if one is not None)
        # Nearer to its level than to the next: half-way between two, rounding goes either way from pixel to pixel.
        alike = abs(grid / normal - 1) < 1e-5 and abs(-added / normal - level) < 0.49
        return result if alike else result.fail("another grid, as of pictures that do not span 0 to 255")

    @staticmethod
    def rewrite(op: Any, pixels: Any, step: Any, zero: Any, **_: Any) -> Any:
        return op.DequantizeLinear(pixels, step, zero)


@final
class _PooledAtOnce:
    """A convolution and its pooling as one of stride 2 for all four places, whose most is then taken."""

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, ws: Any, wz: Any, b: Any, bs: Any, bz: Any, step: Any, zero: Any) -> Any:
        weights = op.DequantizeLinear(w, ws, wz, _allow_other_attributes=True)
        bias = op.DequantizeLinear(b, bs, bz, _allow_other_attributes=True)
        found = op.Conv(x, weights, bias, _allow_other_attributes=True, _outputs=["conv"])
        held = op.DequantizeLinear(op.QuantizeLinear(found, step, zero), step, zero)
        most = op.MaxPool(held, _allow_other_attributes=True, _outputs=["pool"])
        return op.DequantizeLinear(op.QuantizeLinear(most, step, zero), step, zero)

    @staticmethod
    def check(_: Any, x: Any, w: Any, conv: Any, pool: Any, **found: Any) -> MatchResult:
        result = MatchResult()
        weights = _constant(w)
        if weights is None or weights[0].size > _MOST_SEEN:
            return result.fail("sees too much")
        each = {name: _constant(found[name]) for name in _EACH}
        if any(one is None or one.shape != weights.shape[:1] for one in each.values()) or np.any(each["wz"]):
            return result.fail("not symmetric in each channel")
        if not _has(conv, {}, _CONV_MAY) or not _has(pool, _POOL, _POOL_MAY):
            return result.fail("strides, dilations or groups")
        sides = _sides(x, weights, conv)
        return result if sides and not any(side % 2 for side in sides) else result.fail("odd or unknown sides")

    @staticmethod
    def rewrite(op: Any, x: Any, step: Any, zero: Any, conv: Any, **found: Any) -> Any:
        weights = _constant(found["w"])
        assert weights is not None
        sides = _sides(x, weights, conv)
        assert sides is not None
        height, width, channels = sides[0] // 2, sides[1] // 2, len(weights)
        four = {"w": _at_each_place(weights)}
        four |= {name: np.concatenate([_constant(found[name])] * 4) for name in _EACH}
        new = {name: op.initializer(ir.tensor(value), f"{conv.name}/{name}/4") for name, value in four.items()}
        made = op.Conv(
            x,
            op.DequantizeLinear(new["w"], new["ws"], new["wz"], axis=0),
            op.DequantizeLinear(new["b"], new["bs"], new["bz"], axis=0),
            **_CONV_MAY | {"strides": [2, 2]},
            kernel_shape=list(four["w"].shape[2:]),
            pads=_pads(conv),
        )
        # Transposed there and back, since the kernels have channels last and ONNX first: ONNX Runtime drops both.
        places = op.Transpose(op.QuantizeLinear(made, step, zero), perm=_CHANNELS_LAST)
        apart = op.Reshape(places, _shape(op, f"{conv.name}/places", height * width, 4, channels))
        most = op.MaxPool(op.Transpose(apart, perm=_CHANNELS_FIRST), kernel_shape=[1, 4], strides=[1, 4])
        pooled = op.Reshape(
            op.Transpose(most, perm=_CHANNELS_LAST), _shape(op, f"{conv.name}/pooled", height, width, channels)
        )
        return op.DequantizeLinear(op.Transpose(pooled, perm=_CHANNELS_FIRST), step, zero)


@final
class _LogitsInFloat:
    """What no layer follows needs no 8 bits: a layer's sums are put into float anyway."""

    @staticmethod
    def pattern(op: Any, x: Any, w: Any, b: Any, step: Any, zero: Any) -> Any:
        logits = op.Gemm(x, w, b, _allow_other_attributes=True, _outputs=["logits"])
        return op.DequantizeLinear(op.QuantizeLinear(logits, step, zero), step, zero, _outputs=["given"])

    @staticmethod
    def check(_: Any, given: Any, **__: Any) -> MatchResult:
        result, ahead = MatchResult(), [given]
        for value in ahead:
            for node in value.consumers():
                if node.op_type in WITH_WEIGHTS:
                    return result.fail(f"{node.name} follows")
                ahead += node.outputs
        return result

    @staticmethod
    def rewrite(op: Any, x: Any, w: Any, b: Any, logits: Any, **_: Any) -> Any:
        return op.Gemm(x, w, b, **logits.producer().attributes)


def _constant(value: Any) -> NDArray[Any] | None:
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else np.asarray(tensor.numpy())


def _has(value: Any, must: dict[str, Any], may: dict[str, Any]) -> bool:
    """Whether the node of a value has attributes, and those that may be left out as given or not at all."""
    told = {name: entry.value for name, entry in value.producer().attributes.items()}
    told = {name: list(one) if isinstance(one, tuple) else one for name, one in told.items()}
    return all(told.get(name) == one for name, one in must.items()) and all(
        told.get(name, one) == one for name, one in may.items()
    )


def _pads(conv: Any) -> list[int]:
    """Zeros above, left, below and right; none where nothing is said."""
    told = conv.producer().attributes.get("pads")
    return [0, 0, 0, 0] if told is None else list(told.as_ints())


def _sides(x: Any, weights: NDArray[Any], conv: Any) -> tuple[int, int] | None:
    """Rows and columns that a convolution of stride 1 gives; None where its input's are not known."""
    given = None if x.shape is None else x.shape[2:]
    if given is None or not all(isinstance(side, int) for side in given):
        return None
    top, left, bottom, right = _pads(conv)
    rows, columns = weights.shape[2:]
    return given[0] + top + bottom - rows + 1, given[1] + left + right - columns + 1


def _at_each_place(weights: NDArray[Any]) -> NDArray[Any]:
    """Weights (O, I, h, w) as (4·O, I, h + 1, w + 1): the kernel at each place of a 2×2 window, zeros around it."""
    outputs, inputs, rows, columns = weights.shape
    placed = np.zeros((len(_WINDOW), outputs, inputs, rows + 1, columns + 1), weights.dtype)
    for kernel, (down, right) in zip(placed, _WINDOW, strict=True):
        kernel[..., down : down + rows, right : right + columns] = weights
    return placed.reshape(-1, *placed.shape[2:])


def _shape(op: Any, name: str, *sides: int) -> Any:
    """Of any number of pictures."""
    return op.initializer(ir.tensor(np.array([-1, *sides], np.int64)), name)
