"""Kernels as matrices, which Muon orthogonalises: a row for each output channel, on the same memory."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, final

import torch
from torch import Tensor, nn

from mien.train.rates import HEADS


def is_matrix(name: str, parameter: Tensor, weights: Set[str]) -> bool:
    """Whether Muon is for it: kernels and dense weights, but not the heads, as its authors advise for output layers."""
    return name in weights and parameter.ndim in (2, 4) and not name.startswith(HEADS)


def as_matrix(tensor: Tensor, *, like: Tensor) -> Tensor:
    """(outputs, all else), a view where the layout is that of `like`; the order of columns is that of its memory."""
    if tensor.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1).flatten(1)
    return tensor.flatten(1)


@final
class Matrices:
    """Parameters and their views as matrices."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._views = {id(p): (p, as_matrix(p.detach(), like=p)) for p in parameters}
        for parameter, view in self._views.values():
            assert view.data_ptr() == parameter.data_ptr(), "a copy would never move the parameter"

    def seen_in(self, grouped: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Groups of parameters as groups of their views."""
        return [group | {"params": [self._views[id(p)][1] for p in group["params"]]} for group in grouped]

    def hand_over(self) -> None:
        """Give the views the parameters' gradients."""
        for parameter, view in self._views.values():
            view.grad = None if parameter.grad is None else as_matrix(parameter.grad, like=parameter)

    def zero_grad(self) -> None:
        """Forget the parameters' gradients."""
        for parameter, _ in self._views.values():
            parameter.grad = None
