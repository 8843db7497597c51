"""The classifier: what goes in, how it is cut, what comes out."""

from __future__ import annotations

import pytest
import torch

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models.classifier import Classifier, build_classifier, centre_crop

OPTIONS = {"widths": "8,16", "blocks": "0,1"}


def classifier(**changes: object) -> Classifier:
    torch.manual_seed(0)
    fields = {
        "architecture": "mien-s",
        "options": OPTIONS,
        "height": 16,
        "width": 16,
        "normalise": Normalise(kind="unit"),
        "heads": (Head(name="fer2013", labels=tuple("abcdefg"), temperature=2.0), Head(name="two", labels=("x", "y"))),
    }
    return build_classifier(ModelSpec.model_validate({**fields, **changes})).eval()


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_heads_come_in_the_order_of_the_spec() -> None:
    assert [tuple(o.shape) for o in classifier()(pictures(3, 16, 16))] == [(3, 7), (3, 2)]


def test_grey_pictures_may_leave_out_the_channel() -> None:
    net, x = classifier(), pictures(2, 16, 16)
    assert torch.equal(net(x)[0], net(x.unsqueeze(1))[0])


def test_larger_pictures_are_cut_to_their_centre() -> None:
    net, x = classifier(crop=12), pictures(2, 16, 16)
    assert torch.equal(net(x)[0], net(x[:, 2:14, 2:14])[0])


def test_what_lies_outside_the_crop_changes_nothing() -> None:
    net, x = classifier(crop=12), pictures(2, 16, 16)
    framed = x.clone()
    framed[:, :2], framed[:, 14:], framed[:, :, :2], framed[:, :, 14:] = 0, 0, 0, 0
    assert torch.equal(net(x)[0], net(framed)[0])


def test_an_odd_margin_leaves_the_extra_line_at_the_end() -> None:
    x = torch.arange(7 * 5).reshape(1, 1, 7, 5)
    assert torch.equal(centre_crop(x, 4), x[..., 1:5, 0:4])


def test_smaller_batches_pass_uncut_for_training_at_growing_sizes() -> None:
    assert classifier(crop=12)(pictures(2, 10, 10))[0].shape == (2, 7)


def test_the_backbone_is_built_for_the_crop() -> None:
    net = classifier(architecture="cnn7", options={}, height=48, width=48, crop=32)
    assert net.backbone.out_features == 128 * 2 * 2


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 16, 16, 1), (16, 16)])
def test_pictures_of_another_shape_are_refused_with_the_shape_wanted(shape: tuple[int, ...]) -> None:
    with pytest.raises(MienError, match=r"takes pictures \(N, 1, H, W\), got"):
        classifier()(pictures(*shape))


def test_logits_are_the_plain_ones_without_temperature() -> None:
    net, x = classifier(), pictures(2, 16, 16)
    assert torch.equal(net(x)[0], net.heads[0](net.features(x)))


def test_heads_start_near_zero_with_zero_bias() -> None:
    for head in classifier().heads:
        assert head.weight.abs().max() < 0.05
        assert not head.bias.any()


def test_head_weights_shrink_with_very_many_features() -> None:
    net = classifier(architecture="cnn7", options={"widths": "8,8,8,8,8,8,512"}, height=64, width=64)
    assert net.backbone.out_features == 8192
    assert net.heads[0].weight.std().item() == pytest.approx(0.1 / 8192**0.5, rel=0.05)
