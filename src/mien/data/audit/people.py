"""The same person in train and in val or test: where a set names its people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Figure, Finding, Severity, Sheet
from mien.page.words import listed, percent, plural

NAME = "people"
SHOWN = 12


def people(subject: NDArray[np.str_], split: NDArray[np.str_]) -> Finding:
    """The finding `people` from who is shown (N,), "" where unknown, and split names (N,)."""
    known = np.unique(subject[(split == "train") & (subject != "")])
    met = (split != "train") & np.isin(subject, known)
    figures: dict[str, Figure] = {"people": len(np.unique(subject[subject != ""])), "in_train": len(known)}
    said = []
    for name in sorted(set(split.tolist()) - {"train"}):
        count, whole = int((met & (split == name)).sum()), int((split == name).sum())
        figures |= {f"{name}_met": count, f"{name}_met_share": round(count / whole, 5)}
        if count:
            said.append(f"{count:,} of {plural(whole, 'picture')} in {name} ({percent(count / whole)})")
    rows = np.flatnonzero(met)
    return Finding(
        name=NAME,
        severity=Severity.WARNING if len(rows) else Severity.FINE,
        verdict=(
            f"{listed(said)} show people who are in train, too."
            if said
            else f"None of {plural(len(known), 'person', 'people')} of train is in another split."
        ),
        why="A net knows the faces it was trained on: on people it has never met, which is what counts, it does worse.",
        action="Divide by person: mien data split DATA --out NEW keeps people on one side." if said else "",
        figures=figures,
        rows=rows,
        columns={"subject": subject[rows]},
        sheets=_sheets(subject, split, rows),
    )


def _sheets(subject: NDArray[np.str_], split: NDArray[np.str_], rows: NDArray[np.int64]) -> tuple[Sheet, ...]:
    """Some of the people, each picture followed by one of the same person in train."""
    if not len(rows):
        return ()
    train = np.flatnonzero(split == "train")
    names, first = np.unique(subject[rows], return_index=True)
    chosen = np.unique(np.linspace(0, len(names) - 1, SHOWN // 2).astype(int))
    pairs = [[rows[first[i]], train[subject[train] == names[i]][0]] for i in chosen.tolist()]
    return (Sheet("The same person outside of train, and in it", np.array(pairs, np.int64).reshape(-1)),)
