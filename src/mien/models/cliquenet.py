"""cliquenet: blocks whose layers update each other in turn (Yang et al. 2018, arXiv 1802.10419), small.

In stage I the layers of a block are made one after the other from the block's input and the layers before.
In stage II each is made again from the newest state of all the others, with the same weights. Every block's
input and stage-II layers, pooled, go to the classifier; only the stage-II layers go on to the next block.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mien.core.spec import Frozen
from mien.models.blocks import GlobalMean, Rate, Width, flat_features, named, norm_conv, start_kaiming
from mien.models.dropout import Dropout
from mien.models.entry import Backbone, DepthGroups, Shape


class CliqueOptions(Frozen):
    """Three blocks. filters 36 with 4 layers and stem 64 is the paper's k = 36, T = 12."""

    filters: Width = Field(24, description="channels of each layer (k)")
    layers: int = Field(4, ge=2, description="layers in each block (T/3)")
    blocks: int = Field(3, ge=1)
    stem: Width = Field(32, description="channels of the first convolution")
    attention: bool = Field(True, description="attentional transition: channels weighed by their means")
    dropout: Rate = Field(0.0, description="rate after each layer")


class Link(nn.Module):
    """One layer of a clique: norm, ReLU and 3×3 convolution, with a norm for each stage and weights for both.

    The weights' input channels are the block's input, then the layers before, then those after this one: stage I
    uses a slice from the start, stage II one to the end.
    """

    def __init__(self, inputs: int, *, place: int, filters: int, layers: int, dropout: float) -> None:
        super().__init__()
        others = filters * (layers - 1)
        self.weight = nn.Parameter(torch.empty(filters, inputs + others, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.stage1, self.stage2 = (0, inputs + place * filters), (inputs, others)
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs + place * filters), nn.BatchNorm2d(others)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, *, again: bool) -> Tensor:
        """Stage I of (N, inputs and layers before, H, W), or stage II of all the other layers."""
        norm = self.norm2 if again else self.norm1
        weight = self.weight.narrow(1, *(self.stage2 if again else self.stage1))
        convolved: Tensor = self.dropout(functional.conv2d(functional.relu(norm(x)), weight, padding=1))
        return convolved


class Clique(nn.Module):
    """A block: (N, inputs, H, W) to its stage-II layers (N, layers · filters, H, W)."""

    def __init__(self, inputs: int, options: CliqueOptions) -> None:
        super().__init__()
        size = {"filters": options.filters, "layers": options.layers}
        self.links = nn.ModuleList(
            Link(inputs, place=i, dropout=options.dropout, **size) for i in range(options.layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        states: list[Tensor] = []
        for link in self.links:
            states.append(link(torch.cat((x, *states), 1), again=False))
        for i, link in enumerate(self.links):
            states[i] = link(torch.cat((*states[:i], *states[i + 1 :]), 1), again=True)
        return torch.cat(states, 1)


class Attention(nn.Module):
    """Channels times a gate in 0–1 made of all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            GlobalMean(),
            nn.Linear(channels, channels // 2),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 2, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(x)
        return x * gate[:, :, None, None]


def _transition(channels: int, *, attention: bool) -> nn.Sequential:
    gate = {"attention": Attention(channels)} if attention else {}
    return named({**norm_conv(channels, channels, kernel=1), **gate, "pool": nn.AvgPool2d(2)})


class CliqueNet(Backbone):
    """Features (N, F): the means of every block's input and stage-II layers, side by side."""

    def __init__(self, shape: Shape, options: CliqueOptions) -> None:
        super().__init__()
        clique = options.filters * options.layers
        inputs = [options.stem, *[clique] * (options.blocks - 1)]
        self.stem = nn.Conv2d(shape.channels, options.stem, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(Clique(width, options) for width in inputs)
        self.transitions = nn.ModuleList(_transition(clique, attention=options.attention) for _ in inputs[1:])
        self.pools = nn.ModuleList(
            named({"norm": nn.BatchNorm2d(width + clique), "act": nn.ReLU(inplace=True), "mean": GlobalMean()})
            for width in inputs
        )
        self.out_features = flat_features(self, shape)
        start_kaiming(self)

    def depth_groups(self) -> DepthGroups:
        """A block is one, since all its links feed each other; so is a transition with its attention."""
        cliques = [(f"blocks.{i}", f"pools.{i}") for i in range(len(self.blocks))]
        between = [(f"transitions.{i}",) for i in range(len(self.transitions))]
        joined = (group for pair in zip(between, cliques[1:], strict=True) for group in pair)
        return [("stem",), cliques[0], *joined]

    def forward(self, x: Tensor) -> Tensor:
        x, features = self.stem(x), []
        for i, (block, pool) in enumerate(zip(self.blocks, self.pools, strict=True)):
            x = self.transitions[i - 1](x) if i else x
            refined = block(x)
            features.append(pool(torch.cat((x, refined), 1)))
            x = refined
        return torch.cat(features, 1)
