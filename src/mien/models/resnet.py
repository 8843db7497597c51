"""resnet-fer: ResNet-18 (He et al. 2015, arXiv 1512.03385) with the stem for small pictures, as on CIFAR.

The usual from-scratch reference on FER2013 at 44 px: one 3×3 convolution without stride or pooling first, so
that the four stages see 44, 22, 11 and 6 px.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mien.core.spec import Frozen
from mien.models.blocks import (
    GlobalMean,
    Rate,
    Width,
    Widths,
    conv_norm,
    conv_norm_linear,
    named,
    start_kaiming,
)
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, DepthGroups, Shape

STAGES = 4


class ResnetOptions(Frozen):
    """ResNet-18; blocks 3,4,6,3 make it ResNet-34."""

    blocks: Annotated[Widths, Field(min_length=STAGES, max_length=STAGES)] = Field(
        (2, 2, 2, 2), description="blocks in each stage"
    )
    width: Width = Field(64, description="channels of the first stage; each next one doubles them")
    dropout: Rate = Field(0.5, description="rate on the features")


class BasicBlock(nn.Module):
    """relu(branch(x) + shortcut(x)) with two 3×3 convolutions; a 1×1 shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_norm(inputs, outputs, stride=stride), named(conv_norm_linear(outputs, outputs))
        )
        same = inputs == outputs and stride == 1
        shortcut = {} if same else conv_norm_linear(inputs, outputs, kernel=1, stride=stride)
        self.shortcut = named(shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.branch(x) + self.shortcut(x))


def _stage(inputs: int, width: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, width, stride=stride)
    return nn.Sequential(first, *(BasicBlock(width, width, stride=1) for _ in range(blocks - 1)))


class ResnetFer(Backbone):
    """Features (N, 8 · width) of pictures (N, C, H, W) of any side."""

    def __init__(self, shape: Shape, options: ResnetOptions) -> None:
        super().__init__()
        widths = [options.width * 2**i for i in range(STAGES)]
        self.stem = conv_norm(shape.channels, options.width)
        self.stages = nn.Sequential(
            *(
                _stage(widths[max(0, i - 1)], widths[i], blocks=blocks, stride=2 if i else 1)
                for i, blocks in enumerate(options.blocks)
            )
        )
        self.mean = GlobalMean()
        self.dropout = Dropout(options.dropout)
        self.out_features = widths[-1]
        start_kaiming(self)

    def depth_groups(self) -> DepthGroups:
        """A shortcut counts with the convolution to which it is added."""
        found: list[tuple[str, ...]] = [("stem",)]
        for block, module in self.stages.named_modules(prefix="stages"):
            if isinstance(module, BasicBlock):
                found += [(f"{block}.branch.0",), (f"{block}.branch.1", f"{block}.shortcut")]
        return found

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.mean(self.stages(self.stem(x))))
        return features
