"""Probabilities over time: a face does not change its expression from one frame to the next and back."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float32]


class _State(NamedTuple):
    time_s: float
    mean: Probabilities


@final
class Smoother:
    """An exponential average for each face, that knows how much time has passed between two frames.

    Args:
        time_constant_s: after so many seconds, what was seen before counts 1/e; 0 smooths nothing.
    """

    def __init__(self, time_constant_s: float) -> None:
        self.time_constant_s = time_constant_s
        self._states: dict[int, _State] = {}

    def add(self, number: int, time_s: float, probabilities: Probabilities) -> Probabilities:
        """The average of face `number` with its new probabilities (K,); they still sum to 1."""
        last = self._states.get(number)
        if last is None or self.time_constant_s <= 0:
            mean = probabilities
        else:
            kept = math.exp(-max(time_s - last.time_s, 0.0) / self.time_constant_s)
            mean = (kept * last.mean + (1 - kept) * probabilities).astype(np.float32)
        self._states[number] = _State(time_s, mean)
        return mean

    def keep(self, numbers: Collection[int]) -> None:
        """Forget all other faces."""
        self._states = {number: state for number, state in self._states.items() if number in numbers}
