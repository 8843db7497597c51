"""vgg-fer: the VGG net of Khaireddin & Chen 2021 (arXiv 2105.03588) for 40 px crops.

They report 73.28 % on FER2013's PrivateTest; the layers are those of their published code.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import (
    ActivatedPool,
    Rate,
    Width,
    Widths,
    conv_norm,
    conv_norm_linear,
    flat_features,
    named,
    start_kaiming,
)
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, Shape


class VggOptions(Frozen):
    """Defaults are the published net's; its convolutions' biases are left out, as a norm follows."""

    widths: Widths = Field((64, 128, 256, 512), description="channels of the stages, two convolutions each")
    dense: Width = Field(4096, description="width of both dense layers; 512 leaves a fifth of the weights")
    dropout: Rate = Field(0.2, description="rate in each dense layer")


def _stage(inputs: int, width: int) -> nn.Sequential:
    last = named(conv_norm_linear(width, width))
    return nn.Sequential(conv_norm(inputs, width), last, ActivatedPool(nn.ReLU(inplace=True), nn.MaxPool2d(2)))


def _dense(inputs: int, options: VggOptions) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, options.dense), Dropout(options.dropout), nn.ReLU(inplace=True))


class VggFer(Backbone):
    """Features (N, dense)."""

    def __init__(self, shape: Shape, options: VggOptions) -> None:
        super().__init__()
        inputs = (shape.channels, *options.widths)
        stages = [_stage(before, width) for before, width in zip(inputs, options.widths, strict=False)]
        self.stages = nn.Sequential(*stages, nn.Flatten())
        self.dense = nn.Sequential(_dense(flat_features(self.stages, shape), options), _dense(options.dense, options))
        self.out_features = options.dense
        start_kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dense(self.stages(x))
        return features
