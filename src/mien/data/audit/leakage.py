"""Leakage: pictures of val and test that training has seen, and what a model gains that remembers them.

Copies of one picture in val and in test are counted as well: what is chosen on val is then chosen on test.
"""

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
# Whatever the labels say: of a split, the share that was seen before, in train, or by what was chosen on val.
WARN_SHARE, SEVERE_SHARE = 0.01, 0.05
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
    in_val = _test_in_val(copies.group, split)
    rows = np.flatnonzero(leaked_rows(copies.group, split) | in_val)
    twins = {name: _twins(copies.group, split == name, rows) for name in ("train", "val")}
    twins["val"][~in_val[rows]] = -1
    remembered = majority(copies.group, label, split == "train")[rows]
    agrees = (remembered == label[rows]) & (label[rows] >= 0)
    between = _Between(int((split == "test").sum()), int(in_val.sum()))
    return Finding(
        name="leakage",
        severity=max(_severity(found), by_share(between.share)),
        verdict=" ".join(filter(None, (_verdict(found), between.sentence))),
        why=(
            "A net that remembers its training pictures answers their copies without having learnt to read them: the "
            "figure says more than it can do on new faces, and the more so the longer it trains. The best epoch and "
            "thresholds are chosen on val: copies of its pictures in test flatter the choice."
        ),
        action=_ACTION if len(rows) else "",
        figures=_figures(found, between=between.copied),
        rows=rows,
        columns={"group": copies.group[rows], "label_agrees": agrees}
        | {f"copy_in_{name}": twin for name, twin in twins.items()},
        sheets=tuple(sheet for name, twin in twins.items() for sheet in _sheets(name, rows, twin)),
    )


@dataclass(frozen=True)
class _Between:
    """Pictures of test, and how many of them have a copy in val."""

    pictures: int
    copied: int

    @property
    def share(self) -> float:
        return self.copied / max(self.pictures, 1)

    @property
    def sentence(self) -> str:
        if not self.copied:
            return ""
        have, them = ("has", "it") if self.copied == 1 else ("have", "them")
        return (
            f"{plural(self.copied, 'picture')} of test ({percent(self.share, 1)}) {have} a copy in val: what is chosen "
            f"on val is chosen on {them}, too."
        )


_ACTION = (
    "Take the copies out of train and keep val and test comparable (mien data subset DATA --drop-leaks --out NEW; "
    "--one-per-group takes copies of test out of val, too), or divide anew so that no group of copies crosses (mien "
    "data split DATA --out NEW). After `mien data group DATA`, `mien eval` says the leak-free score beside the plain "
    "one."
)


def _measured(split: NDArray[np.str_]) -> list[str]:
    """The splits other than train, val before test."""
    return sorted(set(split.tolist()) - {"train"}, key=lambda name: ({"val": 0, "test": 1}.get(name, 2), name))


def _twins(group: Groups, where: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first picture (n,) in `where` (N,) of the group of each of `rows` (n,); −1 where there is none."""
    members = np.flatnonzero(where & (group >= 0))
    first = np.full(int(group.max(initial=-1)) + 1, -1, np.int64)
    first[group[members[::-1]]] = members[::-1]
    return first[group[rows]]


def _test_in_val(group: Groups, split: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which pictures (N,) are of test and have a copy in val."""
    return np.asarray(present(group, split == "val") & (split == "test"), np.bool_)


def by_share(share: float) -> Severity:
    """How bad it is that this share of a split was seen before, 0 to 1, whatever it was labelled."""
    if share >= SEVERE_SHARE:
        return Severity.SEVERE
    return Severity.WARNING if share >= WARN_SHARE else Severity.NOTE if share else Severity.FINE


def _severity(found: list[Leak]) -> Severity:
    """The worst of what memory gains and of the shares that leak.

    What memory loses counts by its share alone: a copy with another label may be a stranger who looks alike.
    """
    points = 100 * max((_most_gained(leak) for leak in found), default=0.0)
    limits = ((SEVERE_POINTS, Severity.SEVERE), (WARN_POINTS, Severity.WARNING))
    gained = next((severity for limit, severity in limits if points >= limit), Severity.FINE)
    return max([gained, *(by_share(leak.share) for leak in found)])


def _most_gained(leak: Leak) -> float:
    gain = leak.gain()
    return leak.share * (1 - USUAL_ACCURACY) if gain is None else gain


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


def _sheets(split: str, rows: NDArray[np.int64], twin: NDArray[np.int64]) -> tuple[Sheet, ...]:
    """Leaked pictures (n,), each followed by its copy in `split`, spread over the set; twins are −1 where none is."""
    rows, twin = rows[twin >= 0], twin[twin >= 0]
    if not len(rows):
        return ()
    chosen = np.unique(np.linspace(0, len(rows) - 1, _SHOWN).astype(int))
    shown = np.stack([rows[chosen], twin[chosen]], axis=1).reshape(-1)
    outside = "val and test" if split == "train" else "test"
    return (Sheet(f"Pictures of {outside}, each followed by its copy in {split}", shown),)
