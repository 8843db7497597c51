"""Label sets and how one maps onto another: by name and stated rule, never by position."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from mien.core.errors import MienError, unknown_name

# One line per expression: the name mien prefers, then what data sets and people call it.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "angry": ("anger", "an", "mad"),
    "disgust": ("disgusted", "di"),
    "fear": ("fearful", "afraid", "scared", "fe"),
    "happy": ("happiness", "joy", "happily", "ha"),
    "sad": ("sadness", "sa", "unhappy"),
    "surprise": ("surprised", "su", "astonished"),
    "neutral": ("neutrality", "ne", "no expression"),
    "contempt": ("contemptuous", "co"),
    "unknown": ("uncertain", "unclear"),
    "not-a-face": ("nf", "no face", "not a face", "no-face", "non-face", "noface", "not-face"),
}
_PREFERRED = {alias: name for name, aliases in _SYNONYMS.items() for alias in (name, *aliases)}


def canonical(name: str) -> str:
    """The preferred name of an expression: lower case, synonyms resolved; other names only trimmed and lowered.

    Accents are composed (NFC): the same name typed on another system looks alike and is the same.

    >>> canonical(" Anger "), canonical("Happiness"), canonical("Cat_1")
    ('angry', 'happy', 'cat_1')
    """
    lowered = unicodedata.normalize("NFC", name.strip().lower())
    plain = " ".join(lowered.replace("_", " ").split())
    return _PREFERRED.get(plain, lowered)


def is_expression(name: str) -> bool:
    """Whether `name` is an expression that mien knows, by whatever synonym."""
    return canonical(name) in _SYNONYMS


class LabelSet(BaseModel):
    """Class names in the order of their ids.

    Raises:
        MienError: when two names mean the same expression (such as anger and angry), or there are none.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    names: tuple[str, ...]

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(canonical(name), name)
            if other != name:
                raise MienError(f"the labels {other!r} and {name!r} mean the same", hint="merge them into one class")
        if len(seen) != len(names) or not names:
            raise MienError(f"a label set needs distinct names, got {list(names)}")
        return names

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int | None:
        """The id of `name` or of its synonym, or None."""
        wanted = canonical(name)
        return next((i for i, own in enumerate(self.names) if canonical(own) == wanted), None)


FER2013 = LabelSet(name="fer2013", names=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
FERPLUS8 = LabelSet(
    name="ferplus8",
    names=("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
)
FERPLUS10 = LabelSet(name="ferplus10", names=(*FERPLUS8.names, "unknown", "NF"))
FER5 = LabelSet(name="fer5", names=("fear", "happy", "sad", "surprise", "neutral"))
KNOWN = {labels.name: labels for labels in (FER2013, FERPLUS8, FERPLUS10, FER5)}


def known(name: str) -> LabelSet:
    """A built-in label set by name. Raises MienError with the nearest name otherwise."""
    if name not in KNOWN:
        raise unknown_name("label set", name, KNOWN)
    return KNOWN[name]


def identify(names: Sequence[str]) -> LabelSet:
    """The label set with exactly these names: a built-in one when order and names agree, else `custom`."""
    exact = tuple(names)
    return next((s for s in KNOWN.values() if s.names == exact), LabelSet(name="custom", names=exact))


def mapping(source: LabelSet, target: LabelSet, *, merge: Mapping[str, str] | None = None) -> NDArray[np.float32]:
    """The S×T matrix of 0 and 1 that sends each source class to the target class of the same meaning.

    A class without counterpart has a row of zeros: its pictures leave the set, its probability is spread over
    the others by renormalising (see `map_probabilities`). `merge` sends further source names to target names,
    such as `{"contempt": "neutral"}`.
    """
    rules = {canonical(a): b for a, b in (merge or {}).items()}
    matrix = np.zeros((len(source), len(target)), np.float32)
    for i, name in enumerate(source.names):
        wanted = rules.get(canonical(name), name)
        j = target.index(wanted)
        if j is None and canonical(name) in rules:
            raise unknown_name("target label", wanted, target.names)
        if j is not None:
            matrix[i, j] = 1.0
    return matrix


def map_ids(
    ids: NDArray[np.integer], source: LabelSet, target: LabelSet, *, merge: Mapping[str, str] | None = None
) -> NDArray[np.int64]:
    """Label ids (N,) of `source` as ids of `target`; -1 where the class has no counterpart or the id was -1."""
    matrix = mapping(source, target, merge=merge)
    table = np.where(matrix.any(1), matrix.argmax(1), -1)
    return np.append(table, -1)[np.asarray(ids, np.int64)]


def map_probabilities(
    probabilities: NDArray[np.floating],
    source: LabelSet,
    target: LabelSet,
    *,
    merge: Mapping[str, str] | None = None,
) -> NDArray[np.float32]:
    """Probabilities (N, S) over `source` as probabilities (N, T) over `target`, rows summing to 1.

    Classes without counterpart are taken out and the rest is renormalised: P(target | one of the shared
    classes). A row whose whole mass was on such classes becomes uniform over the shared classes.
    """
    matrix = mapping(source, target, merge=merge)
    if not matrix.any():
        raise MienError(f"no label of {list(source.names)} has a counterpart in {list(target.names)}")
    mapped = np.asarray(probabilities, np.float32) @ matrix
    mass = mapped.sum(1, keepdims=True)
    shared = matrix.any(0).astype(np.float32)
    spread: NDArray[np.float32] = np.where(mass > 1e-7, mapped / np.maximum(mass, 1e-7), shared / shared.sum())
    return spread.astype(np.float32)
