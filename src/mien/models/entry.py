"""What a network is here: a backbone that turns pictures into features, and an entry that tells how to build it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from mien.core.spec import Frozen


class Shape(NamedTuple):
    """What a network is fed: channels, height and width in pixels."""

    channels: int
    height: int
    width: int


# Parameters of one depth, from the input to the features: their names, or those of modules that hold them.
DepthGroups = Sequence[tuple[str, ...]]


class Backbone(nn.Module):
    """A network without its classifier: pictures (N, C, H, W) to features (N, out_features)."""

    out_features: int

    def not_weights(self) -> frozenset[str]:
        """Names of parameters with the shape of weights that are none, such as tables of positions: never decayed."""
        return frozenset()

    def depth_groups(self) -> DepthGroups:
        """Which parameters stand at one depth: here each kernel, with the vectors that follow it.

        Nets with branches, or with norms before their kernels, say it themselves.
        """
        found: list[tuple[str, ...]] = []
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 or not found:
                found.append((name,))
            else:
                found[-1] = (*found[-1], name)
        return found


# The second argument is an instance of the entry's own `options`.
Builder = Callable[[Shape, Any], Backbone]


@dataclass(frozen=True)
class Entry:
    """A network of the zoo.

    Attributes:
        description: one line.
        build: makes the backbone; raises ValueError for options that do not go together.
        options: the options with their defaults and meaning.
        side: height and width in pixels that the net is made for.
        smallest: the least side it can be fed.
        start_options: options that only say where the first weights come from; loading a model ignores them.
    """

    description: str
    build: Builder
    options: type[Frozen]
    side: int = 48
    smallest: int = 8
    start_options: frozenset[str] = frozenset()
