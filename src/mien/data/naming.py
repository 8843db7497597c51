"""From the labels a source writes to the ids of the packed set: by name, never by position."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import KNOWN, LabelSet, canonical, identify, is_expression
from mien.data.codes import by_value, plain, without_point

# Two spellings of one word are at least so similar, 0 to 1, as difflib measures it.
_NEARLY = 0.8
_ACCIDENTS = 0.01  # share of numbers that are no ids but still faults of their rows
_EXPRESSIONS = tuple(dict.fromkeys(canonical(name) for labels in KNOWN.values() for name in labels.names))


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
        fault = f"label {token!r} is none of {_brief(self._by_token)}{_meant(token, self._declared)}"
        return name, "" if name else fault

    def counterpart(self, name: str) -> bool:
        """Whether the target label set, if there is one, has a class of this meaning."""
        if name not in self._has_counterpart:
            self._has_counterpart[name] = self._target is None or self._target.index(name) is not None
        return self._has_counterpart[name]

    def no_counterpart(self, name: str) -> str:
        """Why the pictures of a class that the target does not have are left out."""
        known = self._target.names if self._target is not None else ()
        return f"class {name!r} has no counterpart in the chosen label set{_meant(name, known)}"

    def misspelt(self) -> dict[str, str]:
        """Classes that are nearly called like an expression, where others are called like one, and that expression."""
        if self._target is not None or self._declared or not any(map(is_expression, self._found.values())):
            return {}
        strange = (name for name in self._found.values() if not is_expression(name))
        return {name: near for name in strange if (near := nearest(name, _EXPRESSIONS))}

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


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is probably meant to be, if any.

    >>> nearest("Suprise", ["Fear", "Surprise"]), nearest("contempt", ["neutral"])
    ('Surprise', None)
    """
    lowered = {other.lower(): other for other in known}
    return next((lowered[near] for near in get_close_matches(name.lower(), lowered, n=1, cutoff=_NEARLY)), None)


def _meant(name: str, known: Iterable[str]) -> str:
    """A question after the known name that is nearly called so."""
    near = nearest(name, known)
    return f": did you mean {near!r}?" if near else ""


def check_numbering(labels: Mapping[str, int], target: LabelSet) -> None:
    """Raise MienError where bare numbers cannot be the ids of `target`, by how many pictures have each.

    A number that is none of its ids may be a fault of its row. Several show another numbering: where it counts from 1
    (no 0, and one more than the last id), or where they are more than one picture in a hundred.
    """
    ids = {str(i) for i in range(len(target))}
    numbers = {plain(label) for label in labels}
    strange = sum(count for label, count in labels.items() if plain(label) not in ids)
    first, last = (end(numbers, key=by_value) for end in (min, max))
    from_one = first != "0" and last == str(len(target))
    if strange > 1 and (from_one or strange > _ACCIDENTS * sum(labels.values())):
        raise MienError(
            f"labels are {first} to {last}, but {target.name} is numbered 0 to {len(target) - 1}",
            hint="say what each number means in a file, with a line such as `1 surprise` for each, and --names FILE",
        )


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
