"""Maps of a toy net whose evidence is at a known place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.labels import identify
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data.dataset import Dataset, describe, make_table
from mien.evaluate.answerer import TorchAnswerer
from mien.explain import show_attention
from mien.explain.attention import grad_cam, last_spatial, occlusion, spatial
from mien.explain.show_layers import activations
from mien.explain.subject import Subject, subject
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


class Turned(nn.Module):
    """Puts the channels last, as Swin keeps them; `back` is the way back."""

    def __init__(self, *, back: bool = False) -> None:
        super().__init__()
        self.axes = (0, 3, 1, 2) if back else (0, 2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)


class Heads(nn.Module):
    """Tokens as attention sees them: (N, heads, tokens, features)."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, *_ = x.shape
        return x.reshape(n, 2, channels // 2, -1).transpose(2, 3)


class Tokens(Backbone):
    """A net that cuts pictures into patches and mixes those: four axes here and there, and no places after the cut."""

    out_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.heads = nn.Conv2d(1, 8, 8, stride=8), Heads()
        self.mix, self.out = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = self.out(self.mix(self.heads(self.cut(x)))).mean((1, 2))
        return mean


def tokens() -> Classifier:
    head = Head(name="light", labels=("dark", "bright"))
    spec = ModelSpec(architecture="toy", height=32, width=32, normalise=Normalise(kind="unit"), heads=(head,))
    torch.manual_seed(0)
    return Classifier(spec, Tokens())


def test_channels_last_and_attention_are_no_maps() -> None:
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), Turned(), nn.Linear(6, 6), Turned(back=True), Heads())
    pictures = torch.zeros(1, 1, 12, 12)
    assert spatial(net, pictures) == {net[0], net[1], net[4]}
    assert last_spatial(net, pictures) is net[4]


def test_layers_after_which_the_size_is_fixed_still_count() -> None:
    dense = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    assert last_spatial(dense, torch.zeros(1, 1, 8, 8)) is dense[1]


def test_the_cut_into_patches_is_not_the_last_layer_with_places() -> None:
    classifier = tokens()
    with pytest.raises(MienError, match="no layer with places"):
        grad_cam(classifier, spots(*PLACES), np.ones(3, np.int64))
    assert list(activations(classifier, spots(PLACES[0])[0])) == ["cut"]


def told(classifier: Classifier, images: np.ndarray) -> Subject:
    """The classifier asked about pictures that it answers as labelled."""
    labels = identify(classifier.spec.heads[0].labels)
    said = TorchAnswerer(classifier).probabilities(images)["light"].argmax(1)
    source = [f"{i}.png" for i in range(len(images))]
    table = make_table(label=said, split=np.array(["val"] * len(images)), source=source, images=images, votes=None)
    data = Dataset(images, table, describe("spots", labels, images, table))
    return subject(TorchAnswerer(classifier), classifier, data)


@pytest.mark.parametrize(("make", "columns"), [(toy, 6), (tokens, 4)])
def test_without_places_there_are_occlusion_maps_alone_and_the_reason(
    make: Callable[[], Classifier], columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(show_attention, "save", lambda figure, _path: drawn.append(figure))
    [shown] = show_attention.write(told(make(), spots(*PLACES)), tmp_path, lambda *_: None)
    titles = [axes.get_title() for axes in drawn[0].axes if axes.get_title()]
    assert len(titles) == columns
    assert ("Grad-CAM" in titles) == (columns == 6)
    assert ("No Grad-CAM: this net has no layer" in shown.text) == (columns == 4)
