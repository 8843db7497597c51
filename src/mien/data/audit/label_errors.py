"""Labels that are probably wrong, the worst first; held against FER+ votes where there are any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.labels import LabelSet
from mien.data.audit.finding import Figure, Finding, Plot, Severity, Sheet
from mien.data.audit.label_quality import Judged, VoteCheck, check_by_votes, judge, without_vote
from mien.page.words import percent, plural

NAME = "label-errors"
DEPTH = 1000
SHOWN, PAIRS, SHOWN_OF_PAIR = 24, 10, 12
# Nets that agree with fewer labels than this many times the commonest class have learned too little to judge.
LEAST_GAIN = 1.25
# Share of labels that are wrong: by votes no voter would give them, else by the surest answers of the nets.
WARN_SHARE, SEVERE_SHARE = 0.01, 0.05
_WHY = (
    "Wrong labels cost accuracy in training, and those in val and test set a ceiling that no honest model can pass: "
    "beyond it, a better figure means that errors were learned."
)


@dataclass(frozen=True, eq=False)
class _Case:
    """What the sentences and figures are made of."""

    judged: Judged
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    check: VoteCheck | None
    no_vote: NDArray[np.bool_] | None


def label_errors(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    *,
    label_set: LabelSet,
    votes: NDArray[np.integer] | None = None,
) -> Finding:
    """The finding `label-errors`; its rows are the doubtful labels, the worst first.

    Args:
        labels: ids (N,), −1 for none.
        probabilities: (N, K) of nets that did not see the picture in training; rows of NaN are left out.
        label_set: the K names.
        votes: FER+ votes (N, 10), which the ranking is checked against and nothing else.

    Raises:
        MienError: as `label_quality.judge`.
    """
    judged = judge(labels, probabilities)
    check = no_vote = None
    if votes is not None:
        checkable, no_vote = without_vote(labels, label_set, votes)
        check = check_by_votes(judged.quality, checkable, no_vote, depth=DEPTH) if checkable.any() else None
    case = _Case(judged, label_set.names, np.asarray(labels, np.int64), check, no_vote if check else None)
    rows = judged.ranking
    severity = _severity(case)
    return Finding(
        name=NAME,
        severity=severity,
        verdict=_verdict(case, severity),
        why=_WHY,
        action=_ACTION if len(rows) and severity > Severity.FINE else "",
        figures=_figures(case),
        rows=rows,
        columns=_columns(case, rows),
        sheets=_sheets(case, rows),
        plots=_plots(case, rows),
    )


_ACTION = (
    "Look at them, the worst first: mien data review DIR. Then apply what you decided: "
    "mien data import SOURCE --corrections corrections.csv --out NEW."
)


def _chance(case: _Case) -> float:
    """Share of the commonest label: what answering without looking is right about."""
    counts = np.bincount(case.labels[case.judged.judged])
    return float(counts.max() / counts.sum())


def _learned(case: _Case) -> bool:
    return case.judged.agreement >= min(LEAST_GAIN * _chance(case), 0.9)


def _severity(case: _Case) -> Severity:
    if case.check is not None:
        wrong = case.check.no_vote / case.check.checked
    elif not _learned(case):
        return Severity.NOTE
    else:
        # The lower end of its 95 % interval: a handful of pictures is no proof.
        wrong = _low(case.judged.sure_disagreement, case.judged.sure_count)
    if wrong < WARN_SHARE:
        return Severity.FINE
    return Severity.SEVERE if wrong >= SEVERE_SHARE else Severity.WARNING


def _low(share: float, count: int) -> float:
    """Lower end of Wilson's 95 % interval of a share among `count`."""
    z = 1.96
    middle = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(float((middle - half) / (1 + z**2 / count)), 0.0)


def _verdict(case: _Case, severity: Severity) -> str:
    judged, check = case.judged, case.check
    doubted = f"Nets that had not seen them doubt {int(judged.suspect.sum()):,} of {judged.judged.sum():,}"
    if check is not None:
        said = f"{percent(check.no_vote / check.checked, 1)} of the labels ({check.no_vote:,} of {check.checked:,})"
        held = f"of the first {check.depth:,} in their ranking {percent(check.precision)} got none"
        return f"{said} got not one of the FER+ votes. {doubted}; {held} (area under the curve {check.auc:.3f})."
    if not _learned(case):
        agreed, guess = percent(judged.agreement), percent(_chance(case))
        return f"The nets learned too little to judge: they agree with {agreed} of the labels, guessing with {guess}."
    sure = f"{percent(judged.sure_disagreement, 1)} of the fifth that they are surest about"
    if severity == Severity.FINE:
        return f"No sign of wrong labels beyond hard pictures. {doubted}, but contradict only {sure}."
    return f"{doubted} labels, and contradict {sure}, where a fair net is right."


