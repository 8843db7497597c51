"""The networks one by one: layer sizes of their sources, and their options."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.models import zoo
from mien.models.describe import describe
from mien.models.dropout import Dropout
from mien.models.entry import Backbone
from mien.models.summary import Layer


def layers(name: str, *kinds: str, side: int | None = None, **options: object) -> list[Layer]:
    return [layer for layer in describe(name, side=side, options=options).table.layers if layer.kind in kinds]


def build(name: str, side: int = 48, **options: object) -> Backbone:
    return zoo.build(name, channels=1, side=side, options=options)


def kinds(net: nn.Module) -> list[str]:
    return [type(module).__name__ for module in net.modules() if not list(module.children())]


def test_emotion_net_has_the_weights_of_the_keras_net() -> None:
    """The count `model.summary()` prints for it."""
    assert describe("emotion-net").table.parameters == 2_345_607


def test_emotion_net_is_unpadded() -> None:
    shapes = [layer.shape for layer in layers("emotion-net", "Conv2d", "MaxPool2d", "Flatten")]
    assert shapes == [
        (32, 46, 46),
        (64, 44, 44),
        (64, 22, 22),
        (128, 20, 20),
        (128, 10, 10),
        (128, 8, 8),
        (128, 4, 4),
        (2048,),
    ]


def test_lenet_sees_5_7_15_19_35_43_pixels() -> None:
    fields = [layer.receptive_field for layer in layers("lenet5-fer", "Conv2d", "MaxPool2d")]
    assert fields == [5, 7, 15, 19, 35, 43]


def test_lenet_pools_48_to_24_12_and_6() -> None:
    pools = layers("lenet5-fer", "MaxPool2d")
    assert [(p.shape, p.stride) for p in pools] == [((64, 24, 24), 2), ((64, 12, 12), 4), ((128, 6, 6), 8)]


def test_lenet_has_its_norm_between_convolution_and_activation() -> None:
    assert kinds(build("lenet5-fer").convs[0]) == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    other = build("lenet5-fer", norm="local_response", activation="leaky_relu", negative_slope=0.2)
    assert kinds(other.convs[0]) == ["Conv2d", "LocalResponseNorm", "LeakyReLU", "MaxPool2d"]
    assert other.convs[0].pool.act.negative_slope == 0.2


@pytest.mark.parametrize(("norm", "biased"), [("batch", False), ("local_response", False), ("none", True)])
def test_lenet_has_no_bias_before_a_norm(norm: str, biased: bool) -> None:
    convs = [m for m in build("lenet5-fer", norm=norm).modules() if isinstance(m, nn.Conv2d)]
    assert [conv.bias is not None for conv in convs] == [biased] * 3


@pytest.mark.parametrize("dense_norm", [True, False])
def test_lenet_has_two_dense_layers_of_512_with_or_without_norm(dense_norm: bool) -> None:
    net = build("lenet5-fer", dense_norm=dense_norm, dropout=0.3)
    norm = ["BatchNorm1d"] if dense_norm else []
    assert kinds(net.dense) == ["Linear", *norm, "ReLU", "Dropout"] * 2
    assert [(m.out_features, m.bias is None) for m in net.dense.modules() if isinstance(m, nn.Linear)] == [
        (512, dense_norm)
    ] * 2
    assert {m.rate for m in net.modules() if isinstance(m, Dropout)} == {0.3}


@pytest.mark.parametrize(("wide", "factor"), [(False, 1), (True, 4)])
def test_cnn7_has_seven_convolutions_plain_or_wide(wide: bool, factor: int) -> None:
    channels = [layer.shape[0] for layer in layers("cnn7", "Conv2d", wide=wide)]
    assert channels == [w * factor for w in (16, 16, 32, 32, 64, 64, 128)]


def test_cnn7_takes_other_widths_but_seven_of_them() -> None:
    assert [layer.shape[0] for layer in layers("cnn7", "Conv2d", widths="8,8,8,8,8,8,24")] == [8] * 6 + [24]
    with pytest.raises(MienError, match="option widths"):
        build("cnn7", widths="8,8")


def test_dexpression_has_the_papers_sizes_at_224() -> None:
    """Table 1 of arXiv 1509.05371."""
    shapes = [layer.shape for layer in layers("dexpression", "Conv2d")]
    assert shapes == [
        (64, 112, 112),
        *((96, 56, 56), (208, 56, 56), (64, 56, 56)),
        *((96, 28, 28), (208, 28, 28), (64, 28, 28)),
    ]
    pools = [layer.shape for layer in layers("dexpression", "MaxPool2d")]
    assert pools == [(64, 56, 56), (64, 56, 56), (272, 28, 28), (272, 28, 28), (272, 14, 14)]
    assert build("dexpression", 224).out_features == 272 * 14 * 14


@pytest.mark.parametrize(
    ("side", "fit", "last"), [(48, "auto", 6), (64, "auto", 8), (48, "original", 3), (224, "small", 28)]
)
def test_dexpression_is_fitted_to_small_pictures(side: int, fit: str, last: int) -> None:
    assert build("dexpression", side, fit=fit).out_features == 272 * last * last


def test_vgg_has_the_published_stages_and_dense_layers() -> None:
    with torch.device("meta"):
        net = build("vgg-fer", 40)
    convs = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    dense = [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]
    assert convs == [64, 64, 128, 128, 256, 256, 512, 512]
    assert dense == [(512 * 2 * 2, 4096), (4096, 4096)]


def test_resnet_is_resnet_18_at_full_resolution() -> None:
    """ResNet-18 has 11,176,512 weights without classifier; grey and the 3×3 stem take 64·(3·49 − 9) away."""
    net = build("resnet-fer", 44)
    assert sum(p.numel() for p in net.parameters()) == 11_176_512 - 64 * (3 * 49 - 9)
    sides = [layer.shape[1] for layer in layers("resnet-fer", "Conv2d")]
    assert sorted(set(sides), reverse=True) == [44, 22, 11, 6]


def test_densenet_with_the_papers_settings_is_densenet_bc_100_12() -> None:
    """769,162 weights with three input channels and ten classes, the usual count of public implementations."""
    net = zoo.build("densenet-fer", channels=3, side=32, options={"growth": 12, "layers": "16,16,16"})
    assert net.out_features == 342
    assert sum(p.numel() for p in net.parameters()) + 342 * 10 + 10 == 769_162


def test_cliquenet_uses_each_weight_in_both_stages() -> None:
    """Stage II of a layer is the convolution of all others, newest state first updated, with the stored weights."""
    torch.manual_seed(0)
    block = build("cliquenet", 8, filters=2, layers=3, blocks=1, stem=4).eval().blocks[0]
    x = torch.randn(1, 4, 8, 8)

    def layer(place: int, inputs: list[torch.Tensor], first: int, norm: nn.Module) -> torch.Tensor:
        stacked = torch.cat(inputs, 1)
        weight = block.links[place].weight[:, first : first + stacked.shape[1]]
        return nn.functional.conv2d(norm(stacked).relu(), weight, padding=1)

    first: list[torch.Tensor] = []
    for i in range(3):
        first.append(layer(i, [x, *first], 0, block.links[i].norm1))
    a = layer(0, [first[1], first[2]], 4, block.links[0].norm2)
    b = layer(1, [a, first[2]], 4, block.links[1].norm2)
    c = layer(2, [a, b], 4, block.links[2].norm2)
    torch.testing.assert_close(block(x), torch.cat((a, b, c), 1))


@pytest.mark.parametrize("attention", [True, False])
def test_cliquenet_weighs_channels_in_transitions_only_when_asked(attention: bool) -> None:
    gates = [m for m in build("cliquenet", attention=attention).modules() if isinstance(m, nn.Sigmoid)]
    assert len(gates) == (2 if attention else 0)


def test_the_papers_small_cliquenet_has_its_count_of_weights() -> None:
    """0.94 M for k = 36, T = 12 on CIFAR-10 (table 4): three input channels, ten classes, no attention."""
    options = {"filters": 36, "layers": 4, "stem": 64, "attention": False}
    net = zoo.build("cliquenet", channels=3, side=32, options=options)
    total = sum(p.numel() for p in net.parameters()) + net.out_features * 10 + 10
    assert total == pytest.approx(0.94e6, abs=0.005e6)


def test_mien_m_narrows_44_to_22_11_and_6() -> None:
    convs = layers("mien-m", "Conv2d")
    assert [layer.shape for layer in convs] == [
        (32, 44, 44),
        *[(64, 22, 22)] * 3,
        *[(128, 11, 11)] * 3,
        *[(256, 6, 6)] * 3,
    ]


def test_mien_s_has_one_convolution_at_full_resolution() -> None:
    shapes = [layer.shape for layer in layers("mien-s", "Conv2d")]
    assert shapes == [(32, 44, 44), *[(64, 22, 22)] * 2, *[(96, 11, 11)] * 2, *[(128, 6, 6)] * 2]


@pytest.mark.parametrize("name", ["mien-s", "mien-m"])
def test_mien_nets_are_dense_3_by_3_in_multiples_of_32(name: str) -> None:
    convs = [m for m in build(name, 44).modules() if isinstance(m, nn.Conv2d)]
    assert {(conv.kernel_size, conv.groups) for conv in convs} == {((3, 3), 1)}
    assert all(conv.out_channels % 32 == 0 for conv in convs)


def test_mien_branches_are_written_as_counts_joined_by_plus() -> None:
    net = build("mien-m", widths="8,16", blocks="0,2+1", dropout=0)
    assert [len([m for m in stage.modules() if isinstance(m, nn.Conv2d)]) for stage in net.stages] == [1, 4]
    assert [len(stage) for stage in net.stages] == [1, 3]


def test_mien_widths_may_be_a_list_too() -> None:
    assert build("mien-m", widths=[8, 16], blocks="0,0").out_features == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": "1,1"}, "4 widths but blocks for 2 stages"),
        ({"blocks": "1,x,1,1"}, "option blocks"),
        ({"widths": "32,-1"}, r"option widths\.2"),
    ],
)
def test_mien_options_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(MienError, match=message):
        build("mien-m", **options)


def test_a_residual_adds_the_input_to_its_branch() -> None:
    stage = build("mien-m", widths="4", blocks="1").eval().stages[0]
    x = stage[0](torch.randn(1, 1, 5, 5))
    torch.testing.assert_close(stage(torch.zeros(1, 1, 5, 5)), stage[1](stage[0](torch.zeros(1, 1, 5, 5))))
    torch.testing.assert_close(stage[1](x), x + stage[1].branch(x))
