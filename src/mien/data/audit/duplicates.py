"""Findings about copies: equal pictures, near ones, mirrored ones, and copies that carry different labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.copies import Copies
from mien.data.audit.finding import Figure, Finding, Rows, Severity, Sheet, doubted
from mien.data.audit.groups import Groups, groups_of, sizes
from mien.data.audit.leakage import leakage
from mien.data.audit.search import Pairs
from mien.data.dataset import Dataset
from mien.data.formats.base import Progress
from mien.page.words import percent, plural

# Copies inside train weigh as much as their number; a twentieth of the set shifts what is learnt, less is worth a note.
WARN_SHARE = 0.05
_SHOWN_GROUPS, _SHOWN_MEMBERS = 4, 8
_WHY = (
    "A picture that is there twice counts twice in training, and a set divided at random puts its copies on both sides "
    "of the line between train and val."
)
_ACTION = (
    "Keep one of each group (mien data subset DATA --one-per-group --out NEW), and never divide a group between splits "
    "(mien data split DATA --out NEW keeps groups whole)."
)

_DECIDE = "Decide on one label for each group, or drop them all (mien data subset DATA --without FILE --out NEW)."


def check(data: Dataset, tell: Progress, copies: Copies) -> list[Finding]:
    """All findings about the copies of a packed set."""
    tell(len(data), len(data))
    about_near = [
        near_copies(copies),
        mirrored_copies(copies),
        leakage(copies, data.label, data.split),
        conflicting_labels(copies, data.label, data.labels.names),
    ]
    figures: dict[str, Figure] = {"candidates_looked_at": copies.looked, "candidates_left": copies.left}
    return [exact_copies(copies), *(doubted(one, copies.doubt, figures) for one in about_near)]


def exact_copies(copies: Copies) -> Finding:
    """The finding `exact-copies`: pictures whose pixels are there more than once; all but the first are surplus."""
    surplus = len(copies.exact)
    group = groups_of(len(copies.first), copies.exact)
    share = surplus / max(len(group), 1)
    most = int(sizes(group).max(initial=0))
    verdict = (
        f"{plural(surplus, 'picture')} ({percent(share, 1)}) too many: there already, pixel for pixel. The commonest "
        f"is there {most:,} times."
        if surplus
        else "No picture is there twice."
    )
    figures: dict[str, Figure] = {"surplus": surplus, "surplus_share": round(share, 5), "most_in_a_group": most}
    return _finding("exact-copies", verdict, group, figures, share)


def near_copies(copies: Copies) -> Finding:
    """The finding `near-copies`: pictures that look the same without being equal."""
    return _linked("near-copies", copies, "the same photograph as another, though not the same pixels", mirrored=False)


def mirrored_copies(copies: Copies) -> Finding:
    """The finding `mirrored-copies`: pictures of which another is the mirror image."""
    return _linked("mirrored-copies", copies, "the mirror image of another", mirrored=True)


def _linked(name: str, copies: Copies, what: str, *, mirrored: bool) -> Finding:
    pairs = copies.linked(mirrored=mirrored)
    group = groups_of(len(copies.first), pairs)
    rows = np.flatnonzero(group >= 0)
    share = len(rows) / max(len(group), 1)
    most = int(sizes(group).max(initial=0))
    verdict = (
        f"{plural(len(rows), 'picture')} ({percent(share, 1)}), in {plural(len(sizes(group)), 'group')}, are {what}."
        if len(rows)
        else f"No picture is {what}."
    )
    figures: dict[str, Figure] = {
        "pictures": len(rows),
        "share": round(share, 5),
        "groups": len(sizes(group)),
        "most_in_a_group": most,
        "least_correlation": round(float(copies.correlation[copies.mirrored == mirrored].min()), 4)
        if len(rows)
        else None,
    }
    best, partner = _closest(copies, pairs, mirrored=mirrored)
    columns: dict[str, NDArray[Any]] = {"closest": partner[rows], "correlation": best[rows]}
    return _finding(name, verdict, group, figures, share / 2, columns)


def _closest(copies: Copies, pairs: Pairs, *, mirrored: bool) -> tuple[NDArray[np.float32], Rows]:
    """Correlation (N,) of each picture with the one that is most like it, and that one's position; 0 and −1 if none."""
    measured = copies.correlation[copies.mirrored == mirrored]
    best, partner = np.zeros(len(copies.first), np.float32), np.full(len(copies.first), -1, np.int64)
    order = np.argsort(measured, kind="stable")  # the best comes last and stays
    for own, other in ((0, 1), (1, 0)):
        better = order[measured[order] > best[pairs[order, own]]]
        best[pairs[better, own]], partner[pairs[better, own]] = measured[better], pairs[better, other]
    return best, partner


