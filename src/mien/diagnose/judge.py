"""All rules over the evidence of a run, and their verdicts in the order in which to act on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mien.diagnose import answered, confused, curves, layers, material, rates
from mien.diagnose.evidence import Evidence
from mien.diagnose.gains import expected_gain
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict

FORMAT = 1
# What to act on first: what makes figures meaningless, then what keeps the net from learning, then what costs points,
# then what only shows because of those.
ORDER = (
    *("validation-leaked", "wrong-normalisation", "fed-differently", "validation-unlike-training"),
    *(
        "averages-behind",
        "norms-unsettled",
        "learning-rate-too-high",
        "vanishing-gradients",
        "learning-rate-too-low",
        "clipped",
    ),
    *("batch-too-small", "batch-too-large", "learning-rate-decayed", "exploding-gradients", "dead-units"),
    *("first-loss", "shrinking-activations", "label-noise", "confused-pair", "imbalance"),
    *("small-validation", "overfitting", "too-short", "underfitting", "weak-class", "over-confident", "too-long"),
    "loss-down-accuracy-flat",
)
_RULES = (*material.RULES, *rates.RULES, *layers.RULES, *answered.RULES, *confused.RULES, *curves.RULES)
_SEVERITY = ("severe", "warning", "note")
_CONFIDENCE = ("high", "medium", "low")


@dataclass(frozen=True)
class Diagnosis:
    """Verdicts in the order to act on them, facts about the run, and what could not be looked at."""

    verdicts: tuple[Verdict, ...]
    facts: dict[str, Any]

    @property
    def healthy(self) -> bool:
        """Whether nothing was found but notes."""
        return not self.faults

    @property
    def faults(self) -> tuple[Verdict, ...]:
        """What is to be acted on."""
        return tuple(v for v in self.verdicts if v.severity != "note")

    @property
    def notes(self) -> tuple[Verdict, ...]:
        """What is worth knowing and no fault: it describes the data, or may be chance."""
        return tuple(v for v in self.verdicts if v.severity == "note")

    def to_json(self) -> dict[str, Any]:
        """What diagnosis.json holds."""
        verdicts = [v.to_json() for v in self.verdicts]
        return {"format": FORMAT, "verdicts": verdicts, "healthy": self.healthy, "facts": self.facts}


def diagnose(evidence: Evidence, *, limits: Thresholds = LIMITS, missing: tuple[str, ...] = ()) -> Diagnosis:
    """Every rule's verdict, one a name and a fault rather than a note; notes last, otherwise by what to fix first.

    Args:
        evidence: what is known of the run.
        limits: where the rules draw their lines.
        missing: what could not be looked at, in words, for the facts.
    """
    found: dict[str, Verdict] = {}
    for rule in _RULES:
        verdict = rule(evidence, limits)
        if verdict is None or (verdict.name in found and found[verdict.name].severity != "note"):
            continue
        found[verdict.name] = replace(verdict, expected_gain=expected_gain(verdict))
    return Diagnosis(tuple(sorted(found.values(), key=_place)), _facts(evidence, missing))


def _place(verdict: Verdict) -> tuple[bool, int, int, int]:
    place = ORDER.index(verdict.name)
    return verdict.severity == "note", place, _SEVERITY.index(verdict.severity), _CONFIDENCE.index(verdict.confidence)


def _facts(e: Evidence, missing: tuple[str, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {"recipe": e.recipe.name, "net": e.recipe.model.name, "epochs": e.epochs}
    if e.has("val_accuracy"):
        best = int(e.column("val_accuracy").argmax())
        facts |= {"best_epoch": best + 1, "best_val_accuracy": float(e.column("val_accuracy")[best])}
    return facts | {"not_looked_at": list(missing)}
