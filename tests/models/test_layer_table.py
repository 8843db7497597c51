"""The layer table: exact counts, receptive fields through branches, and no trace left on the net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mien.models import zoo
from mien.models.describe import describe
from mien.models.summary import layer_table

LIGHT = {"vgg-fer": {"dense": 64}}  # its dense layers take seconds to draw
EMOTION_NET = {
    # outputs × weights behind each of them
    "backbone.layers.conv1": (46 * 46 * 32) * (3 * 3 * 1),
    "backbone.layers.conv2": (44 * 44 * 64) * (3 * 3 * 32),
    "backbone.layers.conv3": (20 * 20 * 128) * (3 * 3 * 64),
    "backbone.layers.conv4": (8 * 8 * 128) * (3 * 3 * 128),
    "backbone.layers.dense": 4 * 4 * 128 * 1024,
    "heads.0": 1024 * 7,
}


def test_emotion_nets_multiply_adds_are_those_computed_by_hand() -> None:
    table = describe("emotion-net").table
    assert {layer.name: layer.multiply_adds for layer in table.layers if layer.multiply_adds} == EMOTION_NET
    assert table.multiply_adds == sum(EMOTION_NET.values()) == 77_326_464


@pytest.mark.parametrize("name", zoo.ZOO)
def test_multiply_adds_are_half_of_torchs_flops(name: str) -> None:
    side = zoo.ZOO[name].side
    net = zoo.build(name, channels=1, side=side, options=LIGHT.get(name)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 1, side, side))
    assert counter.get_total_flops() == 2 * layer_table(net, (1, side, side)).multiply_adds


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_layers_add_up_to_the_net(name: str) -> None:
    table = describe(name, side=32, options=LIGHT.get(name)).table
    assert sum(layer.parameters for layer in table.layers) == table.parameters
    assert sum(layer.multiply_adds for layer in table.layers) == table.multiply_adds


def rows(net: nn.Module, side: int = 32) -> dict[str, tuple[int | None, int | None]]:
    return {layer.name: (layer.receptive_field, layer.stride) for layer in layer_table(net, (1, side, side)).layers}


def test_dilation_and_stride_widen_the_field() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.Conv2d(2, 2, 3, dilation=2), nn.AvgPool2d(2), nn.Conv2d(2, 2, 1)
    )
    assert rows(net) == {"0": (3, 2), "1": (11, 2), "2": (13, 4), "3": (13, 4)}


class Branches(nn.Module):
    """A wide and a narrow path, added; joined with the picture; gated by means; then flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 2, 7, padding=3), nn.Conv2d(1, 2, 1)
        self.joined, self.last = nn.Conv2d(3, 2, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.joined(torch.cat((self.wide(x) + self.narrow(x), x), 1))
        y = functional.max_pool2d(y * y.mean((2, 3), keepdim=True), 2)
        return self.last(y.mean((2, 3)))


def test_fields_follow_the_widest_branch_and_end_where_the_picture_is_averaged() -> None:
    assert rows(Branches()) == {"wide": (7, 1), "narrow": (1, 1), "joined": (9, 1), "last": (None, None)}


class Twice(nn.Module):
    """The same weights used twice, and a convolution written as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.kernel = nn.Parameter(torch.ones(2, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(functional.conv2d(x, self.kernel, padding=1)))


def test_a_layer_used_twice_counts_its_work_twice_and_its_weights_once() -> None:
    table = layer_table(Twice(), (1, 8, 8))
    assert [layer.parameters for layer in table.layers if layer.name == "conv"] == [36, 0]
    assert [layer.multiply_adds for layer in table.layers if layer.name == "conv"] == [36 * 64, 36 * 64]


def test_a_convolution_written_as_a_function_counts_for_the_module_around_it() -> None:
    table = layer_table(Twice(), (1, 8, 8))
    own = next(layer for layer in table.layers if layer.kind == "Twice")
    assert (own.parameters, own.multiply_adds) == (18, 18 * 64)
    assert table.multiply_adds == 2 * 36 * 64 + 18 * 64


def test_the_net_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    layer_table(net, (1, 8, 8))
    assert [module.training for module in net] == [True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_net_without_memory_will_do() -> None:
    with torch.device("meta"):
        net = zoo.build("vgg-fer", channels=1, side=40)
    assert layer_table(net, (1, 40, 40)).layers[0].shape == (64, 40, 40)