def conflicting_labels(copies: Copies, label: NDArray[np.integer], names: Sequence[str]) -> Finding:
    """The finding `conflicting-labels`: groups of copies of labels (N,), −1 for none, of which not all agree."""
    group = np.where(label >= 0, copies.group, -1)
    ids = np.unique(group[group >= 0])
    lowest, highest = np.full((2, int(group.max(initial=-1)) + 1), -1)
    known = np.flatnonzero(group >= 0)
    lowest[ids] = len(names)
    np.minimum.at(lowest, group[known], label[known])
    np.maximum.at(highest, group[known], label[known])
    several = ids[np.bincount(group[known], minlength=len(lowest))[ids] > 1]
    split = several[lowest[several] != highest[several]]
    rows = np.flatnonzero(np.isin(group, split))
    share = len(split) / max(len(several), 1)
    return Finding(
        name="conflicting-labels",
        severity=Severity.NOTE if len(rows) else Severity.FINE,
        verdict=(
            f"In {len(split):,} of {plural(len(several), 'group')} of copies ({percent(share)}) the same picture has "
            f"different labels."
            if len(split)
            else f"The labels of {plural(len(several), 'group')} of copies agree."
            if len(several)
            else "No two copies have a label."
        ),
        why=(
            "The same picture cannot be two classes at once: such rows pull training apart, and their share says how "
            "far the labels of the whole set can be trusted."
        ),
        action=_DECIDE if len(rows) else "",
        figures={"groups": len(several), "groups_in_conflict": len(split), "share": round(share, 4)}
        | {"rows": len(rows)},
        rows=rows,
        columns={"group": copies.group[rows]},
        sheets=_sheets("The same picture, different labels", np.where(np.isin(group, split), group, -1)),
    )


def _finding(
    name: str,
    verdict: str,
    group: Groups,
    figures: dict[str, Figure],
    share: float,
    columns: dict[str, NDArray[Any]] | None = None,
) -> Finding:
    rows = np.flatnonzero(group >= 0)
    severity = Severity.FINE if not len(rows) else Severity.WARNING if share >= WARN_SHARE else Severity.NOTE
    return Finding(
        name=name,
        severity=severity,
        verdict=verdict,
        why=_WHY,
        action=_ACTION if len(rows) else "",
        figures=figures,
        rows=rows,
        columns={"group": group[rows]} | (columns or {}),
        sheets=_sheets(name.replace("-", " ").capitalize(), group),
    )


def _sheets(caption: str, group: Groups) -> tuple[Sheet, ...]:
    """The largest group and some others, spread over the set, as one strip each."""
    count = sizes(group)
    shown = np.flatnonzero(count)
    if not len(shown):
        return ()
    largest = shown[count[shown].argmax()]
    spread = shown[np.linspace(0, len(shown) - 1, _SHOWN_GROUPS - 1).astype(int)]
    chosen = list(dict.fromkeys([int(largest), *spread.tolist()]))
    members = {g: np.flatnonzero(group == g) for g in chosen}
    return tuple(Sheet(f"{caption}: group of {len(rows):,}", rows[:_SHOWN_MEMBERS]) for rows in members.values())
