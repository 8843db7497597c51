"""Where a model is worse than elsewhere: accuracy by a property of the pictures, as functions of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.metrics import Interval, wilson

# Fewer pictures than this make no slice; a column of numbers with more values than that is cut into fifths.
LEAST, MOST_VALUES, PARTS = 30, 8, 5


@dataclass(frozen=True)
class Slice:
    """Pictures that have a property in common.

    Attributes:
        column: the property.
        name: which value or range of it.
        accuracy: share of right answers among `count` pictures.
        interval: 95 % (Wilson).
        strict: the interval at 1 − 0.05/m for m slices (Bonferroni), so that the chance that any of them excludes
            the truth by luck stays below 5 %.
    """

    column: str
    name: str
    count: int
    accuracy: float
    interval: Interval
    strict: Interval


def slices(hit: NDArray[np.bool_], columns: Mapping[str, NDArray[Any]]) -> list[Slice]:
    """Accuracy of every slice of every column, in the order of the columns.

    Args:
        hit: which answers (N,) are right.
        columns: by name a value a picture (N,): numbers, or words. Numbers of many values are cut into fifths of
            equally many pictures; a column that makes fewer than two slices is left out.
    """
    found = [
        (column, name, which) for column, values in columns.items() for name, which in _of_column(np.asarray(values))
    ]
    return [_slice(column, name, hit[which], len(found)) for column, name, which in found]


def worst(found: list[Slice], overall: float) -> Slice | None:
    """The slice of least accuracy whose strict interval lies below `overall`; None where luck could explain it."""
    below = [one for one in found if one.strict.high < overall]
    return min(below, key=lambda one: one.accuracy, default=None)


def _slice(column: str, name: str, hit: NDArray[np.bool_], slices: int) -> Slice:
    hits, count = int(hit.sum()), len(hit)
    plain, strict = wilson(hits, count), wilson(hits, count, confidence=1 - 0.05 / slices)
    assert plain is not None  # no slice is empty
    assert strict is not None
    return Slice(column, name, count, hits / count, plain, strict)


def _of_column(values: NDArray[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    numbers = values.dtype.kind in "iuf"
    many = numbers and len(np.unique(values)) > MOST_VALUES
    parts = [(name, which) for name, which in (_fifths(values) if many else _values(values)) if which.sum() >= LEAST]
    return parts if len(parts) > 1 else []


def _values(values: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every value as it is; words that are missing make one slice with the empty ones."""
    if values.dtype.kind == "O":
        values = np.array(["" if value is None else str(value) for value in values.tolist()])
    for value in np.unique(values):
        name = f"{value:g}" if values.dtype.kind == "f" else str(value)
        yield name.replace("-", "\N{MINUS SIGN}") if values.dtype.kind in "if" else name or "(none)", values == value


def _fifths(values: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Ranges of about equally many pictures; equal values are never parted."""
    numbers = values.astype(np.float64)
    ends = np.unique(np.quantile(numbers[np.isfinite(numbers)], np.linspace(0, 1, PARTS + 1)))
    for low, high in pairwise(ends.tolist()):
        last = high == ends[-1]
        which = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        # Of whole numbers the ends are said that occur: 2–5 and 6–7 rather than 2–6 and 6–7.
        shown = numbers[which].max(initial=low) if values.dtype.kind in "iu" else high
        between = " to " if low < 0 else "–"
        yield (f"{low:.3g}{between}{shown:.3g}" if shown > low else f"{low:.3g}").replace("-", "\N{MINUS SIGN}"), which
