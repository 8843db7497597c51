"""Pictures that are no faces: by FER+ votes where there are any, else by how unlike the rest they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mien.core.votes import COLUMNS, without_single_votes
from mien.data.audit.descriptor import Floats
from mien.data.audit.finding import Finding, Severity, Sheet
from mien.data.audit.unusable import LEAVE_OUT, SHOWN, by_share
from mien.page.words import percent, plural

NAME = "not-a-face"
# How odd a picture has to be, see `unlike.oddness`. For how it was set see "Thresholds" in docs/audit.md.
ODD = 4.5
# What is usual is not known from fewer pictures: of 3 to 12 faces, 38 of 100 sets had some above the limit.
FEWEST = 50
_NOT_A_FACE = COLUMNS.index("NF")
_WHY = "The net has to give them some expression; in training they teach it nothing, in val and test they are luck."


def voted_not_a_face(votes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which pictures (N,) the majority of FER+ votes (N, 10) calls no face, single votes left aside as FER+ does."""
    left = without_single_votes(votes)
    return np.asarray(left[:, _NOT_A_FACE] > 0.5 * left.sum(1))


def not_a_face(odd: Floats, votes: NDArray[np.integer] | None = None) -> Finding:
    """The finding `not-a-face` from the scores (N,) of `unlike.oddness` and, if there are any, FER+ votes (N, 10)."""
    if votes is not None:
        return _by_votes(votes, odd)
    if len(odd) < FEWEST:
        return _too_few(len(odd))
    # Flat pictures are `constant`'s.
    rows = np.flatnonzero((odd > ODD) & np.isfinite(odd))
    rows = rows[np.argsort(-odd[rows], kind="stable")]
    share = percent(len(rows) / max(len(odd), 1), 2)
    verb = "is" if len(rows) == 1 else "are"
    return Finding(
        name=NAME,
        severity=by_share(len(rows), len(odd)),
        verdict=(
            f"{plural(len(rows), 'picture')} ({share}) {verb} so unlike the rest that they may be no faces."
            if len(rows)
            else "No picture stands out as unlike the rest."
        ),
        why=_WHY,
        action=f"Look at them. {LEAVE_OUT.format(NAME)}" if len(rows) else "",
        figures={"pictures": len(rows), "limit": ODD, "oddest": round(float(odd[np.isfinite(odd)].max(initial=0)), 2)},
        rows=rows,
        columns={"oddness": odd[rows]},
        sheets=(Sheet("The most unlike the rest", rows[:SHOWN]),) if len(rows) else (),
    )


def _too_few(count: int) -> Finding:
    return Finding(
        name=NAME,
        severity=Severity.FINE,
        verdict=f"{plural(count, 'picture')}: too few to say what is unlike the rest; {FEWEST} are needed.",
        why=_WHY,
        figures={"pictures": 0, "limit": ODD, "oddest": None},
    )


def _by_votes(votes: NDArray[np.integer], odd: Floats) -> Finding:
    voted = voted_not_a_face(votes)
    rows = np.flatnonzero(voted)
    rows = rows[np.argsort(-votes[rows, _NOT_A_FACE], kind="stable")]
    count = votes[rows, _NOT_A_FACE]
    area = (
        float(roc_auc_score(voted, np.minimum(odd, np.finfo(np.float32).max))) if 0 < len(rows) < len(voted) else None
    )
    share = percent(len(rows) / max(len(voted), 1), 2)
    return Finding(
        name=NAME,
        severity=by_share(len(rows), len(voted)),
        verdict=(
            f"{plural(len(rows), 'picture')} ({share}) show no face, says the majority of FER+ votes."
            if len(rows)
            else "The FER+ votes know no picture without a face."
        ),
        why=_WHY,
        action=LEAVE_OUT.format(NAME) if len(rows) else "",
        figures={
            "pictures": len(rows),
            "share": round(len(rows) / max(len(voted), 1), 6),
            "area_of_oddness_against_votes": None if area is None else round(area, 4),
        },
        rows=rows,
        columns={"votes": count, "oddness": odd[rows]},
        sheets=_sheets(rows, count),
    )


def _sheets(rows: NDArray[np.int64], count: NDArray[np.integer]) -> tuple[Sheet, ...]:
    if not len(rows):
        return ()
    under = tuple(f"{int(n)} votes" for n in count[:SHOWN])
    return (Sheet("No face, says the majority of votes", rows[:SHOWN], under),)
