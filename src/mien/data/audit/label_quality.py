"""Which labels would a net not have given: confident learning on probabilities that it gave without having seen them.

Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv 1911.00068, by cleanlab.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mien.core.errors import MienError
from mien.core.labels import FERPLUS8, FERPLUS10, LabelSet

_T = TypeVar("_T", bound=np.generic)
Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]
# Of the pictures that nets are surest of, this part is looked at for labels that say otherwise.
SUREST = 0.2


@dataclass(frozen=True, eq=False)
class Judged:
    """What nets say of the labels of N pictures.

    Attributes:
        judged: (N,) which pictures have a label and probabilities; everything else is empty for the others.
        quality: (N,) of the label, 0 to 1, lower is worse; NaN where not judged.
        suggested: (N,) id of the likeliest other label, −1 where not judged.
        probability: (N,) of the suggested label; NaN where not judged.
        suspect: (N,) labels that confident learning takes for wrong.
        joint: int64 (K, K): about how many pictures of label i belong to class j.
        agreement: share of the judged labels that are the nets' first choice, 0 to 1.
        sure_disagreement: the share that are not, among the fifth of the pictures that nets are surest of. Easy
            pictures are answered right by any fair net, so this is near the share of labels that are plainly wrong.
        sure_count: how many pictures that fifth has.
    """

    judged: Mask
    quality: NDArray[np.float64]
    suggested: NDArray[np.int64]
    probability: NDArray[np.float64]
    suspect: Mask
    joint: NDArray[np.int64]
    agreement: float
    sure_disagreement: float
    sure_count: int

    @property
    def ranking(self) -> NDArray[np.int64]:
        """Positions of the suspects, the worst label first."""
        rows = np.flatnonzero(self.suspect)
        return np.asarray(rows[np.argsort(self.quality[rows], kind="stable")], np.int64)


def judge(labels: NDArray[np.integer], probabilities: Floats) -> Judged:
    """Judge label ids (N,), −1 for none, by probabilities (N, K) of nets that did not see the picture in training.

    Rows of NaN are left out.

    Raises:
        MienError: not one row a label, labels beyond K, or nothing to judge.
    """
    _check(labels, probabilities)
    judged = (labels >= 0) & np.isfinite(probabilities).all(1)
    if not judged.any():
        raise MienError("no picture has both a label and probabilities: nothing to judge")
    given, p = labels[judged].astype(np.int64), probabilities[judged].astype(np.float64)
    p = p / p.sum(1, keepdims=True)
    suspect, joint = _confident_learning(given, p)
    rows = np.arange(len(given))
    others = p.copy()
    others[rows, given] = -1
    suggested = others.argmax(1)
    answer, sure = p.argmax(1), p.max(1)
    surest = np.argsort(-sure, kind="stable")[: max(round(SUREST * len(given)), 1)]
    return Judged(
        judged=judged,
        quality=_spread(judged, _quality(given, p), np.nan),
        suggested=_spread(judged, suggested, -1),
        probability=_spread(judged, p[rows, suggested], np.nan),
        suspect=_spread(judged, suspect, False),
        joint=joint,
        agreement=float((answer == given).mean()),
        sure_disagreement=float((answer[surest] != given[surest]).mean()),
        sure_count=len(surest),
    )


def _check(labels: NDArray[np.integer], probabilities: Floats) -> None:
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise MienError(f"{len(labels)} labels need probabilities ({len(labels)}, K), got {probabilities.shape}")
    if labels.max(initial=-1) >= probabilities.shape[1]:
        raise MienError(f"label {labels.max()} has no column in probabilities of {probabilities.shape[1]} classes")


def _spread(where: Mask, values: NDArray[_T], fill: float) -> NDArray[_T]:
    whole = np.full(len(where), fill, values.dtype)
    whole[where] = values
    return whole


def _quality(given: NDArray[np.int64], p: Floats) -> NDArray[np.float64]:
    """Probability of the given label (n,), cleanlab's self-confidence.

    Of labels that were swapped on purpose it has more at the top of the ranking than the normalised margin: see
    docs/label-errors.md.
    """
    rank, _, _ = _cleanlab()
    return np.asarray(rank.get_label_quality_scores(given, p, method="self_confidence"), np.float64)


def _confident_learning(given: NDArray[np.int64], p: Floats) -> tuple[Mask, NDArray[np.int64]]:
    """Which labels (n,) are wrong by confident learning, and the confident joint (K, K), scaled to the labels' counts.

    Pruned by noise rate (section 3.2 of the paper): of each pair of classes as many as the joint counts, those with
    the largest margin first.
    """
    if len(np.unique(given)) < 2:
        return np.zeros(len(given), np.bool_), np.diag(np.bincount(given, minlength=p.shape[1]))
    _, count, label_filter = _cleanlab()
    # It warns of classes with a single picture; those are a finding of their own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joint = count.compute_confident_joint(given, p)
        suspect = label_filter.find_label_issues(
            given, p, filter_by="prune_by_noise_rate", confident_joint=joint, n_jobs=1
        )
    return np.asarray(suspect, np.bool_), np.asarray(joint, np.int64)


def _cleanlab() -> tuple[Any, Any, Any]:
    """Its functions for scores, counts and filters; loaded here, since it brings pandas and all of its own parts."""
    from cleanlab import count, rank
    from cleanlab import filter as label_filter

    return rank, count, label_filter


@dataclass(frozen=True)
class VoteCheck:
    """How well a ranking of labels agrees with FER+ voters.

    Attributes:
        checked: labels that voters could choose and that a net judged.
        no_vote: how many of them not one voter chose.
        auc: area under the ROC curve of the ranking for those: the chance that such a label ranks before another.
        depth: how far down the ranking precision was measured.
        precision: share of labels without a vote among the first `depth` of the ranking.
    """

    checked: int
    no_vote: int
    auc: float
    depth: int
    precision: float


def without_vote(labels: NDArray[np.integer], label_set: LabelSet, votes: NDArray[np.integer]) -> tuple[Mask, Mask]:
    """Which labels (N,) voters could have chosen, and which of those none of them did.

    Left out are pictures without label or votes (N, 10), those in which no voter saw an expression, for they say
    nothing about which one it is, and labels that FER+ does not know.
    """
    columns = np.array([-1 if (i := FERPLUS10.index(name)) is None else i for name in label_set.names])
    column = np.append(columns, -1)[labels]
    seen = votes[:, : len(FERPLUS8)].sum(1) > 0
    checkable = (column >= 0) & np.where(column < len(FERPLUS8), seen, votes.sum(1) > 0)
    chosen = votes[np.arange(len(votes)), column]
    return checkable, checkable & (chosen == 0)


def check_by_votes(quality: Floats, checkable: Mask, no_vote: Mask, *, depth: int = 1000) -> VoteCheck:
    """Hold a ranking by `quality` (N,), lower is worse, NaN for none, against labels that got no vote."""
    use = checkable & np.isfinite(quality)
    values, wrong = quality[use], no_vote[use]
    depth = min(depth, len(values))
    first = np.argsort(values, kind="stable")[:depth]
    return VoteCheck(
        checked=len(values),
        no_vote=int(wrong.sum()),
        auc=float(roc_auc_score(wrong, -values)) if 0 < wrong.sum() < len(wrong) else float("nan"),
        depth=depth,
        precision=float(wrong[first].mean()) if depth else float("nan"),
    )
