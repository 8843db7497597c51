"""Weights on disk: safetensors with the model's spec as metadata. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.spec import FRAMING, ModelSpec
from mien.models.classifier import Classifier, build_classifier


def save_weights(path: Path, module_state: Mapping[str, Tensor], spec: ModelSpec) -> None:
    """Write a classifier's `state_dict()` and spec; `path` holds the whole new file or the old one."""
    # Clones, since safetensors takes no two names for the same memory, which nets with shared modules have.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module_state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=spec.to_metadata())


def read_weights(path: Path) -> tuple[dict[str, Tensor], ModelSpec]:
    """Tensors and spec of a weights file.

    Raises:
        MienError: the file is missing, damaged, or carries no spec.
    """
    try:
        with safe_open(path, framework="pt") as file:
            spec = ModelSpec.from_metadata(file.metadata(), source=str(path))
            return {name: file.get_tensor(name) for name in file.keys()}, spec  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise MienError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError) as error:
        raise MienError(
            f"{path}: not a readable safetensors file ({error})",
            hint="copy it again, or take another checkpoint",
        ) from None


@dataclass(frozen=True)
class Digest:
    """What tells weights from others, as SHA-256 in hexadecimal.

    Attributes:
        tensors: of names, types, shapes and values.
        answers: of these and of all in the spec that bears on an answer, temperatures among it.
    """

    tensors: str
    answers: str


def digest(path: Path) -> Digest:
    """The digest of a weights file; of an exported file both are that of its bytes.

    Raises:
        MienError: as `read_weights`.
    """
    if path.suffix == ".onnx":
        whole = hashlib.sha256(path.read_bytes()).hexdigest()
        return Digest(whole, whole)
    tensors, spec = read_weights(path)
    sums = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sums.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sums.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    values = sums.hexdigest()
    told = spec.model_dump_json(exclude={"provenance", "abstain_below", *FRAMING})
    return Digest(values, hashlib.sha256(f"{values} {told}".encode()).hexdigest())


def load_classifier(path: Path) -> tuple[Classifier, ModelSpec]:
    """The classifier of a weights file, in eval mode on the CPU, and its spec. Random states are left alone.

    Raises:
        MienError: as `read_weights`, or when the tensors are not those of the spec's network.
    """
    tensors, spec = read_weights(path)
    with torch.random.fork_rng(devices=[]):
        classifier = build_classifier(spec, start=False)
    _check(path, {name: tuple(t.shape) for name, t in classifier.state_dict().items()}, tensors)
    classifier.load_state_dict(tensors)
    return classifier.eval(), spec


def _check(path: Path, wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> None:
    """Raise MienError naming the tensors in which a file and a network differ."""
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [
        f"{name} is {found.get(name, 'missing')}, the network has {wanted.get(name, 'none')}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise MienError(f"{path}: tensors do not fit its spec: {'; '.join(problems[:3])}{more}")
