"""Leakage: pictures of val and test that training has seen, and what a model gains that remembers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.copies import Copies
from mien.data.audit.finding import Figure, Finding, Severity, Sheet
from mien.data.audit.groups import Groups, majority, present
from mien.page.words import listed, percent, plural

# What a usual net reaches on pictures it never saw (FER2013: 65 to 75 %); the gain hardly depends on it.
USUAL_ACCURACY = 0.7
# Papers on FER2013 are told apart by half a point; more than that given away makes a figure useless for comparing.
SEVERE_POINTS = 0.5
# Less than this is within what two strangers who happen to look alike can bring to a small set.
WARN_POINTS = 0.1
_SHOWN = 6


@dataclass(frozen=True)
class Leak:
    """Pictures of one split that have a copy in train.

    Attributes:
        pictures: of the split.
        leaked: those with a copy in train, be it mirrored.
        exact: those with the very same pixels in train.
        labelled: leaked ones whose label can be compared with their copies'.
        agreeing: leaked ones that carry the commonest label of their copies in train.
    """

    split: str
    pictures: int
    leaked: int
    exact: int
    labelled: int
    agreeing: int

    @property
    def share(self) -> float:
        """Of the split, 0 to 1."""
        return self.leaked / self.pictures

    def gain(self, accuracy: float = USUAL_ACCURACY) -> float | None:
        """Accuracy gained, −1 to 1, by remembering train for a model that is right on `accuracy` of what is new to it.

        On a leaked picture it answers the commonest label of the copies in train, so that it is right on
        `agreeing / labelled` of them instead of on `accuracy`. None where no leaked picture has a label.
        """
        if not self.leaked:
            return 0.0
        return self.share * (self.agreeing / self.labelled - accuracy) if self.labelled else None


def leaks(copies: Copies, label: NDArray[np.integer], split: NDArray[np.str_]) -> list[Leak]:
    """What leaks from train into each other split, for labels (N,), −1 for none, and split names (N,)."""
    train = split == "train"
    leaked, remembered = present(copies.group, train), majority(copies.group, label, train)
    same = np.zeros(len(split), bool)
    same[copies.first[train]] = True
    can_tell = leaked & (label >= 0) & (remembered >= 0)
    found = []
    for name in _measured(split):
        inside = split == name
        counted = [inside, inside & leaked, inside & same[copies.first], inside & can_tell]
        agreeing = inside & can_tell & (remembered == label)
        found.append(Leak(name, *(int(mask.sum()) for mask in (*counted, agreeing))))
    return found


def leaked_rows(group: Groups, split: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Mask (N,) of the pictures outside train whose group has a member in train."""
    return np.asarray((split != "train") & present(group, split == "train"), np.bool_)


def leakage(copies: Copies, label: NDArray[np.integer], split: NDArray[np.str_]) -> Finding:
    """The finding `leakage` of copies among N pictures with labels (N,) and split names (N,)."""
    found = leaks(copies, label, split)
    rows = np.flatnonzero(leaked_rows(copies.group, split))
    twin = _twins(copies.group, split, rows)
    remembered = majority(copies.group, label, split == "train")[rows]
    agrees = (remembered == label[rows]) & (label[rows] >= 0)
    return Finding(
        name="leakage",
        severity=_severity(found),
        verdict=_verdict(found),
        why=(
            "A net that remembers its training pictures answers their copies without having learnt to read them: the "
            "figure says more than it can do on new faces, and the more so the longer it trains."
        ),
        action=_ACTION if len(rows) else "",
        figures=_figures(found, between=_between_measured(copies.group, split)),
        rows=rows,
        columns={"group": copies.group[rows], "copy_in_train": twin, "label_agrees": agrees},
        sheets=_sheets(rows, twin),
    )


_ACTION = (
    "Take the copies out of train and keep val and test comparable (mien data subset DATA --drop-leaks --out NEW), or "
    "divide anew so that no group of copies crosses (mien data split DATA --out NEW). After `mien data group DATA`, "
    "`mien eval` says the leak-free score beside the plain one."
)


def _measured(split: NDArray[np.str_]) -> list[str]:
    """The splits other than train, val before test."""
    return sorted(set(split.tolist()) - {"train"}, key=lambda name: ({"val": 0, "test": 1}.get(name, 2), name))


def _twins(group: Groups, split: NDArray[np.str_], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first training picture (n,) in the group of each of `rows`."""
    train = np.flatnonzero((split == "train") & (group >= 0))
    ids, where = np.unique(group[train], return_index=True)
    return train[where][np.searchsorted(ids, group[rows])]


def _between_measured(group: Groups, split: NDArray[np.str_]) -> int:
    """Pictures of test with a copy in val: what is chosen on val is then partly chosen on test."""
    return int((present(group, split == "val") & (split == "test")).sum())


def _severity(found: list[Leak]) -> Severity:
    if not any(leak.leaked for leak in found):
        return Severity.FINE
    gains = [leak.share if (gain := leak.gain()) is None else gain for leak in found]
    points = 100 * max(gains)
    return Severity.SEVERE if points >= SEVERE_POINTS else Severity.WARNING if points >= WARN_POINTS else Severity.NOTE


def _verdict(found: list[Leak]) -> str:
    if not found:
        return "There is only train: nothing can leak."
    if not any(leak.leaked for leak in found):
        return f"No picture of {listed([leak.split for leak in found])} has a copy in train."
    return " ".join(_sentence(leak) for leak in found if leak.leaked)


def _sentence(leak: Leak) -> str:
    have = "has" if leak.leaked == 1 else "have"
    text = f"{plural(leak.leaked, 'picture')} of {leak.split} ({percent(leak.share, 1)}) {have} a copy in train"
    gain = leak.gain()
    if gain is None:
        return f"{text}."
    return (
        f"{text}, {percent(leak.agreeing / leak.labelled)} of them with the same label: a model that is right on "
        f"{percent(USUAL_ACCURACY)} of new faces and remembers train scores {100 * gain:+.1f} points on {leak.split}."
    )


def _figures(found: list[Leak], *, between: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for leak in found:
        gain = leak.gain()
        figures |= {
            f"{leak.split}_leaked": leak.leaked,
            f"{leak.split}_leaked_share": round(leak.share, 5),
            f"{leak.split}_leaked_exact": leak.exact,
            f"{leak.split}_leaked_same_label": leak.agreeing,
            f"{leak.split}_gain_points": None if gain is None else round(100 * gain, 3),
        }
    return figures | {"usual_accuracy": USUAL_ACCURACY, "test_copies_in_val": between}


def _sheets(rows: NDArray[np.int64], twin: NDArray[np.int64]) -> tuple[Sheet, ...]:
    """Leaked pictures, each followed by its copy in train, spread over the set."""
    if not len(rows):
        return ()
    chosen = np.unique(np.linspace(0, len(rows) - 1, _SHOWN).astype(int))
    shown = np.stack([rows[chosen], twin[chosen]], axis=1).reshape(-1)
    return (Sheet("Pictures of val and test, each followed by its copy in train", shown),)
