"""Where a net's weights begin: from an earlier run, or with convolutions that do something sensible at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe import ModelConfig
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.models.classifier import Classifier
from mien.models.cliquenet import Link
from mien.models.store import read_weights

_LOOKED_AT = 2048  # pictures whose patches are whitened; each has thousands
_SMOOTH = 5e-4  # added to the eigenvalues, as in cifar10-airbench


def begin(model: Classifier, config: ModelConfig, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
    """Give a freshly built net the starting weights that the recipe asks for beyond its own.

    Args:
        model: the net; changed in place.
        config: the recipe's table `model`.
        images: of the packed set.
        rows: positions of the training pictures.

    Raises:
        MienError: weights of another net, or a net without convolutions that could start so.
    """
    for key in ("start_dirac", "start_whitening") if _is_pretrained(config) else ():
        if getattr(config, key):
            raise MienError(f"model.{key} would overwrite pretrained weights", hint="take one of them")
    if config.start_from:
        start_from(model, model.spec, Path(config.start_from))
    if config.start_dirac:
        start_dirac(model.backbone)
    if config.start_whitening:
        chosen = rows[np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(np.int64)]
        pictures = torch.from_numpy(np.ascontiguousarray(images[chosen]))
        pictures = pictures.permute(0, 3, 1, 2) if pictures.ndim == 4 else pictures
        start_whitening(model.backbone, model.prepare(pictures.to(next(model.parameters()).device)))


def _is_pretrained(config: ModelConfig) -> bool:
    return bool(config.options.get("pretrained") or config.options.get("weights"))


def weights_file(path: Path) -> Path:
    """The weights that `model.start_from` means: a file, or the best ones of a run folder."""
    return RunDir(path).require().best if path.is_dir() else path


def start_from(model: torch.nn.Module, spec: ModelSpec, path: Path) -> None:
    """Backbone weights of an earlier run of the same net; heads are taken where their labels are the same.

    Args:
        model: the net; changed in place.
        spec: its spec.
        path: a weights file, or a run folder, whose best weights are taken.

    Raises:
        MienError: no run folder, no readable weights, or those of another net.
    """
    tensors, other = read_weights(weights_file(path))
    own = model.state_dict()
    found = {name: t for name, t in tensors.items() if name.startswith("backbone.")}
    theirs = {head.labels: j for j, head in enumerate(other.heads)}
    for i, head in enumerate(spec.heads):
        for part in ("weight", "bias") if head.labels in theirs else ():
            found[f"heads.{i}.{part}"] = tensors[f"heads.{theirs[head.labels]}.{part}"]
    fitting = {name: t for name, t in found.items() if name in own and own[name].shape == t.shape}
    missing = [name for name in own if name.startswith("backbone.") and name not in fitting]
    if missing:
        raise MienError(f"{path}: not of the same net ({len(missing)} tensors differ, such as {missing[0]})")
    model.load_state_dict(own | fitting)


def start_dirac(net: nn.Module) -> None:
    """Let every padded convolution with an odd kernel begin by passing its input on, in its first output channels.

    What more output channels there are keep the net's own start. cifar10-airbench (Jordan 2024, arXiv 2404.00498,
    section 3.3) does so after Zagoruyko & Komodakis 2017 (arXiv 1706.00388).

    Raises:
        MienError: the net has no such convolution, or one kernel serves two inputs of which it could pass on one.
    """
    if any(isinstance(m, Link) for m in net.modules()):
        raise MienError(
            "model.start_dirac: a kernel of this net meets other inputs in its second stage and cannot pass both on",
            hint="leave it out, or take a net other than cliquenet",
        )
    found = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups == 1 and _keeps_place(m)]
    if not found:
        raise MienError(
            "model.start_dirac: the net has no padded convolution with an odd kernel",
            hint="leave it out, or take mien-m",
        )
    for conv in found:
        nn.init.dirac_(conv.weight.data[: conv.in_channels])


def _keeps_place(conv: nn.Conv2d) -> bool:
    """Whether a kernel wider than one pixel has its middle over each pixel of the picture, the border's too."""
    if min(conv.kernel_size) == 1 or not all(k % 2 for k in conv.kernel_size):
        return False
    if isinstance(conv.padding, str):
        return conv.padding == "same"
    reach = zip(conv.kernel_size, conv.dilation, conv.padding, strict=True)
    return all(padding == dilation * (k // 2) for k, dilation, padding in reach)


def start_whitening(net: nn.Module, inputs: Tensor) -> None:
    """Let the first convolution begin by whitening patches of its input: eigenvectors of their second moments.

    A kernel is an eigenvector divided by the root of its eigenvalue; the second half are the same with the sign
    turned, so that a rectifier loses nothing. What more output channels there are keep the net's own start. Unlike
    cifar10-airbench (Jordan 2024, arXiv 2404.00498, section 3.2) it goes on learning; `freeze` in a phase holds it.

    Args:
        net: the backbone.
        inputs: (n, C, h, w) float32, as the backbone gets them.

    Raises:
        MienError: the first convolution has fewer outputs than 2·C·k².
    """
    conv = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    needed = 2 * conv.weight[0].numel() if conv is not None else 0
    if conv is None or conv.groups != 1 or conv.out_channels < needed:
        found = f"{conv.out_channels} outputs, {needed} are needed" if conv is not None else "no convolution"
        raise MienError(f"model.start_whitening: the net's first layer has {found}", hint="widen it, or leave it out")
    # On the CPU, since MPS has no float64.
    patches = nn.functional.unfold(inputs.cpu(), conv.kernel_size).transpose(1, 2).flatten(0, 1).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    kernels = (vectors.T / (values.clamp_min(0) + _SMOOTH).sqrt()[:, None]).view(-1, *conv.weight.shape[1:])
    with torch.no_grad():
        conv.weight[:needed] = torch.cat([kernels, -kernels]).to(conv.weight)
