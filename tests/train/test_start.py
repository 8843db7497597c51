"""Starting weights: convolutions that pass their input on, a first layer that whitens it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.recipe import ModelConfig
from mien.data.dataset import Dataset
from mien.models import zoo
from mien.models.classifier import build_classifier
from mien.models.store import read_weights
from mien.train.run import train
from mien.train.start import begin, start_dirac, start_whitening


def test_dirac_convolutions_pass_their_input_on_and_keep_their_own_start_beyond() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Conv2d(5, 2, 1), nn.Conv2d(2, 2, 3, groups=2))
    before = [layer.weight.detach().clone() for layer in net]
    start_dirac(net)
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(net[0](x)[:, :3], x)
    assert torch.equal(net[0].weight[3:], before[0][3:])
    assert torch.equal(net[1].weight, before[1])
    assert torch.equal(net[2].weight, before[2])


def test_dirac_narrows_to_the_first_channels() -> None:
    net = nn.Sequential(nn.Conv2d(4, 2, 3, padding=1, bias=False))
    start_dirac(net)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(net(x), x[:, :2])


def test_a_whitened_first_layer_gives_uncorrelated_outputs_of_size_one_and_their_opposites() -> None:
    torch.manual_seed(0)
    x = F.avg_pool2d(torch.randn(64, 1, 34, 34), 3, 1)
    net = nn.Sequential(nn.Conv2d(1, 20, 3, bias=False), nn.ReLU())
    own = net[0].weight[18:].detach().clone()
    start_whitening(net, x)
    outputs = net[0](x).transpose(0, 1).flatten(1)
    second = (outputs @ outputs.T / outputs.shape[1])[:9, :9]
    torch.testing.assert_close(second, torch.eye(9), atol=0.1, rtol=0)
    assert torch.equal(net[0].weight[:9], -net[0].weight[9:18])
    assert torch.equal(net[0].weight[18:], own)


def test_whitening_is_computed_on_the_cpu_since_not_every_device_has_float64() -> None:
    net, asked = nn.Sequential(nn.Conv2d(1, 18, 3)), []
    elsewhere: Any = SimpleNamespace(cpu=lambda: asked.append("cpu") or torch.randn(8, 1, 9, 9))
    start_whitening(net, elsewhere)
    assert asked == ["cpu"]


@pytest.mark.parametrize(
    ("net", "message"),
    [(nn.Sequential(nn.Conv2d(1, 16, 3)), "16 outputs, 18 are needed"), (nn.Linear(2, 2), "no convolution")],
)
def test_a_net_that_cannot_whiten_says_why(net: nn.Module, message: str) -> None:
    with pytest.raises(MienError, match=message):
        start_whitening(net, torch.zeros(1, 1, 8, 8))
    if message == "no convolution":
        with pytest.raises(MienError, match="no padded convolution with an odd kernel"):
            start_dirac(net)


def test_a_training_takes_both_and_refuses_them_over_pretrained_weights(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    both = {"start_dirac": True, "start_whitening": True}
    recipe = small(model={**both, "options": {"widths": "20,20", "blocks": "0,1"}}, train={"epochs": 1})
    assert train(bar_set, recipe, tmp_path / "r", watched()).progress.epoch == 1
    net = build_classifier(read_weights(tmp_path / "r" / "weights" / "last.safetensors")[1])
    first, second = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][:2]
    start = {conv: conv.weight.detach().clone() for conv in (first, second)}
    begin(net, recipe.model, bar_set.images, bar_set.rows("train"))
    assert not torch.equal(first.weight[:9], start[first][:9])
    assert torch.equal(first.weight[:9], -first.weight[9:18])
    assert torch.equal(first.weight[18:], start[first][18:])
    assert torch.equal(second.weight, nn.init.dirac_(torch.empty_like(second.weight)))
    pretrained = ModelConfig(start_dirac=True, options={"pretrained": True})
    with pytest.raises(MienError, match="start_dirac would overwrite pretrained weights"):
        begin(nn.Identity(), pretrained, bar_set.images, bar_set.rows("train"))


def test_a_net_with_other_kernels_says_so_instead_of_passing_on_a_shifted_picture() -> None:
    for conv in (nn.Conv2d(1, 4, 4, padding=1), nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3, padding=2)):
        before = conv.weight.detach().clone()
        with pytest.raises(MienError, match="no padded convolution with an odd kernel"):
            start_dirac(nn.Sequential(conv))
        assert torch.equal(conv.weight, before)
    net = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.Conv2d(4, 4, 3, padding="same", bias=False))
    patches = net[0].weight.detach().clone()
    start_dirac(net)
    assert torch.equal(net[0].weight, patches)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(net[1](x), x)


@pytest.mark.parametrize(
    ("name", "message"), [("cliquenet", "a kernel of this net meets other inputs"), ("emotion-net", "no padded conv")]
)
def test_nets_of_the_zoo_that_cannot_pass_their_input_on_refuse(name: str, message: str) -> None:
    with pytest.raises(MienError, match=message):
        start_dirac(zoo.build(name, channels=1, side=24))


def test_a_run_folder_gives_its_best_weights_to_start_from(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    begun = [build_classifier(read_weights(tmp_path / "r" / "weights" / "best.safetensors")[1]) for _ in range(2)]
    for net, weights in zip(begun, ("", "weights/best.safetensors"), strict=True):
        begin(net, ModelConfig(start_from=str(tmp_path / "r" / weights)), bar_set.images, bar_set.rows("train"))
    first, second = (net.state_dict() for net in begun)
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(MienError, match=r"not a run folder \(no recipe\.toml\)"):
        begin(begun[0], ModelConfig(start_from=str(tmp_path)), bar_set.images, bar_set.rows("train"))
