"""Several models answering as one: the weighted mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec
from mien.evaluate.answerer import Answerer, Answers, Pixels


@final
class Ensemble:
    """The mean of the probabilities of models that take pictures of one size.

    It has the heads that all members share by name and labels. What else its spec says, such as the crop that
    test-time shifts follow, is the first member's.

    Args:
        members: at least one model.
        weights: one positive figure a member, scaled to sum to 1; None: all alike.

    Raises:
        MienError: no members, weights that do not fit, pictures of different sizes, or no head in common.
    """

    def __init__(self, members: Sequence[Answerer], *, weights: Sequence[float] | None = None) -> None:
        self._members = tuple(members)
        self._weights = shares(weights, len(members))
        self.name = " + ".join(member.name for member in members)
        self.spec = common_spec([member.spec for member in members])

    def probabilities(self, images: Pixels) -> Answers:
        answers = [member.probabilities(images) for member in self._members]
        return {
            head.name: np.einsum("m,mnk->nk", self._weights, [a[head.name] for a in answers]).astype(np.float32)
            for head in self.spec.heads
        }


def shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """Weights of `count` members scaled to sum to 1; None: all alike. Raises MienError where they do not fit."""
    given = [1.0] * count if weights is None else list(weights)
    if not count or len(given) != count or not all(w > 0 and np.isfinite(w) for w in given):
        raise MienError(f"an ensemble needs models with one positive weight each, got {count} with {given}")
    return [w / sum(given) for w in given]


def common_spec(specs: list[ModelSpec]) -> ModelSpec:
    """The first spec with the heads that all have, untempered.

    Raises:
        MienError: pictures of different sizes, or no head in common.
    """
    sizes = {(spec.height, spec.width) for spec in specs}
    if len(sizes) > 1:
        listed = ", ".join(f"{h}×{w}" for h, w in sorted(sizes))
        raise MienError(f"the models take pictures of different sizes: {listed}", hint="average models of one size")
    shared = [head for head in specs[0].heads if all(_has(spec, head) for spec in specs)]
    if not shared:
        heads = "; ".join(", ".join(f"{h.name} ({len(h.labels)} labels)" for h in spec.heads) for spec in specs)
        raise MienError(f"the models have no head with the same labels in common: {heads}")
    # Members apply their own temperatures; the mean has none.
    return specs[0].model_copy(update={"heads": tuple(Head(name=h.name, labels=h.labels) for h in shared)})


def _has(spec: ModelSpec, head: Head) -> bool:
    return any(own.name == head.name and own.labels == head.labels for own in spec.heads)
