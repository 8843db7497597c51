"""densenet-fer: DenseNet-BC (Huang et al. 2017, arXiv 1608.06993, section 3) for 40–48 px."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import GlobalMean, Rate, Width, Widths, flat_features, named, norm_conv, start_kaiming
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, DepthGroups, Shape

BOTTLENECK = 4
COMPRESSION = 2


class DensenetOptions(Frozen):
    """Three blocks as on CIFAR; growth 12 with 16,16,16 layers is the paper's DenseNet-BC-100."""

    growth: Width = Field(24, description="channels that each layer adds (k)")
    layers: Widths = Field((6, 8, 8), description="layers in each block")
    dropout: Rate = Field(0.2, description="rate after each layer's convolutions")


class DenseLayer(nn.Module):
    """The picture so far, and `growth` new channels of it: 1×1 convolution to 4k, then 3×3 to k."""

    def __init__(self, inputs: int, growth: int, *, dropout: float) -> None:
        super().__init__()
        self.reduce = named(norm_conv(inputs, BOTTLENECK * growth, kernel=1))
        self.grow = named({**norm_conv(BOTTLENECK * growth, growth, kernel=3), "dropout": Dropout(dropout)})

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.grow(self.reduce(x))), 1)


def _transition(inputs: int) -> nn.Sequential:
    """Half the channels, half the side."""
    return named({**norm_conv(inputs, inputs // COMPRESSION, kernel=1), "pool": nn.AvgPool2d(2)})


class DensenetFer(Backbone):
    """Features (N, F) of pictures (N, C, H, W) of any side."""

    def __init__(self, shape: Shape, options: DensenetOptions) -> None:
        super().__init__()
        width = 2 * options.growth
        self.stem = nn.Conv2d(shape.channels, width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        for number, layers in enumerate(options.layers, 1):
            for layer in range(1, layers + 1):
                dense = DenseLayer(width, options.growth, dropout=options.dropout)
                self.blocks.add_module(f"block{number}_{layer}", dense)
                width += options.growth
            if number < len(options.layers):
                self.blocks.add_module(f"transition{number}", _transition(width))
                width //= COMPRESSION
        self.last = named({"norm": nn.BatchNorm2d(width), "act": nn.ReLU(inplace=True), "mean": GlobalMean()})
        self.out_features = flat_features(self, shape)
        start_kaiming(self)

    def depth_groups(self) -> DepthGroups:
        """Each kernel with the norm before it, the last one with that after it as well."""
        found: list[tuple[str, ...]] = [("stem",)]
        for name, block in self.blocks.named_children():
            parts = (".reduce", ".grow") if isinstance(block, DenseLayer) else ("",)
            found += [(f"blocks.{name}{part}",) for part in parts]
        return [*found[:-1], (*found[-1], "last")]

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.last(self.blocks(self.stem(x)))
        return features
