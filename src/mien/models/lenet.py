"""lenet5-fer: LeNet-5's plan, wider: three padded 5×5 convolutions, overlapping pooling, two dense layers.

Receptive fields after each convolution and pooling: 5, 7, 15, 19, 35, 43 pixels.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import ActivatedPool, Rate, flat_features, named, start_glorot
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, Shape

WIDTHS = (64, 64, 128)
DENSE = 512


class LenetOptions(Frozen):
    """Norm, activation and dropout, the choices that this net is used to compare."""

    norm: Literal["batch", "local_response", "none"] = Field(
        "batch", description="after each convolution, before its activation"
    )
    dense_norm: bool = Field(False, description="batch norm in the dense layers, before the activation")
    activation: Literal["relu", "leaky_relu"] = "relu"
    negative_slope: float = Field(0.01, ge=0, lt=1, description="of leaky_relu")
    dropout: Rate = Field(0.5, description="rate after each dense layer")


def _norm(kind: str, channels: int) -> dict[str, nn.Module]:
    """The norm of a convolution, by name; empty for none. Local response as in Caffe's AlexNet (the paper's k is 2)."""
    if kind == "batch":
        return {"norm": nn.BatchNorm2d(channels)}
    return {"norm": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)} if kind == "local_response" else {}


def _activation(options: LenetOptions) -> nn.Module:
    leaky = options.activation == "leaky_relu"
    return nn.LeakyReLU(options.negative_slope, inplace=True) if leaky else nn.ReLU(inplace=True)


def _convolution(inputs: int, outputs: int, options: LenetOptions) -> nn.Sequential:
    norm = _norm(options.norm, outputs)
    # No bias before a norm. Rounding up gives 48, 24, 12, 6: "same" pooling as TensorFlow has it.
    conv = nn.Conv2d(inputs, outputs, 5, padding=2, bias=not norm)
    return named(
        {"conv": conv, **norm, "pool": ActivatedPool(_activation(options), nn.MaxPool2d(3, 2, ceil_mode=True))}
    )


def _dense(inputs: int, options: LenetOptions) -> nn.Sequential:
    norm: dict[str, nn.Module] = {"norm": nn.BatchNorm1d(DENSE)} if options.dense_norm else {}
    linear = nn.Linear(inputs, DENSE, bias=not norm)
    return named({"linear": linear, **norm, "act": _activation(options), "dropout": Dropout(options.dropout)})


class Lenet5Fer(Backbone):
    """Features (N, 512)."""

    def __init__(self, shape: Shape, options: LenetOptions) -> None:
        super().__init__()
        inputs = (shape.channels, *WIDTHS)
        convs = [_convolution(before, width, options) for before, width in zip(inputs, WIDTHS, strict=False)]
        self.convs = nn.Sequential(*convs, nn.Flatten())
        self.dense = nn.Sequential(_dense(flat_features(self.convs, shape), options), _dense(DENSE, options))
        self.out_features = DENSE
        start_glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dense(self.convs(x))
        return features
