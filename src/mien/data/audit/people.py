"""The same person in more than one of train, val and test: where a set names its people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Figure, Finding, Rows, Severity, Sheet
from mien.page.words import listed, percent, plural

NAME = "people"
SHOWN = 12


def people(subject: NDArray[np.str_], split: NDArray[np.str_]) -> Finding:
    """The finding `people` from who is shown (N,), "" where unknown, and split names (N,)."""
    known = np.unique(subject[(split == "train") & (subject != "")])
    met = (split != "train") & np.isin(subject, known)
    in_val = (split == "test") & (subject != "") & np.isin(subject, subject[split == "val"])
    figures: dict[str, Figure] = {"people": len(np.unique(subject[subject != ""])), "in_train": len(known)}
    said = []
    for name in sorted(set(split.tolist()) - {"train"}):
        count, whole = int((met & (split == name)).sum()), int((split == name).sum())
        figures |= {f"{name}_met": count, f"{name}_met_share": round(count / whole, 5)}
        if count:
            said.append(f"{count:,} of {plural(whole, 'picture')} in {name} ({percent(count / whole)})")
    between, tested = int(in_val.sum()), int((split == "test").sum())
    rows = np.flatnonzero(met | in_val)
    return Finding(
        name=NAME,
        severity=Severity.WARNING if len(rows) else Severity.FINE,
        verdict=(
            f"{listed(said)} show people who are in train, too."
            if said
            else f"None of {plural(len(known), 'person', 'people')} of train is in another split."
        )
        + (
            f" {between:,} of {plural(tested, 'picture')} in test ({percent(between / tested)}) show people who are in "
            "val, too."
            if between
            else ""
        ),
        why="A net knows the faces it was trained on: on people it has never met, which is what counts, it does worse. "
        "What is chosen on the people of val does better on them than on others.",
        action=_action(tested=bool((split[rows] == "test").any())) if len(rows) else "",
        figures=figures | {"test_met_in_val": between},
        rows=rows,
        columns={"subject": subject[rows]},
        sheets=(
            *_sheets(subject, np.flatnonzero(met), np.flatnonzero(split == "train"), "outside of train, and in it"),
            *_sheets(subject, np.flatnonzero(in_val), np.flatnonzero(split == "val"), "in test, and in val"),
        ),
    )


def _action(*, tested: bool) -> str:
    """What to do; a test split whose people are elsewhere, too, cannot stay."""
    anew, option = (" with another test", " --test .1") if tested else ("", "")
    return f"Divide by person{anew}: mien data split DATA{option} --out NEW keeps people on one side."


def _sheets(subject: NDArray[np.str_], rows: Rows, known: Rows, where: str) -> tuple[Sheet, ...]:
    """Some of the people at `rows` (n,), each picture followed by one of the same person among `known` (m,)."""
    if not len(rows):
        return ()
    names, first = np.unique(subject[rows], return_index=True)
    chosen = np.unique(np.linspace(0, len(names) - 1, SHOWN // 2).astype(int))
    pairs = [[rows[first[i]], known[subject[known] == names[i]][0]] for i in chosen.tolist()]
    return (Sheet(f"The same person {where}", np.array(pairs, np.int64).reshape(-1)),)
