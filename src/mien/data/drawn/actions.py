"""Facial action units: which ones make an expression, and how strongly each shows on one drawn face.

The combinations are the prototypes and major variants that Ekman, Friesen and Hager give for the Facial Action
Coding System (FACS Investigator's Guide, 2002, table 10-1; EMFACS-7, Friesen and Ekman 1983; contempt: R12A + R14A),
with weights from FACS' letters A (trace) to E (maximum). They describe the face that is drawn, nothing that a
person feels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import unknown_name

# FACS number: the name in FACS. Only units that the geometry knows.
UNITS: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    43: "eyes closed",
}

# Expression: its combinations, each with the strength of every unit at full expression.
PROTOTYPES: dict[str, tuple[dict[int, float], ...]] = {
    "angry": (
        {4: 1.0, 5: 0.6, 7: 0.8, 23: 0.9},
        {4: 1.0, 5: 0.5, 7: 0.8, 17: 0.6, 24: 0.9},
        {4: 1.0, 5: 0.6, 7: 0.7, 10: 0.7, 16: 0.6, 25: 0.9, 26: 0.35},
        {4: 1.0, 7: 1.0, 17: 0.4, 23: 0.8},
    ),
    "disgust": (
        {9: 1.0, 15: 0.6, 16: 0.4, 25: 0.3, 7: 0.4},
        {9: 0.9, 17: 0.7, 15: 0.5, 7: 0.5},
        {9: 0.7, 10: 1.0, 16: 0.6, 25: 0.6, 7: 0.4},
    ),
    "fear": (
        {1: 1.0, 2: 0.5, 4: 0.7, 5: 1.0, 7: 0.3, 20: 0.9, 25: 0.7, 26: 0.3},
        {1: 1.0, 2: 0.5, 4: 0.6, 5: 1.0, 20: 1.0, 16: 0.3, 25: 0.9},
        {1: 0.9, 2: 0.4, 4: 0.7, 5: 1.0, 20: 0.6, 26: 0.5, 25: 0.5},
    ),
    "happy": (
        {6: 0.9, 12: 1.0},
        {6: 0.8, 12: 1.0, 25: 0.9},
        {6: 1.0, 12: 1.0, 25: 1.0, 26: 0.5},
        {6: 0.4, 12: 0.8},
    ),
    "sad": (
        {1: 1.0, 4: 0.6, 15: 0.9},
        {1: 1.0, 4: 0.5, 15: 0.8, 17: 0.7},
        {1: 0.9, 4: 0.4, 15: 1.0, 43: 0.35},
        {1: 0.7, 4: 0.7, 6: 0.4, 15: 0.9, 17: 0.4},
    ),
    "surprise": (
        {1: 1.0, 2: 1.0, 5: 0.7, 26: 0.9, 25: 0.5},
        {1: 1.0, 2: 1.0, 5: 0.8, 27: 0.9, 25: 0.5},
        {1: 0.9, 2: 1.0, 5: 0.6, 26: 0.5, 25: 0.4},
    ),
    "neutral": ({},),
    "contempt": (
        {12: 0.6, 14: 0.9},
        {12: 0.3, 14: 1.0, 10: 0.3},
    ),
}
ONE_SIDED = frozenset({"contempt"})


@dataclass(frozen=True)
class Actions:
    """How strongly each unit shows on the left and right of the picture: FACS number → 0 (none) to 1 (maximum)."""

    left: Mapping[int, float]
    right: Mapping[int, float]

    def side(self, sign: float) -> Mapping[int, float]:
        """The units of the half face with x of this sign."""
        return self.left if sign < 0 else self.right

    def both(self, unit: int) -> float:
        """Mean strength of a unit over the two sides."""
        return (self.left.get(unit, 0.0) + self.right.get(unit, 0.0)) / 2

    def vector(self) -> NDArray[np.float64]:
        """Strengths (2 * units,) in the order of `UNITS`, left then right."""
        return np.array([side.get(unit, 0.0) for side in (self.left, self.right) for unit in UNITS])


def prototype(expression: str, *, variant: int = 0, strength: float = 1.0) -> Actions:
    """The actions of an expression, symmetric (contempt: on the right of the picture), every unit at `strength`.

    Raises:
        MienError: for an expression without prototypes.
    """
    units = _variants(expression)[variant]
    shown = {unit: weight * strength for unit, weight in units.items()}
    return Actions(left={} if expression in ONE_SIDED else shown, right=shown)


def draw_actions(rng: np.random.Generator, expression: str, strength: float) -> Actions:
    """Actions of one face: a variant, each unit's strength within a quarter of its own, sides a little unequal."""
    variants = _variants(expression)
    units = variants[rng.integers(len(variants))]
    sides = ({}, {}) if expression in ONE_SIDED else (units, units)
    if expression in ONE_SIDED:
        sides = (units, {}) if rng.random() < 0.5 else ({}, units)
    common = {unit: rng.uniform(0.75, 1.25) for unit in units}
    left, right = (
        {unit: float(np.clip(w * strength * common[unit] * rng.uniform(0.85, 1.15), 0, 1)) for unit, w in side.items()}
        for side in sides
    )
    return Actions(left=_with_idle(rng, left), right=_with_idle(rng, right))


def _with_idle(rng: np.random.Generator, units: dict[int, float]) -> dict[int, float]:
    """The faint movement of a resting face added, so that neutral faces are not all the same."""
    unit = int(rng.choice((1, 2, 4, 6, 7, 12, 14, 15, 17, 25)))
    return {**units, unit: min(1.0, units.get(unit, 0.0) + float(rng.exponential(0.05)))}


def _variants(expression: str) -> tuple[dict[int, float], ...]:
    if expression not in PROTOTYPES:
        raise unknown_name("expression", expression, PROTOTYPES)
    return PROTOTYPES[expression]
