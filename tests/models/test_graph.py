"""The graph of a net: every layer in it, branches as they are, and a drawing in which nothing lies upon another."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.cli.app import run
from mien.models import zoo
from mien.models.blocks import Residual
from mien.models.dropout import Dropout
from mien.models.graph import Node, trace
from mien.models.graph_layout import Size, arrange
from mien.models.graph_svg import boxed, drawn

LIGHT = {"vgg-fer": {"dense": 64}}
SVG = "{http://www.w3.org/2000/svg}"


def graph_of(name: str) -> tuple[nn.Module, tuple[Node, ...]]:
    side = zoo.ZOO[name].side
    net = zoo.build(name, channels=1, side=side, options=LIGHT.get(name))
    return net, trace(net, (1, side, side))


@pytest.mark.parametrize("name", zoo.ZOO)
def test_every_parameter_is_in_the_graph_and_every_box_is_fed(name: str) -> None:
    net, nodes = graph_of(name)
    assert sum(node.parameters for node in nodes) == sum(p.numel() for p in net.parameters())
    assert [node.kind for node in nodes if not node.inputs] == ["pictures"]
    used = {edge.source for node in nodes for edge in node.inputs}
    assert used == set(range(len(nodes) - 1))
    for number, node in enumerate(nodes):
        for edge in node.inputs:
            assert edge.source < number
            if nodes[edge.source].kind != "pictures":
                assert math.prod(edge.shape) == math.prod(nodes[edge.source].shape)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_sum_takes_from_the_branch_and_from_what_the_branch_took_from() -> None:
    _, nodes = graph_of("mien-s")
    sums = [node for node in nodes if node.kind == "add"]
    assert len(sums) == 3
    for node in sums:
        shortcut, branch = sorted(edge.source for edge in node.inputs)
        while nodes[branch].inputs and branch > shortcut:
            [edge] = nodes[branch].inputs
            branch = edge.source
        assert branch == shortcut


def test_a_layer_that_gives_what_it_was_given_does_not_take_its_place() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), Residual(Dropout(0.5)))
    kinds = [(node.kind, [edge.source for edge in node.inputs]) for node in trace(net, (1, 5, 5))]
    assert kinds == [("pictures", []), ("Conv2d", [0]), ("Dropout", [1]), ("add", [1, 2])]


class Odd(nn.Module):
    """Functions, a layer used twice, what nobody needs, and a flattened picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.weight = nn.Parameter(torch.ones(4, 1, 3, 3))
        self.idle = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        once = self.conv(x)
        self.conv(functional.relu(once))
        twice = self.conv(once)
        both = torch.cat([self.idle(once), twice], 1)[:, :1]
        return functional.conv2d(both, self.weight, padding=1).flatten(1)


def test_functions_between_layers_are_nodes_and_what_no_output_needs_is_not() -> None:
    nodes = trace(Odd(), (1, 6, 6))
    told = [(n.name, n.kind, n.detail, n.parameters, [e.source for e in n.inputs]) for n in nodes]
    assert told == [
        ("pictures", "pictures", "", 0, []),
        ("conv", "Conv2d", "3×3, 1", 10, [0]),
        ("conv:3", "Conv2d", "3×3, 1", 0, [1]),
        ("cat", "cat", "", 0, [1, 2]),
        ("conv2d", "conv2d", "3×3, 4", 36, [3]),
    ]
    assert nodes[-1].inputs[0].shape == (1, 6, 6)


def test_what_keeps_the_size_stands_in_the_box_of_its_convolution() -> None:
    _, nodes = graph_of("resnet-fer")
    boxes = [[nodes[i].kind for i in box.nodes] for box in boxed(nodes)]
    assert boxes[:5] == [
        ["pictures"],
        ["Conv2d", "BatchNorm2d", "ReLU"],
        ["Conv2d", "BatchNorm2d", "ReLU"],
        ["Conv2d", "BatchNorm2d"],
        ["add", "relu"],
    ]
    assert sum(map(len, boxes)) == len(nodes)


def test_a_residual_net_is_one_straight_line_with_its_shortcuts_beside_it() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (1, 3), (3, 4), (4, 5), (3, 5), (5, 6)]
    layout = arrange([Size(80, 20)] * 7, edges, gap=10, drop=30)
    assert {round(x, 4) for x, _ in layout.centres} == {40.0}
    assert [y for _, y in layout.centres] == [10 + 50 * i for i in range(7)]
    shortcut = layout.routes[edges.index((1, 3))]
    assert shortcut[0] == (layout.centres[1][0], layout.centres[1][1] + 10)
    assert shortcut[-1] == (layout.centres[3][0], layout.centres[3][1] - 10)
    assert all(abs(x - layout.centres[2][0]) >= 40 + 10 - 1e-6 for x, _ in shortcut[1:-1])


def test_chains_side_by_side_do_not_cross_and_boxes_do_not_touch() -> None:
    # The second rank is numbered the other way round.
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 5), (3, 4), (4, 7), (5, 7), (6, 7)]
    sizes = [Size(30 + 10 * i, 10 + i) for i in range(8)]
    layout = arrange(sizes, edges, gap=12, drop=20)
    order = sorted((1, 2, 3), key=lambda i: layout.centres[i][0])
    assert sorted((6, 5, 4), key=lambda i: layout.centres[i][0]) == [{1: 6, 2: 5, 3: 4}[i] for i in order]
    for (a, p), (b, q) in combinations(zip(sizes, layout.centres, strict=True), 2):
        beside = abs(p[0] - q[0]) >= (a.width + b.width) / 2 + 12 - 1e-6
        apart = abs(p[1] - q[1]) >= (a.height + b.height) / 2
        assert beside or apart
    for size, (x, _) in zip(sizes, layout.centres, strict=True):
        assert x - size.width / 2 >= -1e-6
        assert x + size.width / 2 <= layout.width + 1e-6


def test_an_edge_upwards_is_refused() -> None:
    with pytest.raises(ValueError, match="lower to a higher"):
        arrange([Size(1, 1)] * 2, [(1, 0)], gap=1, drop=1)


def test_the_drawing_names_layers_and_the_shapes_on_their_lines() -> None:
    _, nodes = graph_of("mien-s")
    root = ET.fromstring(drawn(nodes, title="a <net> & more"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert texts[0] == "a <net> & more"
    for wanted in ("pictures 1×44×44", "Conv2d 3×3, 32", "MaxPool2d 2×2 / 2", "stages.1.1.branch.0", "128×6×6"):
        assert wanted in texts
    assert texts.count("+ sum") == 3
    edges = sum(len(box.inputs) for box in boxed(nodes))
    assert len(list(root.iter(f"{SVG}path"))) == edges
    assert len(list(root.iter(f"{SVG}rect"))) == len(boxed(nodes)) + 1


def test_the_verb_draws_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.svg"
    assert run(["models", "mien-s", "--set", "widths=8,16,24,32", "--graph", str(file)]) == 0
    assert str(file) in capsys.readouterr().out.replace("\n", "")
    assert "Conv2d 3×3, 24" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [("--graph", "net.svg"), ("mien-s", "--graph", "net.png")])
def test_only_one_network_and_only_svg(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", *arguments]) == 2
    assert "SVG" in capsys.readouterr().err
