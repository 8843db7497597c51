"""A trained classifier as one ONNX file that takes raw pictures and knows how to use itself.

The graph is the whole way from uint8 pixels to calibrated probabilities: centre crop, normalisation, net, heads whose
weights are divided by their temperatures, softmax. Logits are no output of their own: the logarithm of the
probabilities is the logits up to a constant, which is all that calibration or distillation needs.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal, final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.files import write_text
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.data.dataset import load
from mien.deploy.card import model_card
from mien.deploy.runtime import INPUT, OUTPUT_PREFIX
from mien.deploy.signing import LARGEST, write_signed
from mien.faces.centerface import default_detector
from mien.faces.framing import measure_framing
from mien.models.classifier import Classifier
from mien.models.store import load_classifier

Weights = Literal["best", "last"]

# The version torch's exporter is written for; ONNX Runtime reads it since 1.14.
OPSET = 18
# Two, because torch takes a batch of one for a constant.
_EXAMPLE_BATCH = 2
# Margins of single pictures differ by a seventh (FER2013): the median of so many is known to within a hundredth.
_FRAMED_PICTURES = 400


@final
class _Deployed(nn.Module):
    """Pixels (N, H, W) or (N, H, W, 3), uint8, to the probabilities (N, K) of each head of a copy of the classifier."""

    def __init__(self, classifier: Classifier, spec: ModelSpec) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).cpu().float()
        with torch.no_grad():  # logits that are linear in the weights need no division of their own
            for linear, head in zip(self.classifier.heads, spec.heads, strict=True):
                for values in linear.parameters():
                    values.div_(head.temperature)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        channels_first = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels
        return tuple(logits.softmax(1) for logits in self.classifier(channels_first))


def export_onnx(classifier: Classifier, spec: ModelSpec, path: Path, *, opset: int = OPSET) -> None:
    """Write `classifier` to `path`; input `pixels`, one output `probabilities_HEAD` per head, any batch size.

    Weights are fp32, batch norm is folded into the convolutions before it, the file carries no path, name or
    stack trace of this machine. The classifier is left as it is.

    Args:
        classifier: on any device, in any mode.
        spec: goes into the file; differs from the classifier's own at most in what its net does not compute
            (temperatures, threshold, margin, provenance).
        path: the new file; an old one is replaced as a whole.
        opset: version of the ONNX operators.

    Raises:
        MienError: `spec` is of another net, or the net cannot be written as a single ONNX file.
    """
    _check_spec(classifier, spec)
    model = _trace(_Deployed(classifier, spec).eval(), spec, opset)
    write_signed(model, spec, path)


def export_run(run: Path, *, weights: Weights = "best", framing: bool = False) -> Path:
    """Write `export/model.onnx` and its card into a run folder and return the model's path.

    Args:
        run: its folder.
        weights: which of its weights.
        framing: look with the face detector how the run's val pictures frame their faces, and write that into the
            file, so that faces in photos are cut out alike; else what the weights say, FER2013's framing unless
            they were told otherwise.

    Raises:
        MienError: no run folder, no such weights, or as `export_onnx`; with `framing`, no data set or no faces in it.
    """
    folder = RunDir(run).require()
    source = folder.best if weights == "best" else folder.last
    if not source.is_file():
        raise MienError(f"{run}: no weights {source.name}", hint="train first, or take --weights last")
    classifier, spec = load_classifier(source)
    if framing:
        spec = spec.model_copy(update=_measured_framing(folder))
    export_onnx(classifier, spec, folder.exported)
    write_text(folder.exported.with_name("card.md"), model_card(folder, spec, weights=weights))
    return folder.exported


def _measured_framing(folder: RunDir) -> dict[str, float]:
    data = load(folder.data_path())
    rows = data.rows("val")
    some = rows[np.unique(np.linspace(0, len(rows) - 1, _FRAMED_PICTURES).round().astype(np.int64))]
    measured = measure_framing(default_detector(), [np.asarray(data.images[row]) for row in some])
    return {"face_margin": round(measured.margin, 3), "face_shift": round(measured.shift, 3)}


def _check_spec(classifier: Classifier, spec: ModelSpec) -> None:
    own = classifier.spec
    computed = ("architecture", "options", "height", "width", "channels", "crop", "normalise")
    differing = [name for name in computed if getattr(own, name) != getattr(spec, name)]
    if [(h.name, h.labels) for h in own.heads] != [(h.name, h.labels) for h in spec.heads]:
        differing.append("heads")
    if differing:
        raise MienError(f"the spec is not that of the net: {', '.join(differing)} differ")
    if sum(p.numel() * 4 for p in classifier.parameters()) > LARGEST:
        raise MienError(f"{spec.architecture}: more than 2 GB of weights do not fit one ONNX file")


def _trace(deployed: _Deployed, spec: ModelSpec, opset: int) -> onnx.ModelProto:
    colour = (3,) if spec.channels == 3 else ()
    example = torch.zeros(_EXAMPLE_BATCH, spec.height, spec.width, *colour, dtype=torch.uint8)
    try:
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT_PREFIX + head.name for head in spec.heads],
            dynamic_shapes=({0: "batch"},),
            opset_version=opset,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise MienError(f"{spec.architecture}: cannot be written as ONNX ({_reason(error)})") from error
    assert program is not None  # it is only without dynamo
    model: onnx.ModelProto = program.model_proto
    return model


def _reason(error: BaseException) -> str:
    """What was raised first, on one line: what the exporter says on top is advice to its developers."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300]
