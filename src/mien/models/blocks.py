"""What the networks share: option types, common layers, and how weights start."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.convolution import Conv2d
from mien.models.entry import Shape


def _numbers(value: Any) -> Any:
    """Comma-separated text as a list; anything else is left to the validation that follows."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(gt=0)]
# Options travel as plain values in recipes and specs, so a list is written "32,64,128".
Widths = Annotated[tuple[Width, ...], BeforeValidator(_numbers), Field(min_length=1)]


def named(layers: Mapping[str, nn.Module]) -> nn.Sequential:
    """Layers in a row under their own names, which weights files, layer tables and recipes then show."""
    return nn.Sequential(OrderedDict(layers))


def conv_norm(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Padded convolution, batch norm, ReLU: three plain modules in a row, which exporters fold into one."""
    return named({**conv_norm_linear(inputs, outputs, kernel=kernel, stride=stride), "act": nn.ReLU(inplace=True)})


def conv_norm_linear(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> dict[str, nn.Module]:
    """Padded convolution and batch norm, by name."""
    conv = Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return {"conv": conv, "norm": nn.BatchNorm2d(outputs)}


def norm_conv(inputs: int, outputs: int, *, kernel: int) -> dict[str, nn.Module]:
    """Batch norm, ReLU, padded convolution, by name: the order of pre-activation nets (arXiv 1603.05027)."""
    conv = Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return {"norm": nn.BatchNorm2d(inputs), "act": nn.ReLU(inplace=True), "conv": conv}


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(x)
        return x + branch


class GlobalMean(nn.Module):
    """(N, C, H, W) to its mean over the picture (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        # Not x.mean((2, 3)): its gradient would lose the channels-last layout for all layers before it.
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


class ActivatedPool(nn.Module):
    """Max pooling of a monotonic activation.

    Training pools first: the two commute exactly, gradients too, and the activation has a quarter of the work.
    Evaluation activates first, which exporters fuse into the convolution.
    """

    def __init__(self, act: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.act, self.pool = act, pool

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.act(self.pool(x)) if self.training else self.pool(self.act(x))
        return result


@contextmanager
def eval_mode(net: nn.Module) -> Iterator[None]:
    """Every module in eval mode, afterwards each as it was."""
    before = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def flat_features(layers: nn.Module, shape: Shape) -> int:
    """How many numbers a picture of `shape` leaves after `layers`, found by a forward pass in eval mode."""
    with torch.no_grad(), eval_mode(layers):
        return int(layers(torch.zeros(1, *shape)).numel())


def start_kaiming(net: nn.Module) -> None:
    """He et al. 2015 (arXiv 1502.01852): convolutions by fan-out, dense layers by fan-in, biases zero.

    For nets whose norms keep the signal's size; the norms themselves start at one and zero.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            mode: Literal["fan_in", "fan_out"] = "fan_out" if isinstance(module, nn.Conv2d) else "fan_in"
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            _zero_bias(module)


def start_glorot(net: nn.Module) -> None:
    """Glorot & Bengio 2010, the default of Keras and Caffe: uniform by both fans, biases zero.

    For nets without norms, where fan-out alone would shrink the signal at every widening.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            _zero_bias(module)


def _zero_bias(module: nn.Conv2d | nn.Linear) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)
