"""Do val and test look like train? A classifier tries to tell their pictures apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from mien.data.audit import unlike
from mien.data.audit.descriptor import Floats, Pixels
from mien.data.audit.finding import Figure, Finding, Plot, Severity, Sheet
from mien.data.audit.measures import Measures, measure
from mien.page.words import listed, percent

# Cohen's d of .2, .5 (small, medium: Cohen 1988) and 2 (huge: Sawilowsky 2009) as areas under the curve, Φ(d/√2)
# (Ruscio 2008). The lower end of the interval has to pass them.
NOTE_AREA, WARN_AREA, SEVERE_AREA = 0.556, 0.638, 0.921
MOST = 4000  # pictures of a split: the interval is then ±.02
FEWEST = 50
FOLDS = 5
SHOWN = 12
_SEED = 0
_COMPARED = {"brightness": "grey level", "contrast": "grey levels", "detail": "share of the side"}


@dataclass(frozen=True)
class Told:
    """How well pictures of two splits can be told apart.

    Attributes:
        area: under the ROC curve of pictures the classifier has not seen: .5 is guessing, 1 always right.
        low: lower end of its 95 % interval.
        high: upper end.
        rows: positions of the compared pictures (n,).
        scores: of each (n,), out of fold: how much it looks like the second split, 0 to 1.
    """

    area: float
    low: float
    high: float
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


def features(edges: Floats, measures: Measures, space: unlike.Space) -> Floats:
    """What the classifier sees of n pictures: the main directions of their edges, and plain figures, (n, F)."""
    # Not those that tell how grey levels were rounded or clipped: a net hardly sees it, a tree sees nothing else.
    plain = [measures.brightness, measures.contrast, measures.detail]
    return np.concatenate([space.places(edges), np.stack(plain, 1)], axis=1).astype(np.float32)


def tell_apart(features: Floats, second: NDArray[np.bool_], rows: NDArray[np.int64], *, seed: int = _SEED) -> Told:
    """A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv 1610.06545) with out-of-fold scores.

    Args:
        features: (n, F).
        second: (n,), which pictures are of the second split.
        rows: (n,), their positions.
        seed: of folds and classifier.
    """
    scores = np.zeros(len(second))
    areas = []
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, second):
        model = HistGradientBoostingClassifier(max_iter=60, max_depth=4, random_state=seed)
        scores[held] = model.fit(features[train], second[train]).predict_proba(features[held])[:, 1]
        # By fold: scores of different classifiers are not on one scale.
        areas.append(roc_auc_score(second[held], scores[held]))
    area = float(np.mean(areas))
    # Folds share most of what they were trained on: Nadeau & Bengio 2003, "Inference for the Generalization Error".
    wider = sqrt(1 + FOLDS / (FOLDS - 1))
    half = 1.96 * wider * _area_deviation(area, int(second.sum()), int((~second).sum()))
    return Told(area, max(area - half, 0.0), min(area + half, 1.0), rows, scores)


def _area_deviation(area: float, positives: int, negatives: int) -> float:
    """Standard error of an area under the curve: Hanley & McNeil 1982, equation 1."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    return sqrt(max(spread, 0) / (positives * negatives))


