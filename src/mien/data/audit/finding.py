"""What an audit finds: one shape for every finding, whatever looked for it. Data only; nothing here draws or prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

Rows = NDArray[np.int64]
Figure = bool | int | float | str | None
_NO_ROWS = np.zeros(0, np.int64)


class Severity(StrEnum):
    """How bad it is, in order: `Severity.NOTE < Severity.SEVERE`, and `max` gives the worst.

    fine: looked for and not found. note: worth knowing. warning: costs accuracy or makes figures doubtful.
    severe: figures measured on this set cannot be trusted; `mien data audit` ends with 1.
    """

    FINE = "fine"
    NOTE = "note"
    WARNING = "warning"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        """0 for fine to 3 for severe."""
        return list(Severity).index(self)

    # All four, since those of `str` would go by the alphabet.
    def __lt__(self, other: str) -> bool:
        return self.rank < Severity(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Severity(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Severity(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Severity(other).rank


@dataclass(frozen=True, eq=False)
class Sheet:
    """A strip of example pictures: a handful of rows, such as one group of copies or the worst of a kind.

    Attributes:
        caption: what the pictures have in common.
        rows: positions in the packed set (n,), in the order to be shown.
        under: a short text below each picture; without it, its label and split.
        pictures: uint8 (n, H, W) or (n, H, W, 3) shown in place of the rows' own pixels; `rows` may then be empty.
    """

    caption: str
    rows: Rows = field(default_factory=_NO_ROWS.copy)
    under: tuple[str, ...] = ()
    pictures: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        count = len(self.rows) if self.pictures is None else len(self.pictures)
        if self.under and len(self.under) != count:
            raise MienError(f"sheet {self.caption!r}: {len(self.under)} texts under {count} pictures")


@dataclass(frozen=True, eq=False)
class Plot:
    """A small chart as data. Names along x make grouped bars, numbers make lines.

    Attributes:
        title: what it shows.
        x: n names, or n increasing numbers.
        series: name → n values; the names are the legend. A split's name gives the split's own colour.
        x_title: what x is, with its unit.
        y_title: what the values are, with their unit.
    """

    title: str
    x: tuple[str, ...] | NDArray[np.floating]
    series: Mapping[str, NDArray[Any]]
    x_title: str = ""
    y_title: str = ""

    def __post_init__(self) -> None:
        for name, values in self.series.items():
            if len(values) != len(self.x):
                raise MienError(f"plot {self.title!r}: {len(values)} values of {name!r} at {len(self.x)} places")


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that was looked for, and what came out. Made by a function of arrays.

    Attributes:
        name: short and lasting, in lower case with hyphens: the key in audit.json and the name of the Parquet file.
        severity: how bad it is.
        verdict: one sentence in words with the figures in it, also when all is well.
        why: why it matters, one or two sentences.
        action: what to do, with the command where there is one; empty when there is nothing to do.
        figures: name → number or text, flat, ready for JSON.
        rows: positions in the packed set (n,) of the pictures concerned, each once; empty when it is about the whole.
        columns: further columns (n,) of the Parquet table of `rows`: scores, groups, suggested labels.
        sheets: examples, few and small.
        plots: charts.
    """

    name: str
    severity: Severity
    verdict: str
    why: str
    action: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    rows: Rows = field(default_factory=_NO_ROWS.copy)
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    sheets: tuple[Sheet, ...] = ()
    plots: tuple[Plot, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if len(values) != len(self.rows):
                raise MienError(f"finding {self.name}: column {name!r} has {len(values)} of {len(self.rows)} rows")


def doubted(finding: Finding, doubt: str, figures: Mapping[str, Figure]) -> Finding:
    """The finding with a sentence that says why it may not be all, and so never fine; as it is without a doubt."""
    if not doubt:
        return finding
    severity = max(finding.severity, Severity.NOTE)
    return replace(
        finding, severity=severity, verdict=f"{finding.verdict} {doubt}", figures={**finding.figures, **figures}
    )


def worst(findings: list[Finding]) -> Severity:
    """The worst severity among `findings`, fine when there are none."""
    return max((finding.severity for finding in findings), default=Severity.FINE)
