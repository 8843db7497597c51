"""Models that answer: weights in torch or an exported file, behind one interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import is_name, no_such, shipped, shipped_file
from mien.models.blocks import eval_mode
from mien.models.classifier import Classifier
from mien.models.store import load_classifier

Pixels = NDArray[np.uint8]
Answers = dict[str, NDArray[np.float32]]
Precision = Literal["fp32", "bf16"]
Weights = Literal["best", "last"]


class Answerer(Protocol):
    """Anything that answers pictures with probabilities: a net in torch, an ONNX file, several of them."""

    @property
    def name(self) -> str:
        """What it is, for tables and files."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """What it takes, and its heads."""
        ...

    def probabilities(self, images: Pixels) -> Answers:
        """A batch, uint8 (N, H, W) or (N, H, W, 3), to float32 (N, K) by name of head, rows summing to 1."""
        ...


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """All parts of `module` in eval mode and no gradients; afterwards each part is in the mode it had."""
    with eval_mode(module), torch.inference_mode():
        yield


@final
class TorchAnswerer:
    """A classifier in torch, moved to `device`. Temperatures of the heads are applied.

    Args:
        classifier: its mode is left as it was after every answer.
        device: where it computes.
        precision: bf16 computes under autocast; the softmax is float32 always.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        name: str = "classifier",
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        self.name = name
        self.spec = classifier.spec
        self._device = torch.device(device)
        self._classifier = classifier.to(self._device)
        self._precision = precision

    def probabilities(self, images: Pixels) -> Answers:
        pixels = np.ascontiguousarray(as_channels(images, self.spec.channels))
        batch = torch.tensor(pixels, device=self._device)
        batch = batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
        return {name: values.cpu().numpy() for name, values in self.answer(batch).items()}

    def answer(self, batch: Tensor) -> dict[str, Tensor]:
        """As `probabilities`, of a batch (N, C, H, W) in units of 0–255 on its device, where the answers stay."""
        with evaluating(self._classifier), self._autocast():
            logits = self._classifier(batch)
        heads = zip(self.spec.heads, logits, strict=True)
        return {head.name: (values.float() / head.temperature).softmax(1) for head, values in heads}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16")


@final
class OnnxAnswerer:
    """An exported file on ONNX Runtime, with as many threads as torch has; temperatures are part of its graph."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._predictor = Predictor(path, threads=torch.get_num_threads())
        self.spec = self._predictor.spec

    def probabilities(self, images: Pixels) -> Answers:
        answers: Answers = self._predictor.probabilities(
            as_channels(images, self.spec.channels), batch_size=max(1, len(images))
        )
        return answers


def open_answerer(
    path: Path,
    *,
    weights: Weights = "best",
    device: str | torch.device = "cpu",
    precision: Precision = "fp32",
) -> Answerer:
    """A run folder, a `.safetensors` file, an exported `.onnx` file or a shipped model, ready to answer.

    Args:
        path: the folder, the file or the shipped model's name.
        weights: which weights of a run folder.
        device: for nets in torch; ONNX Runtime computes on the CPU.
        precision: for nets in torch.

    Raises:
        MienError: nothing there, not a model, or a run without these weights.
    """
    file = model_file(path, weights)
    if file.suffix == ".onnx":
        return OnnxAnswerer(file)
    return TorchAnswerer(load_classifier(file)[0], name=str(file), device=device, precision=precision)


def model_file(path: Path, weights: Weights = "best") -> Path:
    """The weights file of a run folder, the `.safetensors` or `.onnx` file itself, or a shipped model's by its name.

    A file or folder of that name goes before a shipped model.

    Raises:
        MienError: nothing there, not a model, or a run without these weights.
    """
    if is_name(path) and path.name in shipped():
        return shipped_file(path.name)
    if not path.exists():
        raise no_such(path, "a run folder, a .safetensors or .onnx file")
    if path.is_file() and path.suffix not in (".safetensors", ".onnx"):
        raise MienError(f"{path}: not a model", hint="give a run folder, a .safetensors file or an .onnx file")
    return path if path.is_file() else _weights_of(path, weights)


def _weights_of(path: Path, weights: Weights) -> Path:
    run = RunDir(path).require()
    files = {"best": run.best, "last": run.last}
    if not files[weights].is_file():
        other = [name for name, file in files.items() if file.is_file()]
        hint = f"--weights {other[0]}" if other else "train it for at least one epoch first"
        raise MienError(f"{path}: the run has no {weights} weights", hint=hint)
    return files[weights]


def as_channels(images: Pixels, channels: int) -> Pixels:
    """Pictures as (N, H, W) for 1 channel or (N, H, W, 3) for 3.

    Grey becomes colour by repeating, colour becomes grey by ITU-R 601 luma, both to the bit as Pillow and so
    `core.picture.to_array` does it.
    """
    if channels == 3:
        return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)
    if images.ndim == 3:
        return images
    luma = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((luma + 0x8000) >> 16).astype(np.uint8)
