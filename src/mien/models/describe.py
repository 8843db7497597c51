"""What there is to know of a network by name: its options, its input and its layers with a classifier on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mien.core.labels import FER2013
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models import zoo
from mien.models.classifier import Classifier
from mien.models.graph import trace
from mien.models.graph_svg import drawn
from mien.models.summary import Table, layer_table


@dataclass(frozen=True)
class Option:
    """An option of a network: its value here and what it means."""

    name: str
    value: Any
    meaning: str


@dataclass(frozen=True)
class Description:
    """A network with a head for FER2013's seven classes.

    Attributes:
        input: channels, height and width in pixels.
    """

    name: str
    description: str
    input: tuple[int, int, int]
    options: tuple[Option, ...]
    table: Table


def describe(
    name: str, *, side: int | None = None, channels: int = 1, options: Mapping[str, Any] | None = None
) -> Description:
    """Build a network and run it once on an empty picture; `side` defaults to what the net is made for.

    Raises:
        MienError: as `zoo.build`.
    """
    entry, options = zoo.entry(name), options or {}
    side = side or entry.side
    checked = zoo.read_options(name, options)
    return Description(
        name=name,
        description=entry.description,
        input=(channels, side, side),
        options=tuple(
            Option(key, getattr(checked, key), field.description or "")
            for key, field in type(checked).model_fields.items()
        ),
        table=layer_table(_classifier(name, side, channels, options), (channels, side, side)),
    )


def graph(net: Description) -> str:
    """The network drawn layer by layer, branches included, as an SVG file."""
    channels, side, _ = net.input
    built = _classifier(net.name, side, channels, {option.name: option.value for option in net.options})
    return drawn(trace(built, net.input), title=f"{net.name}: {net.description}")


def _classifier(name: str, side: int, channels: int, options: Mapping[str, Any]) -> Classifier:
    backbone = zoo.build(name, channels=channels, side=side, options=options)
    spec = ModelSpec.model_validate(
        {
            "architecture": name,
            "height": side,
            "width": side,
            "channels": channels,
            "normalise": Normalise(kind="unit"),
            "heads": (Head(name=FER2013.name, labels=FER2013.names),),
        }
    )
    return Classifier(spec, backbone)
