"""mien-s and mien-m: residual nets of dense 3×3 convolutions, made to train and predict on a few CPU cores.

Why they look so: depthwise convolutions are bound by memory on a CPU while dense ones with channels in
multiples of 32 are not; few channels at full resolution, where a layer costs most; identity shortcuts
everywhere but at the change of width (He et al. 2016, arXiv 1603.05027).
"""

from __future__ import annotations

from typing import Annotated, final

from pydantic import Field
from torch import Tensor, nn

from mien.core.spec import Frozen
from mien.models.blocks import (
    ActivatedPool,
    GlobalMean,
    Rate,
    Residual,
    Widths,
    conv_norm,
    conv_norm_linear,
    named,
    start_kaiming,
)
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, Shape

# One stage: convolutions in each residual branch, branches joined by "+"; "0" means none.
Blocks = Annotated[str, Field(pattern=r"^\d(\+\d)*(,\d(\+\d)*)*$")]


class MienOptions(Frozen):
    """Stages with pooling between them. Abstract: each net has its own defaults."""

    widths: Widths
    blocks: Blocks
    dropout: Rate


@final
class MienMOptions(MienOptions):
    """mien-m: one convolution at full resolution, where a layer is bound by memory; residual pairs below."""

    widths: Widths = Field((32, 64, 128, 256), description="channels of the stages")
    blocks: Blocks = Field(
        "0,2,2,2",
        description="convolutions in a stage's residual branches; 2+1: a pair, then a single one; 0: none",
    )
    dropout: Rate = Field(0.3, description="rate on the features")


@final
class MienSOptions(MienOptions):
    """mien-s: nothing but the first convolution at full resolution."""

    widths: Widths = Field((32, 64, 96, 128), description="channels of the stages")
    blocks: Blocks = Field("0,1,1,1", description="as for mien-m")
    dropout: Rate = Field(0.2, description="rate on the features")


def _stage(inputs: int, width: int, depths: list[int]) -> list[nn.Module]:
    """A convolution to the new width, then one x + relu(bn(conv(…))) of so many convolutions per depth.

    A stage without residuals leaves its activation to what follows, which is cheaper after the pooling.
    """
    residuals = [Residual(nn.Sequential(*(conv_norm(width, width) for _ in range(n)))) for n in depths if n]
    return [conv_norm(inputs, width), *residuals] if residuals else [named(conv_norm_linear(inputs, width))]


def _between(depths: list[int]) -> nn.Module:
    """Pooling after a stage; rounding up keeps the last row and column of an odd side (44, 22, 11, 6)."""
    pool = nn.MaxPool2d(2, ceil_mode=True)
    return pool if any(depths) else ActivatedPool(nn.ReLU(inplace=True), pool)


class MienNet(Backbone):
    """Features (N, widths[-1]) of pictures (N, C, H, W) of any side."""

    def __init__(self, shape: Shape, options: MienOptions) -> None:
        super().__init__()
        depths = [[int(n) for n in stage.split("+")] for stage in options.blocks.split(",")]
        if len(depths) != len(options.widths):
            raise ValueError(f"{len(options.widths)} widths but blocks for {len(depths)} stages")
        inputs = (shape.channels, *options.widths)
        self.stages = nn.ModuleList(
            nn.Sequential(*_stage(before, width, depth))
            for before, width, depth in zip(inputs, options.widths, depths, strict=False)
        )
        last: nn.Module = nn.Identity() if any(depths[-1]) else nn.ReLU(inplace=True)
        self.after = nn.ModuleList([*(_between(depth) for depth in depths[:-1]), last])
        self.mean = GlobalMean()
        self.dropout = Dropout(options.dropout)
        self.out_features = options.widths[-1]
        start_kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        for stage, after in zip(self.stages, self.after, strict=True):
            x = after(stage(x))
        features: Tensor = self.dropout(self.mean(x))
        return features
