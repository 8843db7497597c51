"""A smaller file of an exported model: 8-bit integers to compute with, or 16-bit floats to store.

int8 is static quantisation as ONNX Runtime does it: QuantizeLinear and DequantizeLinear around each layer, with the
range of every activation measured on training pictures, weights symmetric in 8 bits per output channel (Jacob et al.
2018, arXiv 1712.05877, section 3); the first layer's weights are rounded together (see `rounding`). What comes before
the first layer with weights, which is the preparation of raw pixels, and what comes after the last, stays in float, so
that the file takes and gives what the exported one does; then the graph is made lean (see `lean`).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from mien.core.errors import MienError
from mien.core.picture import Pixels
from mien.core.spec import ModelSpec
from mien.data.dataset import Dataset
from mien.deploy.lean import WITH_WEIGHTS, lean
from mien.deploy.rounding import round_first_layer
from mien.deploy.runtime import INPUT, Predictor
from mien.deploy.signing import write_signed

CALIBRATION_PICTURES = 1024
PRECISION_KEY = "precision"  # in the spec's provenance
Activations = Literal["u8", "s8"]

_BATCH = 64
_ROUNDED_BY = 256  # pictures by which the first layer's weights are rounded
_FEWEST_HALVED = 64  # shorter tensors, such as shapes and normalisation, are not worth a rounding


@final
class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hands the pictures to ONNX Runtime, a batch at a time."""

    def __init__(self, pictures: Pixels) -> None:
        self._parts: Iterator[Pixels] = (pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH))

    def get_next(self) -> dict[str, Pixels] | None:
        part = next(self._parts, None)
        return None if part is None else {INPUT: np.ascontiguousarray(part)}


def calibration_rows(dataset: Dataset, count: int = CALIBRATION_PICTURES) -> NDArray[np.int64]:
    """Positions of at most `count` training pictures, spread evenly: sets sorted by class would else show one only.

    Raises:
        MienError: no training pictures, or a count below 1.
    """
    if count < 1:
        raise MienError(f"calibration needs at least one picture, got {count}")
    rows = dataset.rows("train")
    return rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(np.int64))]


def quantize_int8(
    model: Path,
    pictures: Pixels,
    out: Path,
    *,
    activations: Activations = "u8",
    reduce_range: bool = False,
) -> Path:
    """Write `model` as an int8 file.

    Args:
        model: an fp32 file of `mien export`.
        pictures: of training, uint8, of the model's size.
        out: the new file; an old one is replaced as a whole.
        activations: unsigned (u8) is what the kernels of x86 take; signed (s8) took four to five times as long there.
        reduce_range: weights of 7 bits. x86 without VNNI adds pairs of u8·s8 products in 16 bits, which 8 overflow.

    Returns:
        `out`.

    Raises:
        MienError: not an exported fp32 model, pictures of another size, or a graph without layers to quantise.
    """
    spec = _fp32_spec(model)
    _check_pictures(pictures, spec, model)
    with tempfile.TemporaryDirectory() as folder:
        prepared, written = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        _prepare(model, prepared)
        quantize_static(
            prepared,
            written,
            _Calibration(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8 if activations == "u8" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(onnx.load(prepared), model),
        )
        made = onnx.load(written)
        round_first_layer(made, onnx.load(prepared), pictures[:: max(1, len(pictures) // _ROUNDED_BY)])
    return _write(lean(made), spec, "int8", out)


def store_half(model: Path, out: Path) -> Path:
    """Write `model` with its weights in fp16, turned into fp32 when the file is loaded: half the size, the same speed.

    Args:
        model: an fp32 file of `mien export`.
        out: the new file; an old one is replaced as a whole.

    Returns:
        `out`.

    Raises:
        MienError: not an exported fp32 model, or weights beyond the range of fp16 (65,504).
    """
    spec, graph = _fp32_spec(model), onnx.load(model)
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _FEWEST_HALVED:
            casts.append(helper.make_node("Cast", [f"{tensor.name}/fp16"], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(_half(tensor, model), f"{tensor.name}/fp16"))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return _write(graph, spec, "fp16", out)


def _half(tensor: TensorProto, model: Path) -> NDArray[np.float16]:
    values = numpy_helper.to_array(tensor)
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise MienError(f"{model}: weights {tensor.name} are too large for fp16", hint="keep the fp32 file")
    halved: NDArray[np.float16] = values.astype(np.float16)
    return halved


def _fp32_spec(model: Path) -> ModelSpec:
    """The spec of an exported file, after the checks of prediction."""
    spec = Predictor(model, threads=1).spec
    found = spec.provenance.get(PRECISION_KEY)
    if found is not None:
        raise MienError(f"{model}: is {found} already", hint="give the fp32 file that `mien export` writes")
    return spec


def _check_pictures(pictures: Pixels, spec: ModelSpec, model: Path) -> None:
    wanted = (spec.height, spec.width, *((3,) if spec.channels == 3 else ()))
    if not len(pictures) or pictures.dtype != np.uint8 or pictures.shape[1:] != wanted:
        raise MienError(
            f"{model}: calibration takes uint8 pictures (N, {', '.join(map(str, wanted))}), "
            f"got {pictures.dtype} {pictures.shape}",
            hint=f"import the data with --size {spec.height}",
        )


def _prepare(model: Path, prepared: Path) -> None:
    """Shapes inferred and constants folded, as ONNX Runtime's quantiser wants it."""
    quieter = logging.getLogger()
    level = quieter.level
    quieter.setLevel(logging.ERROR)  # it tells everyone's root logger what it does
    try:
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
    finally:
        quieter.setLevel(level)


def _kept_in_float(model: onnx.ModelProto, path: Path) -> list[str]:
    """Names of the nodes that no layer with weights comes before, or after none of them any follows."""
    nodes = list(model.graph.node)
    weighted = {i for i, node in enumerate(nodes) if node.op_type in WITH_WEIGHTS}
    if not weighted:
        raise MienError(f"{path}: no layer with weights, nothing to quantise")
    maker = {name: i for i, node in enumerate(nodes) for name in node.output}
    reads = [{maker[name] for name in node.input if name in maker} for node in nodes]
    after, before = set(weighted), set(weighted)
    for i, found in enumerate(reads):  # the graph is in topological order
        if found & after:
            after.add(i)
    for i in reversed(range(len(nodes))):
        if i in before:
            before |= reads[i]
    return [node.name for i, node in enumerate(nodes) if i not in after or i not in before]


def _write(model: onnx.ModelProto, spec: ModelSpec, precision: str, out: Path) -> Path:
    """Sign, check and write a model whose spec says what it is."""
    told = spec.model_copy(update={"provenance": spec.provenance | {PRECISION_KEY: precision}})
    write_signed(model, told, out)
    Predictor(out, threads=1)  # what it would refuse is not handed out
    return out
