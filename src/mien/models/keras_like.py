"""emotion-net: the Keras net of countless FER2013 tutorials, weight for weight."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import ActivatedPool, Rate, Width, flat_features, named, start_glorot
from mien.models.convolution import Conv2d
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, Shape


class EmotionNetOptions(Frozen):
    """Defaults are the published net's."""

    dense: Width = Field(1024, description="width of the dense layer")
    conv_dropout: Rate = Field(0.25, description="rate after the second and the last pooling")
    dense_dropout: Rate = Field(0.5, description="rate after the dense layer")


class EmotionNet(Backbone):
    """Features (N, dense). Convolutions are unpadded: 48 px come out as 4 × 4 × 128."""

    def __init__(self, shape: Shape, options: EmotionNetOptions) -> None:
        super().__init__()
        self.layers = named(
            {
                "conv1": Conv2d(shape.channels, 32, 3),
                "act1": nn.ReLU(inplace=True),
                "conv2": Conv2d(32, 64, 3),
                "pool2": ActivatedPool(nn.ReLU(inplace=True), nn.MaxPool2d(2)),
                "dropout2": Dropout(options.conv_dropout),
                "conv3": Conv2d(64, 128, 3),
                "pool3": ActivatedPool(nn.ReLU(inplace=True), nn.MaxPool2d(2)),
                "conv4": Conv2d(128, 128, 3),
                "pool4": ActivatedPool(nn.ReLU(inplace=True), nn.MaxPool2d(2)),
                "dropout4": Dropout(options.conv_dropout),
                "flatten": nn.Flatten(),
            }
        )
        self.layers.add_module("dense", nn.Linear(flat_features(self.layers, shape), options.dense))
        self.layers.add_module("act5", nn.ReLU(inplace=True))
        self.layers.add_module("dropout5", Dropout(options.dense_dropout))
        self.out_features = options.dense
        start_glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features