def _pairs(case: _Case) -> list[tuple[int, int, int]]:
    """Label, likelier label and how many pictures the confident joint counts there, the commonest first."""
    joint = case.judged.joint.copy()
    np.fill_diagonal(joint, 0)
    order = np.argsort(-joint, axis=None, kind="stable")[:PAIRS]
    return [(int(i), int(j), int(joint[i, j])) for i, j in zip(*np.unravel_index(order, joint.shape), strict=True)]


def _figures(case: _Case) -> dict[str, Figure]:
    judged, check = case.judged, case.check
    figures: dict[str, Figure] = {
        "judged": int(judged.judged.sum()),
        "suspects": int(judged.suspect.sum()),
        "suspect_share": round(float(judged.suspect.sum() / judged.judged.sum()), 4),
        "agreement": round(judged.agreement, 4),
        "sure_disagreement": round(judged.sure_disagreement, 4),
    }
    if check is not None:
        figures |= {
            "without_vote": check.no_vote,
            "without_vote_share": round(check.no_vote / check.checked, 4),
            "without_vote_auc": None if np.isnan(check.auc) else round(check.auc, 4),
            f"without_vote_among_first_{check.depth}": round(check.precision, 4),
        }
    names = case.names
    return figures | {f"{names[i]}_rather_{names[j]}": count for i, j, count in _pairs(case) if count}


def _columns(case: _Case, rows: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
    judged = case.judged
    columns: dict[str, NDArray[np.generic]] = {
        "suggested": np.array(case.names)[judged.suggested[rows]],
        "quality": judged.quality[rows],
        "probability": judged.probability[rows],
    }
    return columns if case.no_vote is None else columns | {"without_vote": case.no_vote[rows]}


def _sheets(case: _Case, rows: NDArray[np.int64]) -> tuple[Sheet, ...]:
    if not len(rows):
        return ()
    worst = rows[:SHOWN]
    sheets = [Sheet(f"The {len(worst)} labels that the nets doubt most", worst, _under(case, worst))]
    labels, suggested = case.labels[rows], case.judged.suggested[rows]
    for i, j, count in _pairs(case)[:3]:
        of_pair = rows[(labels == i) & (suggested == j)][:SHOWN_OF_PAIR]
        if count and len(of_pair):
            caption = f"Labelled {case.names[i]}, rather {case.names[j]}: about {plural(count, 'picture')}"
            sheets.append(Sheet(caption, of_pair, _under(case, of_pair)))
    return tuple(sheets)


def _under(case: _Case, rows: NDArray[np.int64]) -> tuple[str, ...]:
    judged, names = case.judged, case.names
    return tuple(
        f"{names[case.labels[row]]} → {names[judged.suggested[row]]} {percent(float(judged.probability[row]))}"
        for row in rows.tolist()
    )


def _plots(case: _Case, rows: NDArray[np.int64]) -> tuple[Plot, ...]:
    pairs = [pair for pair in _pairs(case) if pair[2]]
    plots = []
    if pairs:
        shown = tuple(f"{case.names[i]} → {case.names[j]}" for i, j, _ in pairs)
        counts = np.array([count for _, _, count in pairs])
        plots.append(Plot("Labels that rather belong to another class", shown, {"pictures": counts}, "pictures"))
    if case.no_vote is not None and case.check is not None and len(rows) > 1:
        plots.append(_depth_plot(case.no_vote[rows], case.check))
    return tuple(plots)


def _depth_plot(no_vote: NDArray[np.bool_], check: VoteCheck) -> Plot:
    """Share without a vote among the first n of the ranking."""
    depths = np.unique(np.geomspace(min(50, len(no_vote)), len(no_vote), 40).astype(np.int64))
    share = no_vote.cumsum()[depths - 1] / depths
    base = np.full(len(depths), check.no_vote / check.checked)
    return Plot(
        "How many of the first n doubted labels got no vote",
        depths.astype(np.float64),
        {"by the ranking": share, "by chance": base},
        "first n of the ranking",
        "share without a vote",
    )
