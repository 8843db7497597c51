"""What every network of the zoo keeps, by name: one test each, all names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models import zoo
from mien.models.classifier import Classifier, build_classifier
from mien.models.store import load_classifier, save_weights

NAMES = (*zoo.ZOO, "timm:mobilenetv3_small_050")
# The large ones thinner, for speed; test_networks.py holds their published sizes.
OPTIONS = {"vgg-fer": {"dense": 256}, "resnet-fer": {"width": 32}, "densenet-fer": {"layers": "3,3,3"}}
SIDE = 24
CLASSES = 7
HEADS = (Head(name="fer2013", labels=tuple("abcdefg")), Head(name="ferplus8", labels=tuple("abcdefgh")))


def spec(name: str, *, channels: int = 1, side: int = SIDE) -> ModelSpec:
    return ModelSpec(
        architecture=name,
        options=OPTIONS.get(name, {}),
        height=side,
        width=side,
        channels=channels,
        normalise=Normalise(kind="dataset", mean=(0.5,), std=(0.25,)),
        heads=HEADS,
    )


def pictures(count: int, *, channels: int = 1, side: int = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module", params=NAMES)
def net(request: pytest.FixtureRequest) -> Classifier:
    """A net whose norms have seen some batches, so that in eval mode its answers differ between pictures."""
    torch.manual_seed(0)
    built = build_classifier(spec(request.param)).train()
    with torch.no_grad():
        for count in (8, 9, 10):
            built(pictures(count))
    return built


@pytest.fixture
def settled(net: Classifier) -> Classifier:
    return net.eval()


def test_gives_one_logit_per_class_and_head_in_train_and_eval(net: Classifier) -> None:
    for mode in (True, False):
        with torch.no_grad():
            outputs = net.train(mode)(pictures(2))
        assert [tuple(o.shape) for o in outputs] == [(2, 7), (2, 8)]
        assert all(o.isfinite().all() for o in outputs)


def test_features_have_the_width_the_backbone_names(settled: Classifier) -> None:
    with torch.no_grad():
        assert settled.features(pictures(2)).shape == (2, settled.backbone.out_features)


def test_first_loss_is_that_of_guessing(net: Classifier) -> None:
    net.train()
    target = torch.arange(21) % CLASSES
    with torch.no_grad():
        loss = cross_entropy(net(pictures(21))[0], target).item()
    assert loss == pytest.approx(math.log(CLASSES), rel=0.15)


def test_every_parameter_gets_a_gradient(net: Classifier) -> None:
    net.train().zero_grad()
    outputs = net(pictures(4))
    sum(cross_entropy(o, torch.arange(4)) for o in outputs).backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    net.zero_grad()
    assert silent == []


def test_a_picture_is_answered_the_same_alone_and_in_a_batch(settled: Classifier) -> None:
    batch = pictures(4)
    with torch.no_grad():
        together = settled(batch)[0]
        alone = torch.cat([settled(batch[i : i + 1])[0] for i in range(4)])
    assert (together[0] - together[1]).abs().max() > 1e-6
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_whole_numbers_as_float_and_as_uint8_are_the_same_pictures(settled: Classifier) -> None:
    batch = pictures(2)
    with torch.no_grad():
        for a, b in zip(settled(batch), settled(batch.float()), strict=True):
            assert torch.equal(a, b)


def test_weights_saved_and_loaded_answer_exactly_the_same(settled: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, settled.state_dict(), settled.spec)
    loaded, loaded_spec = load_classifier(path)
    assert loaded_spec == settled.spec
    with torch.no_grad():
        for a, b in zip(settled(pictures(2)), loaded(pictures(2)), strict=True):
            assert torch.equal(a, b)


def test_bf16_in_channels_last_trains_and_stays_near_fp32(settled: Classifier) -> None:
    batch = pictures(8)
    with torch.no_grad():
        exact = settled.features(batch)
    state = {name: tensor.clone() for name, tensor in settled.state_dict().items()}
    settled.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            close = settled.features(batch)
        loss = cross_entropy(settled.train()(batch)[0], torch.arange(8) % CLASSES)
    loss.backward()
    spoilt = [n for n, p in settled.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    settled.zero_grad()
    settled.load_state_dict(state)
    settled.to(memory_format=torch.contiguous_format).eval()
    assert loss.isfinite()
    assert spoilt == ["heads.1.weight", "heads.1.bias"]  # the loss is of the first head
    assert (close.float() - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("name", NAMES)
def test_colour_goes_in_as_well_as_grey(name: str) -> None:
    colour = build_classifier(spec(name, channels=3)).eval()
    with torch.no_grad():
        assert colour(pictures(1, channels=3))[0].shape == (1, CLASSES)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_default_input_and_the_smallest_one_go_through(name: str) -> None:
    entry = zoo.ZOO[name]
    for side in (entry.side, entry.smallest):
        with torch.no_grad(), torch.device("meta"):  # sizes only
            backbone = zoo.build(name, channels=1, side=side).eval()
            assert backbone(torch.zeros(1, 1, side, side)).shape == (1, backbone.out_features)


@pytest.mark.parametrize("name", [name for name, entry in zoo.ZOO.items() if entry.smallest > 1])
def test_pictures_below_the_smallest_side_are_refused(name: str) -> None:
    side = zoo.ZOO[name].smallest - 1
    with pytest.raises(MienError, match=rf"{name} needs pictures of at least .* not {side}×{side}"):
        zoo.build(name, channels=1, side=side)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_pictures_need_not_be_square(name: str) -> None:
    with torch.no_grad(), torch.device("meta"):
        backbone = zoo.build(name, channels=1, side=(32, 40)).eval()
        assert backbone(torch.zeros(1, 1, 32, 40)).shape == (1, backbone.out_features)


def test_an_unknown_network_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(MienError, match=r"unknown network 'mien-x'\n  → did you mean 'mien-[sm]'"):
        zoo.build("mien-x", channels=1, side=48)


def test_an_unknown_option_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(MienError, match=r"unknown option of mien-m: 'drop_out'\n  → did you mean 'dropout'"):
        zoo.build("mien-m", channels=1, side=48, options={"drop_out": 0.1})


def test_a_value_that_does_not_fit_names_the_option() -> None:
    with pytest.raises(MienError, match=r"mien-m: option dropout = 1\.5"):
        zoo.build("mien-m", channels=1, side=48, options={"dropout": 1.5})


def test_two_channels_are_refused() -> None:
    with pytest.raises(MienError, match="1 or 3 channels, not 2"):
        zoo.build("mien-m", channels=2, side=48)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cliquenet", {"blocks": 7, "filters": 2, "layers": 2, "stem": 2}),
        ("densenet-fer", {"layers": "1,1,1,1,1,1,1", "growth": 2}),
        ("vgg-fer", {"widths": "2,2,2,2,2,2", "dense": 2}),
    ],
)
def test_options_that_leave_no_pixels_are_refused_when_the_net_is_built(name: str, options: dict[str, object]) -> None:
    with pytest.raises(MienError, match=rf"{name} cannot take pictures of 24×24 pixels(.|\n)*fewer stages, or larger"):
        zoo.build(name, channels=1, side=24, options=options)


def test_every_parameter_has_one_depth(net: Classifier) -> None:
    parts = [part for group in net.backbone.depth_groups() for part in group]
    for name, _ in net.backbone.named_parameters():
        assert sum(name == part or name.startswith(f"{part}.") for part in parts) == 1, name
