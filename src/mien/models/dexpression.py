"""dexpression: two parallel feature extraction blocks (Burkert et al. 2015, arXiv 1509.05371, table 1).

The table's sizes at 224 px: 64 @ 112, pooled to 56, FeatEx to 272 @ 56, pooled to 28, FeatEx to 272 @ 28, pooled
to 14, classifier. Pooling rounds up, as in Caffe.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import Rate, flat_features, named, start_glorot
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, DepthGroups, Shape

FITTED_BELOW = 128


class DexpressionOptions(Frozen):
    """The published net, and one for small pictures."""

    fit: Literal["auto", "original", "small"] = Field(
        "auto",
        description="small: first convolution without stride, so that 48–64 px are 24–32 px in the first block; "
        f"auto: small below {FITTED_BELOW} px",
    )
    dropout: Rate = Field(0.0, description="rate on the features")


class FeatEx(nn.Module):
    """Two paths side by side: 1×1 and 3×3 convolution, and pooling with a 1×1 convolution; 208 + 64 channels."""

    out_channels = 208 + 64

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.path_a = named(
            {
                "conv_a": nn.Conv2d(inputs, 96, 1),
                "act_a": nn.ReLU(inplace=True),
                "conv_b": nn.Conv2d(96, 208, 3, padding=1),
                "act_b": nn.ReLU(inplace=True),
            }
        )
        self.path_b = named(
            {
                "pool_a": nn.MaxPool2d(3, 1, padding=1),
                "conv_c": nn.Conv2d(inputs, 64, 1),
                "act_c": nn.ReLU(inplace=True),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.path_a(x), self.path_b(x)), 1)


class Dexpression(Backbone):
    """Features (N, 272 · h · w) with h and w the last map's sides: 14 of 224 px; 6 of 48 px when fitted."""

    def __init__(self, shape: Shape, options: DexpressionOptions) -> None:
        super().__init__()
        small = options.fit == "small" or (options.fit == "auto" and min(shape.height, shape.width) < FITTED_BELOW)
        self.layers = named(
            {
                "conv1": nn.Conv2d(shape.channels, 64, 7, stride=1 if small else 2, padding=3),
                "act1": nn.ReLU(inplace=True),
                "pool1": nn.MaxPool2d(3, 2, ceil_mode=True),
                "norm1": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
                "featex2": FeatEx(64),
                "pool2": nn.MaxPool2d(3, 2, ceil_mode=True),
                "featex3": FeatEx(FeatEx.out_channels),
                "pool3": nn.MaxPool2d(3, 2, ceil_mode=True),
                "flatten": nn.Flatten(),
                "dropout": Dropout(options.dropout),
            }
        )
        self.out_features = flat_features(self.layers, shape)
        start_glorot(self)

    def depth_groups(self) -> DepthGroups:
        """The short path of a FeatEx block counts with the end of the long one."""
        found: list[tuple[str, ...]] = [("layers.conv1",)]
        for block in ("layers.featex2", "layers.featex3"):
            found += [(f"{block}.path_a.conv_a",), (f"{block}.path_a.conv_b", f"{block}.path_b")]
        return found

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features
