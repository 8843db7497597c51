"""What a diagnosis says: one shape for every verdict, whatever rule gave it. Data only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Confidence = Literal["low", "medium", "high"]
# note: worth knowing, no fault; warning: costs accuracy or makes figures doubtful; severe: the run is no use as it is.
Severity = Literal["note", "warning", "severe"]
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """One thing that happened in a run.

    Attributes:
        name: short and lasting, in lower case with hyphens.
        title: a few words.
        what: what happened, in a sentence or two.
        evidence: the figures it rests on, in a sentence.
        confidence: how sure.
        severity: how bad.
        try_first: a setting or command.
        expected_gain: what the project has measured, with its place; None: not measured.
        epoch: from 1, where it shows; None: everywhere.
    """

    name: str
    title: str
    what: str
    evidence: str
    confidence: Confidence
    severity: Severity
    try_first: str
    expected_gain: str | None = None
    epoch: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)