def effect_size(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Cohen's d of two samples: the difference of their means in units of their common deviation."""
    both = sqrt((float(first.var()) + float(second.var())) / 2)
    return (float(second.mean()) - float(first.mean())) / both if both > 0 else 0.0


def comparable(
    split: NDArray[np.str_], name: str, group: NDArray[np.int64] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Up to `MOST` positions of a split: one of each group of copies, and none of a group that crosses splits.

    Copies inside a split could be known by heart, copies across it cannot be told apart: both are other findings.
    """
    rows = np.flatnonzero(split == name)
    if group is not None:
        crossing = np.intersect1d(group[rows], group[split != name])
        alone = rows[group[rows] < 0]
        copied = rows[(group[rows] >= 0) & ~np.isin(group[rows], crossing)]
        _, first = np.unique(group[copied], return_index=True)
        rows = np.concatenate([alone, copied[first]])
    return np.sort(rng.permutation(rows)[:MOST])


def split_fit(
    images: Pixels,
    split: NDArray[np.str_],
    *,
    group: NDArray[np.int64] | None = None,
    measures: Measures | None = None,
    seed: int = _SEED,
) -> Finding:
    """The finding `split-fit`: whether the pictures of every other split look like those of train.

    Args:
        images: (N, H, W) or (N, H, W, 3).
        split: names (N,), one of them train.
        group: groups of copies (N,), −1 for none.
        measures: of all pictures, where they are known already.
        seed: of samples, folds and classifiers.
    """
    measures = measure(images) if measures is None else measures
    rng = np.random.default_rng(seed)
    train = comparable(split, "train", group, rng)
    others = {str(s): comparable(split, s, group, rng) for s in np.unique(split) if s != "train"}
    others = {name: rows for name, rows in others.items() if len(rows) >= FEWEST}
    if len(train) < FEWEST or not others:
        return _cannot_tell()
    # Of all splits: directions that were fitted to the noise of one tell it from any other.
    space = unlike.fit(images, unlike.edges_of, rows=np.concatenate([train, *others.values()]))
    told = {}
    for name, rows in others.items():
        both = np.concatenate([train, rows])
        seen = features(unlike.taken_at(images, both, unlike.edges_of), measures[both], space)
        told[name] = tell_apart(seen, np.isin(both, rows), both, seed=seed)
    effects = {
        name: {what: effect_size(getattr(measures, what)[train], getattr(measures, what)[rows]) for what in _COMPARED}
        for name, rows in others.items()
    }
    return Finding(
        name="split-fit",
        severity=max(_severity(one) for one in told.values()),
        verdict=" ".join(_sentence(name, one, effects[name]) for name, one in told.items()),
        why="What is measured on pictures unlike those of training says little about more of the same kind, and the "
        "best epoch for the one need not be the best for the other.",
        action=_action(told),
        figures=_figures(told, effects),
        sheets=tuple(sheet for name, one in told.items() if one.low > NOTE_AREA for sheet in _sheets(name, one)),
        plots=_histograms(measures, {"train": train, **others}),
    )


def _severity(told: Told) -> Severity:
    limits = ((SEVERE_AREA, Severity.SEVERE), (WARN_AREA, Severity.WARNING), (NOTE_AREA, Severity.NOTE))
    return next((severity for limit, severity in limits if told.low > limit), Severity.FINE)


def _sentence(name: str, told: Told, effects: Mapping[str, float]) -> str:
    area = f"area under the curve {told.area:.2f} ({told.low:.2f}–{told.high:.2f}), .5 is guessing"
    if _severity(told) == Severity.FINE:
        return f"{name} looks like train: a classifier cannot tell them apart ({area})."
    what = max(effects, key=lambda key: abs(effects[key]))
    more = "more" if effects[what] > 0 else "less"
    largest = f"; {name} has {more} {what} (d = {effects[what]:+.2f})" if abs(effects[what]) >= 0.2 else ""
    return f"{name} looks unlike train: a classifier tells them apart ({area}){largest}."


def _action(told: Mapping[str, Told]) -> str:
    unlike_train = [name for name, one in told.items() if _severity(one) > Severity.FINE]
    if not unlike_train:
        return ""
    return (
        f"See below what gives {listed(unlike_train)} away. If it was meant to be like train, prepare all pictures in "
        "the same way or split anew (mien data split). If it is meant to be another world, expect other figures there."
    )


def _figures(told: Mapping[str, Told], effects: Mapping[str, Mapping[str, float]]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, one in told.items():
        figures |= {f"{name}_area": round(one.area, 4), f"{name}_low": round(one.low, 4)}
        figures |= {f"{name}_high": round(one.high, 4), f"{name}_compared": len(one.rows)}
        figures |= {f"{name}_{what}_d": round(value, 4) for what, value in effects[name].items()}
    return figures


def _sheets(name: str, told: Told) -> tuple[Sheet, Sheet]:
    """The pictures that give the second split and train away."""
    order = np.argsort(told.scores, kind="stable")
    ends = ((f"Most like {name}, least like train", order[::-1][:SHOWN]), (f"Least like {name}", order[:SHOWN]))
    first, second = (Sheet(text, told.rows[at], tuple(percent(p) for p in told.scores[at])) for text, at in ends)
    return first, second


def _histograms(measures: Measures, rows: Mapping[str, NDArray[np.int64]]) -> tuple[Plot, ...]:
    plots = []
    for what, unit in _COMPARED.items():
        values = getattr(measures, what)
        edges = np.linspace(0, max(float(values.max()), 1e-6), 33)
        shares = {name: np.histogram(values[at], edges)[0] / len(at) for name, at in rows.items()}
        plots.append(Plot(what.capitalize(), (edges[1:] + edges[:-1]) / 2, shares, unit, "share of the pictures"))
    return tuple(plots)


def _cannot_tell() -> Finding:
    return Finding(
        name="split-fit",
        severity=Severity.FINE,
        verdict=f"There are no two splits of {FEWEST} pictures or more to compare.",
        why="Figures hold for pictures like those that were measured.",
    )
