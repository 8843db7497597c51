"""Several models, or a model asked about several views of each picture, as one ONNX file.

What `evaluate.ensemble` and `evaluate.tta` compute between files becomes part of a graph, so that the mean answers
wherever one file does: in photos, video, the server. All views of a batch go through each model as
one batch.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxscript.optimizer import remove_unused_nodes

from mien.core.errors import MienError
from mien.core.spec import FRAMING, Head, ModelSpec
from mien.data.dataset import Dataset
from mien.deploy.quantize import PRECISION_KEY
from mien.deploy.runtime import INPUT, OUTPUT_PREFIX, Predictor
from mien.deploy.signing import LARGEST, write_signed
from mien.evaluate.answerer import OnnxAnswerer
from mien.evaluate.ensemble import common_spec, shares
from mien.evaluate.tta import Variant, taken_from, variants
from mien.explain.calibrate import CALIBRATED_ON, Calibration, calibrate

_VIEWS = "views"


class Together(NamedTuple):
    """The file, what it says of itself, and what of its members it does not carry on (sentences)."""

    path: Path
    spec: ModelSpec
    notes: list[str]


class _Member(NamedTuple):
    name: str
    spec: ModelSpec
    model: onnx.ModelProto
    sha256: str


def write_ensemble(
    models: Sequence[Path],
    out: Path,
    *,
    tta: str = "none",
    weights: Sequence[float] | None = None,
    calibration: Calibration | None = None,
) -> Together:
    """Write one file that answers with the mean of the probabilities of models, each asked about each view.

    It has the heads that all models share by name and labels, and takes what the first of them takes. Its answers are
    those of `Ensemble` of the same files under `tta`.

    Args:
        models: exported files whose pictures have one size and number of channels.
        out: the new file; an old one is replaced as a whole.
        tta: the views, by name (`evaluate.tta.variants`); shifts follow the first model's crop.
        weights: one positive figure a model, scaled to sum to 1; None: all alike.
        calibration: of the file that is written without it; its temperatures divide the logarithm of the mean.

    Raises:
        MienError: not an exported model, one model with one view, models that do not go together, or too large a file.
    """
    members = [_read(path) for path in models]
    portions = shares(weights, len(members))
    common = common_spec([member.spec for member in members])
    _check_together(members)
    views = variants(tta, common)
    if len(members) * len(views) == 1:
        raise MienError("one model asked once is that model", hint="give two models or more, or --tta flip")
    told = {"views": tta} if len(views) > 1 else {}
    told |= {"weights": ", ".join(f"{one:.6g}" for one in portions)} if weights is not None else {}
    spec = _of_all(members, common, told)
    if calibration is not None:
        spec = _calibrated(spec, calibration.spec)
    model = _joined(members, spec, views, portions)
    write_signed(model, spec, out)
    Predictor(out, threads=1)  # what it would refuse is not handed out
    return Together(out, spec, _left_behind(members, spec))


def write_calibrated(
    models: Sequence[Path],
    out: Path,
    dataset: Dataset,
    *,
    split: str = "val",
    tta: str = "none",
    weights: Sequence[float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Together, Calibration]:
    """As `write_ensemble`, with a temperature for the mean itself, and how it was found.

    The mean of models that are calibrated each need not be: temperatures are for after averaging (Rahaman and Thiery
    2021, arXiv 2007.08792, abstract).

    Args:
        models: as in `write_ensemble`.
        out: as in `write_ensemble`.
        dataset: packed pictures that no model was trained on.
        split: of `dataset`.
        tta: as in `write_ensemble`.
        weights: as in `write_ensemble`.
        progress: called with the number of pictures answered since the last call.

    Raises:
        MienError: as `write_ensemble` and `explain.calibrate.calibrate`.
    """
    with tempfile.TemporaryDirectory() as folder:
        pooled = write_ensemble(models, Path(folder, "pooled.onnx"), tta=tta, weights=weights)
        found = calibrate(OnnxAnswerer(pooled.path), dataset, split=split, progress=progress)
    return write_ensemble(models, out, tta=tta, weights=weights, calibration=found), found


def _calibrated(spec: ModelSpec, found: ModelSpec) -> ModelSpec:
    told = {CALIBRATED_ON: found.provenance[CALIBRATED_ON]}
    return spec.model_copy(update={"heads": found.heads, "provenance": spec.provenance | told})


def _read(path: Path) -> _Member:
    predictor = Predictor(path, threads=1)
    data = predictor.path.read_bytes()
    return _Member(predictor.name, predictor.spec, onnx.load_from_string(data), hashlib.sha256(data).hexdigest())


def _check_together(members: list[_Member]) -> None:
    """Raise MienError for what `common_spec` lets pass and a graph cannot join."""
    channels = {member.spec.channels for member in members}
    if len(channels) > 1:
        raise MienError("some of the models take grey pictures and some colour", hint="put models of one kind together")
    operators = {(known.domain, known.version) for member in members for known in member.model.opset_import}
    if len({domain for domain, _ in operators}) < len(operators):
        versions = ", ".join(sorted(f"{domain or 'ONNX'} {version}" for domain, version in operators))
        raise MienError(
            f"the models are written in different versions of operators: {versions}",
            hint="export them again with one version of mien",
        )
    size = sum(member.model.ByteSize() for member in members)
    if size > LARGEST:
        raise MienError(f"{size / 1e9:.1f} GB of models do not fit one ONNX file", hint="quantise them first")


def _of_all(members: list[_Member], common: ModelSpec, told: dict[str, str]) -> ModelSpec:
    """What the file says of itself: what is true of all members, who they are, and the views."""
    first = members[0].spec
    agreed = {
        key: value
        for key, value in first.provenance.items()
        if key != CALIBRATED_ON and all(member.spec.provenance.get(key) == value for member in members)
    }
    precisions = {member.spec.provenance.get(PRECISION_KEY, "fp32") for member in members}
    if len(precisions) > 1:
        agreed[PRECISION_KEY] = ", ".join(sorted(precisions))
    names = ", ".join(f"{member.name} (sha256 {member.sha256[:12]})" for member in members)
    heads = {head.name for head in common.heads}
    changes: dict[str, object] = {
        "default_head": common.default_head if common.default_head in heads else None,
        "abstain_below": None,
        "provenance": agreed | told | {"members": names},
    }
    if len(members) > 1:
        changes |= {"architecture": "ensemble", "options": {}}
    return ModelSpec.model_validate(common.model_dump() | changes)


def _left_behind(members: list[_Member], spec: ModelSpec) -> list[str]:
    """What members have and the file has not."""
    kept = {head.name for head in spec.heads}
    lost = sorted({head.name for member in members for head in member.spec.heads} - kept)
    notes = [f"not all models have the heads {', '.join(lost)}: left out"] if lost else []
    wanted = members[0].spec.default_head
    if wanted is not None and spec.default_head is None:
        notes.append(f"{wanted} answered by default in {members[0].name}; here {spec.head().name} does")
    if any(member.spec.abstain_below is not None for member in members):
        notes.append(
            "a threshold below which one model is unsure is not the mean's: the file is never unsure by itself"
        )
    if len({tuple(getattr(member.spec, key) for key in FRAMING) for member in members}) > 1:
        notes.append(f"the models frame faces in photos unlike: cut out as for {members[0].name}")
    return notes


def _joined(
    members: list[_Member], spec: ModelSpec, views: tuple[Variant, ...], portions: Sequence[float]
) -> onnx.ModelProto:
    nodes, tensors, seen = _views(views, spec)
    for i, member in enumerate(members):
        part = onnx.compose.add_prefix(member.model, _prefix(i))
        for node in part.graph.node:
            for at, name in enumerate(node.input):
                node.input[at] = seen if name == _prefix(i) + INPUT else name
        nodes += part.graph.node
        tensors += part.graph.initializer
    for head in spec.heads:
        _append_mean(head, portions, len(views), nodes, tensors)
    graph = helper.make_graph(nodes, spec.architecture, [members[0].model.graph.input[0]], _outputs(spec), tensors)
    model = helper.make_model(
        graph,
        opset_imports=list({known.domain: known for member in members for known in member.model.opset_import}.values()),
        ir_version=max(member.model.ir_version for member in members),
    )
    remove_unused_nodes(model)  # heads that not all have
    return model


def _prefix(i: int) -> str:
    return f"member{i}/"


def _outputs(spec: ModelSpec) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(OUTPUT_PREFIX + head.name, TensorProto.FLOAT, ["batch", len(head.labels)])
        for head in spec.heads
    ]


def _views(views: tuple[Variant, ...], spec: ModelSpec) -> tuple[list[NodeProto], list[TensorProto], str]:
    """Nodes that make (V·N, H, W) or (V·N, H, W, 3) of (N, …), view by view, their tensors, and the name of it."""
    if len(views) == 1:
        return [], [], INPUT
    nodes: list[NodeProto] = []
    tensors: list[TensorProto] = []
    made = []
    for i, view in enumerate(views):
        name = INPUT
        for axis, indices in enumerate(taken_from(view, spec.height, spec.width), 1):
            if np.array_equal(indices, np.arange(len(indices))):
                continue
            given, name = name, f"{_VIEWS}/{i}/{axis}"
            tensors.append(numpy_helper.from_array(indices.astype(np.int64), f"{name}/indices"))
            nodes.append(helper.make_node("Gather", [given, tensors[-1].name], [name], name=name, axis=axis))
        made.append(name)
    nodes.append(helper.make_node("Concat", made, [_VIEWS], name=_VIEWS, axis=0))
    return nodes, tensors, _VIEWS


def _append_mean(
    head: Head, portions: Sequence[float], views: int, nodes: list[NodeProto], tensors: list[TensorProto]
) -> None:
    """The weighted mean over members and views of one head's probabilities, (V·N, K) each, to (N, K), tempered."""
    output, own = OUTPUT_PREFIX + head.name, f"mean/{head.name}"

    def add(operator: str, inputs: list[str], name: str, **attributes: int) -> str:
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def hold(values: NDArray[np.float32] | NDArray[np.int64], name: str) -> str:
        tensors.append(numpy_helper.from_array(values, name))
        return name

    parts = []
    for i, portion in enumerate(portions):
        share = hold(np.array(portion / views, np.float32), f"{own}/share/{i}")
        parts.append(add("Mul", [_prefix(i) + output, share], f"{own}/{i}"))
    mean = add("Sum", parts, f"{own}/sum")
    if views > 1:
        shape = hold(np.array([views, -1, len(head.labels)], np.int64), f"{own}/shape")
        apart = add("Reshape", [mean, shape], f"{own}/apart")
        mean = add("ReduceSum", [apart, hold(np.array([0], np.int64), f"{own}/axis")], f"{own}/views", keepdims=0)
    if head.temperature == 1:
        add("Identity", [mean], output)
        return
    cooled = hold(np.array(1 / head.temperature, np.float32), f"{own}/1_temperature")
    add("Softmax", [add("Mul", [add("Log", [mean], f"{own}/log"), cooled], f"{own}/logits")], output, axis=1)
