"""How weights and activations are spread, as values of a TensorBoard event file.

Weights: each tensor. Activations: what convolutions and dense layers give before norms and activation functions, for a
few fixed pictures in evaluation; of each layer a sample in even steps, which is enough for its shape and cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.blocks import eval_mode
from mien.train.machine import Machine

BINS = 64
PICTURES = 64
VALUES = 1 << 15  # of a layer's activations
LAYERS = 24  # whose activations are looked at
WEIGHTS, ACTIVATIONS = "weights/", "activations/"


def is_due(epoch: int, epochs: int, *, most: int = 20) -> bool:
    """Whether the histograms of an epoch (from 1) of so many are kept: the first, the last, about `most` in all."""
    return epoch in (1, epochs) or epoch % max(1, round(epochs / most)) == 0


def histogram(values: NDArray[np.floating]) -> dict[str, Any]:
    """Finite values of any shape in `BINS` equal bins, as the format wants them; empty where there are none."""
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    if not len(flat):
        return {}
    counts, edges = np.histogram(flat, bins=BINS)
    about = {"min": flat.min(), "max": flat.max(), "num": len(flat), "sum": flat.sum(), "sum_squares": flat @ flat}
    return {name: float(value) for name, value in about.items()} | {
        "bucket_limit": edges[1:].tolist(),
        "bucket": counts.astype(float).tolist(),
    }


def weights(state: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """A histogram for every floating-point tensor of more than one value."""
    large = {name: t for name, t in state.items() if t.is_floating_point() and t.numel() > 1}
    return [_value(f"{WEIGHTS}{name}", t) for name, t in large.items()]


@torch.no_grad()
def activations(net: nn.Module, images: Tensor, machine: Machine) -> list[dict[str, Any]]:
    """A histogram for each of up to `LAYERS` layers, evenly chosen, the first and the last among them.

    Args:
        net: left in the mode it had.
        images: uint8 (N, C, H, W), of which up to `PICTURES` are used, evenly taken.
        machine: whose precision is used.
    """
    layers = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = sorted({round(i) for i in np.linspace(0, len(layers) - 1, LAYERS)}) if layers else []
    found: dict[str, Tensor] = {}
    with ExitStack() as stack, eval_mode(net), machine.autocast():
        for name, module in (layers[i] for i in chosen):
            hook = module.register_forward_hook(lambda _m, _i, out, name=name: found.update({name: _sample(out)}))
            stack.callback(hook.remove)
        net(images[:: max(1, len(images) // PICTURES)][:PICTURES].contiguous(memory_format=torch.channels_last))
    return [_value(f"{ACTIVATIONS}{name}", sample) for name, sample in found.items()]


def _sample(output: Tensor) -> Tensor:
    """Up to `VALUES` values in even steps; an odd step, so that it does not keep to the same columns of a map."""
    flat = output.detach().reshape(-1)
    return flat[:: -(-len(flat) // VALUES) | 1].float().clone()


def _value(tag: str, values: Tensor) -> dict[str, Any]:
    return {"tag": tag, "histo": histogram(values.detach().float().cpu().numpy())}
