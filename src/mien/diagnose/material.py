"""Rules over the data: leaks, validation unlike training, label noise, what the net is fed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mien.data.audit.class_fit import association
from mien.diagnose import advice
from mien.diagnose.chance import LEVEL, OF_MANY, surely_above, surely_apart
from mien.diagnose.evidence import Evidence
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict
from mien.page.words import percent


def leaked(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Validation pictures that training has seen."""
    if e.recipe.data.train_on_val:
        return _leaked("data.train_on_val = true: the recipe trains on validation.", "--set data.train_on_val=false")
    share = e.splits.copied if e.splits else 0.0
    share = max(share, _audited(e, "leakage", "val_leaked_share"))
    if not surely_above(share, e.splits.val_count if e.splits else e.val_count, limits.leaked_share):
        return None  # one copy among forty pictures is no leak to speak of
    counted = "" if e.audit else " Equal files and known groups count here; mien data audit DATA finds cut copies too."
    return _leaked(
        f"{percent(share, 1)} of the validation pictures stand in training too.{counted}",
        "mien data subset DATA --drop-leaks --out CLEAN, then train again",
    )


def _leaked(evidence: str, remedy: str) -> Verdict:
    return Verdict(
        "validation-leaked",
        "Validation leaked into training",
        "Validation measures memory in part: its accuracy is better than the net is on new pictures.",
        evidence,
        "high",
        "severe",
        remedy,
    )


def _audited(e: Evidence, finding: str, figure: str) -> float:
    """A figure of an audit's finding; 0 where it is not there."""
    findings: list[dict[str, Any]] = (e.audit or {}).get("findings", [])
    for one in findings:
        if one.get("name") == finding:
            value = one.get("figures", {}).get(figure)
            return float(value) if isinstance(value, int | float) else 0.0
    return 0.0


def unlike(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Validation pictures or their classes differ from training's, beyond chance."""
    shift, moved = _shift(e), _moved(e)
    if shift < limits.unlike_shift and moved < limits.unlike_classes:
        return None
    told = []
    if e.splits and shift >= limits.unlike_shift:
        told.append(
            f"brightness {e.splits.shift[0]:+.2f} and contrast {e.splits.shift[1]:+.2f} deviations from training's"
        )
    if moved >= limits.unlike_classes:
        told.append(f"{percent(moved)} of the pictures would have to change class to have training's shares")
    return Verdict(
        "validation-unlike-training",
        "Validation is unlike training",
        "What is measured is another kind of picture than what is learned.",
        f"Validation: {'; '.join(told)}.",
        "high" if shift > 2 * limits.unlike_shift or moved > 2 * limits.unlike_classes else "medium",
        "severe",
        "split again from one source: mien data split DATA; mien data audit shows how they differ",
    )


def _shift(e: Evidence) -> float:
    """How far brightness or contrast of validation is from training's, in deviations; 0 where chance explains it."""
    if e.splits is None or not all(e.splits.looked_at):
        return 0.0
    furthest = max(map(abs, e.splits.shift))
    by_chance = OF_MANY * math.sqrt(sum(1 / count for count in e.splits.looked_at))
    return furthest if furthest > by_chance else 0.0


def _moved(e: Evidence) -> float:
    """Total variation between the class shares of validation and training, 0–1; 0 where chance explains it."""
    names = sorted({*e.counts.get("train", {}), *e.counts.get("val", {})})
    train, val = (np.array([e.counts.get(s, {}).get(name, 0) for name in names], np.int64) for s in ("train", "val"))
    if not train.any() or not val.any() or association(train, val)[1] >= LEVEL:
        return 0.0
    return float(np.abs(train / train.sum() - val / val.sum()).sum() / 2)


def label_noise(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Labels that are wrong in such number that they are the ceiling."""
    estimate = _audited(e, "label-errors", "suspect_share")
    if estimate >= limits.noise_share:
        return _noise(e, f"The audit holds {percent(estimate, 1)} of the labels for wrong.", "high")
    if not e.has("train_eval_accuracy", "val_accuracy", "train_eval_loss", "val_loss"):
        return None
    best = int(e.column("val_accuracy").argmax())
    train, val = (float(e.column(n)[best]) for n in ("train_eval_accuracy", "val_accuracy"))
    if val - train < limits.reversed_gap or not surely_apart(val, e.val_count, train, e.probe_count):
        return None
    if val < e.chance + 0.1:
        return None  # a net that answers a class or two is right as often as they happen to be there
    if e.splits is not None and e.splits.copied >= limits.leaked_share:
        return None
    return _noise(
        e,
        f"In the same mode and without augmentation the net is right on {percent(val, 1)} of validation but on "
        f"{percent(train, 1)} of its own training pictures (epoch {best + 1}): training labels "
        "contradict what it learned from them.",
        "high" if val - train > 2 * limits.reversed_gap else "medium",
    )


def _noise(e: Evidence, evidence: str, confidence: Any) -> Verdict:
    return Verdict(
        "label-noise",
        "Wrong labels are the ceiling",
        "A good part of the labels is wrong; no net gets further than they allow, and a larger one "
        "learns them by heart.",
        evidence,
        confidence,
        "warning",
        f"mien data audit DATA --labels lists the likely ones; mien data review{advice.smoothing(e.recipe, '; ')}",
    )


def fed(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:  # noqa: ARG001 - as all rules
    """Training and evaluation prepare pictures differently."""
    if e.fed is None or not e.fed.difference:
        return None
    return Verdict(
        "fed-differently",
        "Training and evaluation are fed differently",
        "The net is asked about pictures that look otherwise than those it learned from.",
        e.fed.difference,
        "high",
        "severe",
        "weaken what shifts all pictures to one side (augment.*, data.crop); mien doctor RECIPE DATA shows both sides",
    )


def normalisation(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """What reaches the net is far from centred, or has next to no contrast."""
    if e.fed is None:
        return None
    flat, off = (
        e.fed.deviation < limits.input_deviation,
        abs(e.fed.mean) > limits.input_mean * max(e.fed.deviation, 1e-9),
    )
    if not flat and (not off or abs(e.fed.mean) < 1):
        return None
    return Verdict(
        "wrong-normalisation",
        "Wrong normalisation",
        "What reaches the net is not of the size that its start is made for.",
        f"The net is fed {e.fed.mean:.3f} ± {e.fed.deviation:.3f}; 0 ± 1 is usual, 0.5 ± 0.25 for pixels in 0–1.",
        "high",
        "severe",
        "--set data.normalise=dataset; if the pictures themselves are so dark or pale, import them again",
    )


RULES = (leaked, unlike, label_noise, fed, normalisation)
