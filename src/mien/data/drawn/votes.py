"""Simulated FER+ annotators for drawn faces: the weaker the action units, the less they agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.labels import canonical
from mien.core.votes import COLUMNS, EXPRESSIONS
from mien.data.drawn.actions import ONE_SIDED, PROTOTYPES, Actions
from mien.data.drawn.face import Face

_TOLERANCE = 0.45
_UNKNOWN, _NOT_A_FACE, _UNKNOWN_WHEN_HIDDEN = 0.02, 0.003, 0.15


def annotate(faces: Sequence[Face], rng: np.random.Generator, *, annotators: int = 10) -> NDArray[np.int64]:
    """Votes (N, 10) in the order of `core.votes.COLUMNS`, `annotators` of them for each face."""
    return rng.multinomial(annotators, vote_probabilities(faces)).astype(np.int64)


def vote_probabilities(faces: Sequence[Face]) -> NDArray[np.float64]:
    """How likely one annotator gives each answer (N, 10); rows sum to 1.

    An annotator compares the action units of the face with those of each prototype and chooses with probability
    in proportion to exp(−distance² / 2t²): expressions that share units (fear and surprise: 1, 2, 5) are mixed up
    most, and a faint expression is close to neutral. "unknown" is likelier when a part of the face is hidden.
    """
    shown = np.stack([face.actions.vector() for face in faces])
    nearest = np.stack([_distance(shown, canonical(name)) for name in COLUMNS[:EXPRESSIONS]], axis=1)
    likeness = np.exp(-0.5 * (nearest - nearest.min(1, keepdims=True)) / _TOLERANCE**2)
    hidden = np.array([face.scene.cover != "none" or face.identity.glasses == "dark" for face in faces])
    unknown = np.where(hidden, _UNKNOWN_WHEN_HIDDEN, _UNKNOWN)
    no_face = np.full(len(faces), _NOT_A_FACE)
    seen = likeness / likeness.sum(1, keepdims=True) * (1 - unknown - no_face)[:, None]
    return np.concatenate([seen, unknown[:, None], no_face[:, None]], axis=1)


def _distance(shown: NDArray[np.float64], expression: str) -> NDArray[np.float64]:
    """Squared distance (N,) of action vectors (N, 2 * units) to the nearest variant of an expression."""
    variants = []
    for units in PROTOTYPES[expression]:
        sides = [(units, {}), ({}, units)] if expression in ONE_SIDED else [(units, units)]
        variants += [Actions(left=left, right=right).vector() for left, right in sides]
    gaps = shown[:, None] - np.stack(variants)[None]
    nearest: NDArray[np.float64] = (gaps**2).sum(2).min(1)
    return nearest / 2
