"""Which part of a picture decides: Grad-CAM and occlusion maps of any net with convolutions.

Grad-CAM: Selvaraju et al. 2017 (arXiv 1610.02391), section 3, at the last layer that still has places. Occlusion:
Zeiler and Fergus 2014 (arXiv 1311.2901), section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.models.blocks import eval_mode
from mien.models.classifier import Classifier

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]


def grad_cam(classifier: Classifier, images: Pixels, classes: NDArray[np.integer], *, head: int = 0) -> Maps:
    """What speaks for a class, by place.

    Args:
        classifier: left in the mode it had.
        images: uint8 (N, H, W) or (N, H, W, 3), as the model takes them.
        classes: of the head, (N,).
        head: which of the spec's heads.

    Returns:
        (N, H, W), at least 0, in units of the logit; 0 outside the centre that the model looks at.

    Raises:
        MienError: a net without a layer that has places.
    """
    batch = as_batch(classifier, images)
    with eval_mode(classifier), torch.enable_grad():
        layer = last_spatial(classifier.backbone, classifier.prepare(batch[:1]))
        with _kept(layer) as kept:
            logits = classifier(batch)[head]
        chosen = logits.gather(1, torch.as_tensor(classes, device=logits.device).view(-1, 1).long())
        (gradient,) = torch.autograd.grad(chosen.sum(), kept[-1])
    weights = gradient.mean((2, 3), keepdim=True)
    cam = (weights * kept[-1].detach()).sum(1, keepdim=True).relu()
    return _placed(cam, classifier, (images.shape[1], images.shape[2]))


def occlusion(
    classifier: Classifier, images: Pixels, classes: NDArray[np.integer], *, head: int = 0, patch: int = 12
) -> Maps:
    """How much the probability of a class falls when a place is hidden: (N, H, W), below 0 where hiding helps.

    A square of `patch` px filled with the picture's mean goes over the picture in steps of a third of its side; a
    pixel's value is the mean over the squares that hide it. Arguments as of `grad_cam`.
    """
    n, height, width = images.shape[:3]
    total, seen = np.zeros((n, height, width), np.float32), np.zeros((height, width), np.float32)
    plain = _probability(classifier, images, classes, head)
    mean = images.mean((1, 2), keepdims=True).round().astype(np.uint8)
    for top in _steps(height, patch):
        for left in _steps(width, patch):
            where = np.s_[:, top : top + patch, left : left + patch]
            hidden = images.copy()
            hidden[where] = mean
            total[where] += (plain - _probability(classifier, hidden, classes, head))[:, None, None]
            seen[where[1:]] += 1
    return total / seen


def as_batch(classifier: Classifier, images: Pixels) -> Tensor:
    """Pictures (N, H, W[, 3]) as uint8 (N, C, H, W) on the classifier's device."""
    device = next((p.device for p in classifier.parameters()), torch.device("cpu"))
    batch = torch.from_numpy(np.array(images)).to(device)
    return batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)


def last_spatial(net: nn.Module, pictures: Tensor) -> nn.Module:
    """The module of `net` that is the last to give maps (N, C, h, w) of more than one place, see `spatial`.

    Where most layers come after it, as after the cut into patches that a transformer begins with, it decides nothing.

    Raises:
        MienError: there is none.
    """
    calls = _calls(net, pictures)
    maps = _follow(net, pictures, dict(calls))
    last = max((place for place, (module, _) in enumerate(calls) if module in maps), default=-1)
    weighted = [place for place, (module, _) in enumerate(calls) if _has_weights(module)]
    if last < 0 or sum(place > last for place in weighted) > sum(place <= last for place in weighted):
        raise MienError("the net has no layer with places", hint="Grad-CAM needs convolutions; leave attention out")
    return calls[last][0]


def spatial(net: nn.Module, pictures: Tensor) -> set[nn.Module]:
    """The modules of `net` that give maps (N, C, h, w) of more than one place, channels first.

    Four axes alone say little: attention gives (N, heads, tokens, features), other nets keep channels last. So pictures
    of twice the height, and of twice the width, are asked about as well: of a map the one axis grows and all others
    stay. A net that refuses such pictures, all or at some layer, has no maps from there on.
    """
    return _follow(net, pictures, dict(_calls(net, pictures)))


def _follow(net: nn.Module, pictures: Tensor, shapes: Mapping[nn.Module, torch.Size | None]) -> set[nn.Module]:
    """Those modules whose outputs, of these shapes, are maps."""
    taller, wider = (dict(_calls(net, pictures.repeat(1, 1, *by), may_refuse=True)) for by in ((2, 1), (1, 2)))
    return {module for module, shape in shapes.items() if _is_map(shape, taller.get(module), wider.get(module))}


def _is_map(shape: torch.Size | None, taller: torch.Size | None, wider: torch.Size | None) -> bool:
    """Whether an output (N, C, h, w) of more than one place grows in height and width as the pictures do."""
    if shape is None or taller is None or wider is None or len(shape) != 4 or shape[2] * shape[3] <= 1:
        return False
    n, channels, height, width = shape
    return (
        len(taller) == len(wider) == 4
        and taller[2] > height
        and wider[3] > width
        and tuple(taller) == (n, channels, taller[2], width)
        and tuple(wider) == (n, channels, height, wider[3])
    )


def _calls(net: nn.Module, pictures: Tensor, *, may_refuse: bool = False) -> list[tuple[nn.Module, torch.Size | None]]:
    """Modules in the order in which they end, and the shape of what each gives; `may_refuse`: up to where one fails."""
    found: list[tuple[nn.Module, torch.Size | None]] = []

    def note(module: nn.Module, _: Any, output: Any) -> None:
        found.append((module, output.shape if isinstance(output, Tensor) else None))

    refusals = (AssertionError, RuntimeError, ValueError, IndexError) if may_refuse else ()
    with ExitStack() as stack, torch.no_grad(), suppress(*refusals):
        for module in net.modules():
            stack.callback(module.register_forward_hook(note).remove)
        net(pictures)
    return found


def _has_weights(module: nn.Module) -> bool:
    """Whether it is a convolution, a dense layer or the like."""
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


@contextmanager
def _kept(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What the layer gives, call by call, while inside."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        yield kept
    finally:
        handle.remove()


def _probability(classifier: Classifier, images: Pixels, classes: NDArray[np.integer], head: int) -> Maps:
    with eval_mode(classifier), torch.no_grad():
        logits = classifier(as_batch(classifier, images))[head] / classifier.spec.heads[head].temperature
    p: Maps = logits.float().softmax(1).cpu().numpy()
    return np.asarray(p[np.arange(len(p)), classes])


def _steps(side: int, patch: int) -> list[int]:
    """Where squares begin: from border to border, so that every pixel is hidden by one."""
    if patch > side:
        raise MienError(f"a square of {patch} px does not fit into {side} px", hint="a smaller patch")
    return sorted({*range(0, side - patch + 1, max(1, patch // 3)), side - patch})


def _placed(cam: Tensor, classifier: Classifier, size: tuple[int, int]) -> Maps:
    """Maps (N, 1, h, w) enlarged to what the model sees of the pictures, with zeros around it."""
    height, width = size
    side = classifier.spec.crop
    h, w = (min(side, height), min(side, width)) if side else size
    large = F.interpolate(cam, size=(h, w), mode="bilinear", align_corners=False)[:, 0].cpu().numpy()
    out = np.zeros((len(cam), height, width), np.float32)
    top, left = (height - h) // 2, (width - w) // 2
    out[:, top : top + h, left : left + w] = large
    return out
