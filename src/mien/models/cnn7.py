"""cnn7: seven padded 3×3 convolutions in pairs, pooling and dropout between, then the classifier at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import ActivatedPool, Rate, Widths, flat_features, start_glorot
from mien.models.convolution import Conv2d
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, Shape

CONVOLUTIONS = 7
WIDE = 4


class Cnn7Options(Frozen):
    """Plain by default; wide is the same net with four times the channels."""

    widths: Annotated[Widths, Field(min_length=CONVOLUTIONS, max_length=CONVOLUTIONS)] = Field(
        (16, 16, 32, 32, 64, 64, 128), description="channels of the seven convolutions"
    )
    wide: bool = Field(False, description=f"every width times {WIDE}: 64-64-128-128-256-256-512")
    dropout: Rate = Field(0.25, description="rate after each pooling")


class Cnn7(Backbone):
    """Features (N, widths[-1] · H/16 · W/16)."""

    def __init__(self, shape: Shape, options: Cnn7Options) -> None:
        super().__init__()
        inputs = shape.channels
        self.layers = nn.Sequential()
        for number, width in enumerate(options.widths, 1):
            outputs = width * (WIDE if options.wide else 1)
            self.layers.add_module(f"conv{number}", Conv2d(inputs, outputs, 3, padding=1))
            pooled = number % 2 == 0 or number == CONVOLUTIONS
            if not pooled:
                self.layers.add_module(f"act{number}", nn.ReLU(inplace=True))
            else:
                self.layers.add_module(f"pool{number}", ActivatedPool(nn.ReLU(inplace=True), nn.MaxPool2d(2)))
                self.layers.add_module(f"dropout{number}", Dropout(options.dropout))
            inputs = outputs
        self.layers.add_module("flatten", nn.Flatten())
        self.out_features = flat_features(self.layers, shape)
        start_glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features
