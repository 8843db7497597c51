"""From the labels a source writes to the ids of the packed set: by name, never by position."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import KNOWN, LabelSet, canonical, identify
from mien.data.codes import by_value, plain, without_point


class Naming:
    """Collects the class names of a source as its entries pass by, and numbers them at the end.

    `names` says which token stands for which class (its order becomes the order of ids); without it a token is
    the class name itself. With `target`, classes are mapped by meaning onto that label set.
    """

    def __init__(self, names: Mapping[str, str] | None, target: LabelSet | None) -> None:
        self._by_token = dict(names or {})
        self._declared = tuple(dict.fromkeys(self._by_token.values()))
        self._by_meaning = {canonical(name): name for name in self._declared}
        self._found: dict[str, str] = {}
        self._spellings: dict[str, dict[str, str]] = {}
        # Both are asked for every row, of a handful of names.
        self._resolved: dict[str, tuple[str | None, str]] = {}
        self._has_counterpart: dict[str, bool] = {}
        self._target = target

    def resolve(self, token: str) -> tuple[str | None, str]:
        """The class that `token` means, or None and the reason why it is none."""
        if token not in self._resolved:
            self._resolved[token] = self._resolve(unicodedata.normalize("NFC", token.strip()))
        return self._resolved[token]

    def _resolve(self, token: str) -> tuple[str | None, str]:
        if not self._declared:
            token = without_point(token)
            self._spellings.setdefault(canonical(token), {}).setdefault(token.lower(), token)
            return self._found.setdefault(canonical(token), token), ""
        name = self._by_token.get(token) or self._by_token.get(plain(token)) or self._by_meaning.get(canonical(token))
        return name, "" if name else f"label {token!r} is none of {_brief(self._by_token)}"

    def counterpart(self, name: str) -> bool:
        """Whether the target label set, if there is one, has a class of this meaning."""
        if name not in self._has_counterpart:
            self._has_counterpart[name] = self._target is None or self._target.index(name) is not None
        return self._has_counterpart[name]

    def merged(self) -> list[list[str]]:
        """Names that were taken for one class because they mean the same, such as anger and angry."""
        return [list(spelled.values()) for spelled in self._spellings.values() if len(spelled) > 1]

    def label_set(self) -> LabelSet:
        """The label set of the packed data: the target, the declared order, a known set, or sorted names."""
        if self._target is not None:
            return self._target
        return identify(self._declared) if self._declared else order_of(self._found.values())

    def ids(self, names: Iterable[str | None]) -> NDArray[np.int64]:
        """Ids (N,) in `label_set()` for class names, -1 for None."""
        place = {canonical(name): i for i, name in enumerate(self.label_set().names)}
        table = {name: place.get(canonical(name)) for name in {*self._declared, *self._found.values()}}
        return np.array([-1 if name is None else table[name] for name in names], np.int64)


def order_of(names: Iterable[str]) -> LabelSet:
    """A known label set when the names mean exactly its classes, else the names sorted (numbers by value).

    >>> order_of(["Sad", "anger", "fear", "disgust", "joy", "neutral", "surprise"]).name
    'fer2013'
    """
    names = list(names)
    meanings = {canonical(name) for name in names}
    for labels in KNOWN.values():
        if meanings == {canonical(name) for name in labels.names}:
            return labels
    if not names:
        raise MienError("no label found in the source", hint="say where labels are, or use --format")
    return identify(sorted(names, key=by_value))


def _brief(tokens: Iterable[str]) -> str:
    known = list(tokens)
    return ", ".join(known) if len(known) <= 12 else f"{', '.join(known[:10])} … {known[-1]}"
