"""The networks by name: what builds them, their options, and the input they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mien.core.errors import MienError, unknown_name
from mien.core.invalid import invalid
from mien.core.spec import Frozen, Normalise
from mien.models import (
    cliquenet,
    cnn7,
    densenet,
    dexpression,
    keras_like,
    lenet,
    mien_nets,
    resnet,
    timm_bridge,
    vgg,
)
from mien.models.entry import Backbone, Entry, Shape

ZOO: dict[str, Entry] = {
    "mien-s": Entry(
        "ours, small: residual net of dense 3×3 convolutions",
        mien_nets.MienNet,
        mien_nets.MienSOptions,
        side=44,
        smallest=1,
    ),
    "mien-m": Entry(
        "ours, middle: residual net of dense 3×3 convolutions",
        mien_nets.MienNet,
        mien_nets.MienMOptions,
        side=44,
        smallest=1,
    ),
    "emotion-net": Entry(
        "the Keras net of most FER2013 tutorials, unpadded",
        keras_like.EmotionNet,
        keras_like.EmotionNetOptions,
        smallest=24,
    ),
    "lenet5-fer": Entry(
        "three 5×5 convolutions 64-64-128, two dense layers of 512",
        lenet.Lenet5Fer,
        lenet.LenetOptions,
    ),
    "cnn7": Entry("seven 3×3 convolutions, plain or wide", cnn7.Cnn7, cnn7.Cnn7Options, smallest=16),
    "dexpression": Entry(
        "two FeatEx blocks (arXiv 1509.05371), original or fitted to 48–64 px",
        dexpression.Dexpression,
        dexpression.DexpressionOptions,
        side=224,
    ),
    "vgg-fer": Entry("VGG of eight convolutions (arXiv 2105.03588)", vgg.VggFer, vgg.VggOptions, side=40, smallest=16),
    "resnet-fer": Entry("ResNet-18 with a 3×3 stem", resnet.ResnetFer, resnet.ResnetOptions, side=44, smallest=1),
    "densenet-fer": Entry(
        "DenseNet-BC, growth 24 (arXiv 1608.06993)",
        densenet.DensenetFer,
        densenet.DensenetOptions,
        side=44,
        smallest=4,
    ),
    "cliquenet": Entry(
        "small CliqueNet with attentional transition (arXiv 1802.10419)",
        cliquenet.CliqueNet,
        cliquenet.CliqueOptions,
        side=40,
        smallest=4,
    ),
}


def entry(name: str) -> Entry:
    """The entry of a name of the zoo or of `timm:NAME`. Raises MienError with the nearest name otherwise."""
    if name.startswith(timm_bridge.PREFIX):
        return timm_bridge.entry(name)
    if name not in ZOO:
        raise unknown_name("network", name, [*ZOO, f"{timm_bridge.PREFIX}NAME"])
    return ZOO[name]


def read_options(name: str, options: Mapping[str, Any]) -> Frozen:
    """The options of a network, checked and completed by its defaults.

    Raises:
        MienError: for an unknown option, with the nearest name, or a value that does not fit.
    """
    kind = entry(name).options
    for key in options:
        if key not in kind.model_fields:
            raise unknown_name(f"option of {name}:", key, kind.model_fields)
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        raise invalid(name, error, kind="option") from None


def lasting_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a trained model needs: those without that only name starting weights."""
    return {key: value for key, value in options.items() if key not in entry(name).start_options}


def build(
    name: str, *, channels: int, side: int | tuple[int, int], options: Mapping[str, Any] | None = None
) -> Backbone:
    """A network without classifier: (N, channels, side, side) to (N, out_features).

    Args:
        name: a name of the zoo, or `timm:NAME`.
        channels: 1 or 3.
        side: of square pictures, or (height, width), in pixels.
        options: by name; what is left out takes the net's default.

    Raises:
        MienError: for an unknown name or option, a value that does not fit, or pictures too small, for the net or for
            its options.
    """
    net, checked = entry(name), read_options(name, options or {})
    height, width = side if isinstance(side, tuple) else (side, side)
    if channels not in (1, 3):
        raise MienError(f"{name}: pictures have 1 or 3 channels, not {channels}", hint="1 is grey, 3 is colour")
    if min(height, width) < net.smallest:
        raise MienError(
            f"{name} needs pictures of at least {net.smallest}×{net.smallest} pixels, not {height}×{width}",
            hint="set a larger size or crop, or take another network",
        )
    try:
        return net.build(Shape(channels, height, width), checked)
    except ValueError as error:
        raise MienError(f"{name}: {error}") from None
    except RuntimeError as error:
        # The builders try one picture: torch finds that nothing is left of it.
        raise MienError(
            f"{name} cannot take pictures of {height}×{width} pixels with these options ({error})",
            hint="fewer stages, or larger pictures",
        ) from None


def normalisation(name: str, *, channels: int) -> Normalise:
    """The normalisation a network was trained with before, where it has one: timm's nets.

    Raises:
        MienError: for a net of the zoo, which has none of its own.
    """
    if name.startswith(timm_bridge.PREFIX):
        return timm_bridge.timm_normalisation(name, channels)
    entry(name)
    raise MienError(
        f"{name} has no normalisation of its own, only timm's networks have",
        hint="take another kind, such as dataset",
    )
