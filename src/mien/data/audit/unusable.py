"""Pictures that show too little to learn from: constant, clipped to black and white, or without detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Finding, Severity, Sheet
from mien.data.audit.measures import Measures
from mien.page.words import percent, plural

LEAVE_OUT = "Leave them out: mien data subset DATA --without DATA/audit/findings/{}.parquet --out NEW."
# Shares of a set from which such pictures cost accuracy, and from which figures measured on it mean something else.
WARN_SHARE, SEVERE_SHARE = 0.01, 0.10
SHOWN = 12


@dataclass(frozen=True)
class Fault:
    """One way to be unusable.

    Attributes:
        name: of the finding.
        what: "pictures" of this kind in words: "constant or nearly so".
        why: why it matters.
        by: the measure that shows it.
        limit: of that measure.
        above: whether values above the limit are at fault, or those below.
    """

    name: str
    what: str
    why: str
    by: Callable[[Measures], NDArray[np.float32]]
    limit: float
    above: bool = True

    def scores(self, measures: Measures) -> NDArray[np.float32]:
        """The measure (N,), turned so that higher is worse."""
        values = self.by(measures)
        return values if self.above else -values

    def rows(self, measures: Measures) -> NDArray[np.int64]:
        """Positions of the pictures at fault, the worst first."""
        scores = self.scores(measures)
        found = np.flatnonzero(scores > (self.limit if self.above else -self.limit))
        return found[np.argsort(-scores[found], kind="stable")]


# Limits: see "Thresholds" in docs/audit.md for how they were set.
FAULTS = (
    Fault(
        "constant",
        "constant or nearly so",
        "There is nothing to see, so the net learns to answer the label from nothing.",
        lambda m: m.flat,
        0.8,
    ),
    Fault(
        "clipped",
        "clipped to black and white",
        "Where light ran into the limits of the sensor or an editor, the shape of the face is lost.",
        lambda m: m.clipped,
        0.7,
    ),
    Fault(
        "no-detail",
        "blurred, or enlarged from a tiny picture",
        "The detail that tells one expression from another is not there; the net learns from outlines alone.",
        lambda m: m.detail,
        0.32,
        above=False,
    ),
)


def unusable(measures: Measures) -> list[Finding]:
    """One finding for each of `FAULTS` from the measures of N pictures; a picture counts for the first that it has."""
    free = np.ones(len(measures), bool)
    findings = []
    for fault in FAULTS:
        rows = fault.rows(measures)
        rows = rows[free[rows]]
        free[rows] = False
        findings.append(_finding(fault, rows, fault.by(measures)))
    return findings


def _finding(fault: Fault, rows: NDArray[np.int64], values: NDArray[np.float32]) -> Finding:
    severity = by_share(len(rows), len(values))
    return Finding(
        name=fault.name,
        severity=severity,
        verdict=_verdict(len(rows), len(values), fault.what),
        why=fault.why,
        action=LEAVE_OUT.format(fault.name) if len(rows) else "",
        figures={
            "pictures": len(rows),
            "share": round(len(rows) / max(len(values), 1), 6),
            "limit": fault.limit,
            "median_of_all": round(float(np.median(values)), 4) if len(values) else None,
        },
        rows=rows,
        columns={"value": values[rows]},
        sheets=(Sheet(f"The worst: {fault.what}", rows[:SHOWN]),) if len(rows) else (),
    )


def by_share(count: int, whole: int) -> Severity:
    """How bad `count` unusable pictures of `whole` are."""
    share = count / max(whole, 1)
    if share >= SEVERE_SHARE:
        return Severity.SEVERE
    return Severity.WARNING if share >= WARN_SHARE else Severity.NOTE if count else Severity.FINE


def _verdict(count: int, whole: int, what: str) -> str:
    if not count:
        return f"None of {plural(whole, 'picture')} is {what}."
    return f"{plural(count, 'picture')} ({percent(count / whole, 2)}) {'is' if count == 1 else 'are'} {what}."
