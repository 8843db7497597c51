"""Pictures with structure, nets that answer differently to different pictures, and small models made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mien.core.labels import FER2013, FERPLUS8, LabelSet
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data.dataset import Dataset
from mien.models.classifier import Classifier, build_classifier
from mien.models.store import save_weights

Pixels = NDArray[np.uint8]
SIDE = 28


def structured(count: int, height: int, width: int, *, channels: int = 1, seed: int = 0) -> Pixels:
    """Light from one side, a bright oval, dark spots with hard edges, some noise: (N, H, W) or (N, H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pictures = np.empty((count, height, width, channels))
    for picture in pictures:
        angle, (cy, cx), (ry, rx) = rng.uniform(0, 6.3), rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.5, 2)
        light = 90 + 60 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
        oval = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        tint = rng.uniform(0.6, 1.4, channels)
        picture[:] = (light + 70 * oval)[..., None] * tint
        for sy, sx in rng.uniform(0.2, 0.8, (3, 2)):
            picture[(abs(y - sy) < 0.08) & (abs(x - sx) < 0.12)] *= 0.3
    noisy = (pictures + rng.normal(0, 6, pictures.shape)).clip(0, 255).astype(np.uint8)
    return noisy[..., 0] if channels == 1 else noisy


def make_spec(**changes: object) -> ModelSpec:
    """A tiny mien-s for 28-px grey pictures cropped to 24, two heads of different temperature."""
    heads = (
        Head(name="fer2013", labels=FER2013.names, temperature=1.7),
        Head(name="ferplus8", labels=FERPLUS8.names, temperature=0.6),
    )
    fields: dict[str, object] = {
        "architecture": "mien-s",
        "options": {"widths": "8,8,16,16"},
        "height": SIDE,
        "width": SIDE,
        "crop": 24,
        "normalise": Normalise(kind="dataset", mean=(0.44,), std=(0.21,)),
        "heads": heads,
        "provenance": {"recipe": "tiny", "data_name": "structured — ünïcode"},
    }
    return ModelSpec.model_validate(fields | changes)


def as_tensor(pixels: Pixels) -> Tensor:
    """(N, H, W) or (N, H, W, 3) as a classifier takes it."""
    tensor = torch.from_numpy(pixels)
    return tensor if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)


@torch.no_grad()
def awake(spec: ModelSpec) -> Classifier:
    """A classifier whose norms fit structured pictures and whose logits spread, as those of a trained one do.

    A freshly started net answers nearly the same to everything, so that a comparison would prove nothing.
    """
    torch.manual_seed(0)
    classifier = build_classifier(spec)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None  # cumulative: the figures of the one batch that follows
    batch = as_tensor(structured(24, spec.height, spec.width, channels=spec.channels, seed=1))
    classifier.train()(batch)
    features = classifier.eval().features(batch)
    for head in classifier.heads:
        logits = head(features)
        head.weight.mul_(2 / logits.std(0).mean())
        head.bias.sub_(head(features).mean(0))
    return classifier


def reference(classifier: Classifier, spec: ModelSpec, pixels: Pixels) -> dict[str, NDArray[np.float32]]:
    """What an exported model should answer: the plain net in torch, temperatures and softmax by numpy."""
    with torch.no_grad():
        logits = [z.double().numpy() for z in classifier.eval()(as_tensor(pixels))]
    return {h.name: softmax(z / h.temperature) for h, z in zip(spec.heads, logits, strict=True)}


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


class Linear:
    """A model made by hand with the onnx package: softmax(pixels · weights); its answers are known by formula."""

    def __init__(self, path: Path, label_sets: Sequence[LabelSet], *, side: int = 6, **spec: object) -> None:
        self.path = path
        heads = tuple(Head(name=labels.name, labels=labels.names) for labels in label_sets)
        fields = {"architecture": "linear", "height": side, "width": side, "heads": heads}
        self.spec = ModelSpec.model_validate(fields | spec)
        rng = np.random.default_rng(5)
        shape = (side * side * self.spec.channels,)
        self.weights = {h.name: rng.normal(0, 0.003, (*shape, len(h.labels))).astype(np.float32) for h in heads}
        self.save(self.graph())

    def answers(self, pixels: Pixels, head: str) -> NDArray[np.float32]:
        return softmax(pixels.reshape(len(pixels), -1).astype(np.float64) @ self.weights[head])

    def graph(self) -> onnx.ModelProto:
        colour = [3] if self.spec.channels == 3 else []
        size = ["batch", self.spec.height, self.spec.width, *colour]
        nodes = [helper.make_node("Cast", ["pixels"], ["real"], to=1), helper.make_node("Flatten", ["real"], ["flat"])]
        for name in self.weights:
            nodes.append(helper.make_node("MatMul", ["flat", f"weight_{name}"], [f"logits_{name}"]))
            nodes.append(helper.make_node("Softmax", [f"logits_{name}"], [f"probabilities_{name}"]))
        outputs = [
            helper.make_tensor_value_info(f"probabilities_{h.name}", TensorProto.FLOAT, ["batch", len(h.labels)])
            for h in self.spec.heads
        ]
        inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, size)]
        tensors = [numpy_helper.from_array(w, f"weight_{name}") for name, w in self.weights.items()]
        graph = helper.make_graph(nodes, "linear", inputs, outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        helper.set_model_props(model, self.spec.to_metadata())
        return model

    def save(self, model: onnx.ModelProto) -> Path:
        self.path.write_bytes(model.SerializeToString())
        return self.path


def write_run(path: Path, spec: ModelSpec, *, data: Dataset | None = None) -> Classifier:
    """A run folder with the files that export and verify read, and the classifier whose weights it holds."""
    classifier = awake(spec)
    (path / "weights").mkdir(parents=True)
    for name in ("best", "last"):
        save_weights(path / "weights" / f"{name}.safetensors", classifier.state_dict(), spec)
    (path / "recipe.toml").write_text('name = "tiny"\n', encoding="utf-8")
    if data is not None:
        facts = {"path": str(data.path), "name": data.info.name, "fingerprint": data.info.fingerprint}
        facts |= {"labels": list(data.info.labels), "counts": data.info.counts}
        (path / "data.json").write_text(json.dumps(facts), encoding="utf-8")
    return classifier
