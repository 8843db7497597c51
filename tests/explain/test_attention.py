"""Maps of a toy net whose evidence is at a known place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec, Normalise
from mien.explain.attention import grad_cam, last_spatial, occlusion
from mien.models.blocks import GlobalMean
from mien.models.classifier import Classifier
from mien.models.entry import Backbone


class Bright(Backbone):
    """How bright a picture is above the middle level, by place, and then on average."""

    out_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.mean = nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.ReLU(inplace=True), GlobalMean()
        nn.init.constant_(self.conv.weight, 1 / 9)
        nn.init.constant_(self.conv.bias, -0.6)

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = self.mean(self.act(self.conv(x)))
        return mean


def toy(crop: int | None = None) -> Classifier:
    """Says "bright" for pictures with something bright, else "dark"."""
    head = Head(name="light", labels=("dark", "bright"))
    norm = Normalise(kind="unit")
    spec = ModelSpec(architecture="toy", height=32, width=32, crop=crop, normalise=norm, heads=(head,))
    classifier = Classifier(spec, Bright())
    with torch.no_grad():
        classifier.heads[0].weight.copy_(torch.tensor([[-100.0], [100.0]]))
        classifier.heads[0].bias.copy_(torch.tensor([1.0, -1.0]))
    return classifier


def spots(*places: tuple[int, int]) -> np.ndarray:
    """Dark pictures (n, 32, 32) with a bright square of 6 px whose top left corner is given."""
    images = np.full((len(places), 32, 32), 40, np.uint8)
    for picture, (top, left) in zip(images, places, strict=True):
        picture[top : top + 6, left : left + 6] = 250
    return images


PLACES = ((3, 4), (20, 5), (12, 22))


def at_peak(heat: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return int(row), int(column)


@pytest.mark.parametrize("crop", [None, 30])
def test_grad_cam_finds_the_evidence(crop: int | None) -> None:
    maps = grad_cam(toy(crop), spots(*PLACES), np.ones(3, np.int64))
    assert maps.shape == (3, 32, 32)
    for heat, (top, left) in zip(maps, PLACES, strict=True):
        row, column = at_peak(heat)
        assert top <= row < top + 6
        assert left <= column < left + 6
        assert heat[top - 1 : top + 7, left - 1 : left + 7].sum() > 0.9 * heat.sum()


def test_what_speaks_for_a_class_speaks_against_the_other() -> None:
    assert not grad_cam(toy(), spots(*PLACES), np.zeros(3, np.int64)).any()


def test_nothing_is_seen_outside_the_crop() -> None:
    maps = grad_cam(toy(crop=20), spots(*PLACES), np.ones(3, np.int64))
    inside = np.zeros((32, 32), np.bool_)
    inside[6:26, 6:26] = True
    assert not maps[:, ~inside].any()
    assert maps[2].any()


def test_hiding_the_evidence_costs_most() -> None:
    maps = occlusion(toy(), spots(*PLACES), np.ones(3, np.int64), patch=8)
    for heat, (top, left) in zip(maps, PLACES, strict=True):
        row, column = at_peak(heat)
        assert top - 1 <= row < top + 7
        assert left - 1 <= column < left + 7
        assert heat.max() > 0.2
        assert abs(heat[28:, 28:]).max() < 0.01  # far from any of them


def test_the_net_is_left_as_it_was() -> None:
    classifier = toy().train()
    grad_cam(classifier, spots(*PLACES), np.ones(3, np.int64))
    assert classifier.training
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert not any(module._forward_hooks for module in classifier.modules())


def test_a_net_without_places_is_refused() -> None:
    with pytest.raises(MienError, match="no layer with places"):
        last_spatial(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), torch.zeros(1, 1, 4, 4))


def test_a_square_that_does_not_fit_is_refused() -> None:
    with pytest.raises(MienError, match="does not fit"):
        occlusion(toy(), spots((1, 1)), np.ones(1, np.int64), patch=40)
