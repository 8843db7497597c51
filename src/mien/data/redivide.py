"""`mien data split`: a packed set divided anew, stratified by class, with copies kept on one side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.data.audit.groups import ALONE, Groups, groups_of, links, present
from mien.data.dataset import Dataset, describe
from mien.data.derive import GROUPS, check_place, derive, with_provenance
from mien.data.expand import FLAG, changed_copies
from mien.data.formats.base import Progress
from mien.data.regroup import about_groups, groups
from mien.data.split import divide, numbered

FOLD = "fold"
OUTSIDE = -1
LEFT_OUT = "left_out"  # in the provenance: how many pictures, by the reason


@dataclass(frozen=True)
class Division:
    """How to divide.

    Attributes:
        val: share of val, 0 to 1. With `folds` it is not used: val is one fold.
        test: share of test, 0 to 1.
        folds: number of folds that everything outside test is divided into; None for plain train and val.
        keep_test: leave test as it is, and leave out pictures elsewhere that are copies of one in it or show a person
            in it. Not given: a test split that is there is kept unless another is drawn, its copies elsewhere are left
            out, and people who are in it and elsewhere are an error.
        apart: whether copies may go to different splits, as if they were not known. People are still kept together.
        seed: of the draw.
    """

    val: float = 0.1
    test: float = 0.0
    folds: int | None = None
    keep_test: bool | None = None
    apart: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 2:
            raise MienError(f"{self.folds} folds: at least 2 are needed", hint="5 is usual")
        if self.folds is not None and not 0 <= self.test < 1:
            raise MienError(f"test {self.test} leaves nothing for the folds", hint="0.1 is usual")
        if self.folds is None and not (0 < self.val < 1 and 0 <= self.test < 1 and self.val + self.test < 1):
            raise MienError(f"val {self.val} and test {self.test} leave nothing for train", hint="0.1 each is usual")
        if self.keep_test and self.test:
            raise MienError("test cannot be both kept and drawn anew", hint="leave out --test or --keep-test")


def split_data(
    parent: Dataset,
    out: Path,
    division: Division,
    *,
    force: bool = False,
    looking: Progress | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Write `parent` divided anew as the packed set `out`, with its groups of copies in the manifest.

    With folds, the column `fold` says which fold a picture is in (−1 in test), val is fold 0, and `take_fold` gives
    the set with another fold as val. Changed copies (`mien data expand`) that come to val or test are left out: only
    training uses them. The provenance has under `left_out` how many pictures were, as copies or people of test or as
    changed copies.

    Raises:
        MienError: `out` is taken, or as `assign`.
    """
    check_place(parent, out, force=force)  # before the search for copies
    kept = _kept_test(parent.split, division)
    group = np.full(len(parent), ALONE) if division.apart else groups(parent, progress=looking)
    rows, split, fold = assign(parent.label, group, parent.split, division, subject=parent.subject)
    copies, taken = int((present(group, kept) & ~kept).sum()), len(rows)
    used = (split == "train") | ~changed_copies(parent)[rows]
    rows, split, fold = rows[used], split[used], fold[used]
    left_out = {"copies": copies, "people": len(parent) - taken - copies, "changed": taken - len(rows)}
    columns: dict[str, NDArray[Any]] = {"split": split}
    if not division.apart:
        columns["group"] = group[rows]
    if division.folds or FOLD in parent.table.column_names:
        columns[FOLD] = fold if division.folds else np.full(len(rows), OUTSIDE)
    return derive(
        parent,
        out,
        rule={"verb": "split", **asdict(division)},
        rows=rows,
        columns=columns,
        notes={LEFT_OUT: left_out} | ({} if division.apart else {GROUPS: about_groups(group)}),
        force=force,
        progress=progress,
    )


def with_people(group: Groups, subject: NDArray[np.str_] | None) -> Groups:
    """Group ids (N,) of what must not be parted: copies, and pictures of one person where people are known."""
    if subject is None:
        return group
    person = numbered(subject.tolist())
    return groups_of(len(group), np.concatenate([links(group), links(person)]))


def assign(
    label: NDArray[np.integer],
    group: Groups,
    split: NDArray[np.str_],
    division: Division,
    *,
    subject: NDArray[np.str_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.int64]]:
    """Which of N pictures to take (n,), and the split (n,) and fold (n,) of each.

    Args:
        label: class ids (N,), −1 for none.
        group: group ids (N,) of copies, −1 alone.
        split: split names (N,) so far; only test matters, and only where it is kept.
        division: how to divide.
        subject: who is shown (N,), "" where unknown, if people are known.

    Raises:
        MienError: test is to be kept and there is none, or people in it are elsewhere, too, or nothing else is left; or
            groups and people are too large for a part to get any.
    """
    together, test = with_people(group, subject), _kept_test(split, division)
    free = ~test & ~present(group, test)
    met = free & present(together, test)
    if division.keep_test:
        free &= ~met
    elif met.any():
        raise MienError(
            f"{met.sum():,} pictures outside test show people who are in test, too",
            hint="--test .1 draws another test, --no-keep-test divides it with the rest, --keep-test leaves them out",
        )
    if not free.any():
        raise MienError(
            "nothing is left to divide: all pictures are in test, or copies of it, or show its people",
            hint="--test .1 draws another test, --no-keep-test divides it with the rest",
        )
    if division.test:
        drawn = divide(label, together, (1 - division.test, division.test), seed=division.seed)
        test, free = drawn == 1, drawn == 0
    fold = np.full(len(label), OUTSIDE)
    shares = (
        (1 / division.folds,) * division.folds if division.folds else (division.val, 1 - division.val - division.test)
    )
    fold[free] = divide(label[free], together[free], shares, seed=division.seed + 1)
    _check_parts(fold, test, division)
    rows = np.flatnonzero(free | test)
    return rows, _names(fold, test)[rows], fold[rows]


def _kept_test(split: NDArray[np.str_], division: Division) -> NDArray[np.bool_]:
    """The pictures (N,) of the test split that stays. Raises MienError when one is to be kept and there is none."""
    keep = not division.test if division.keep_test is None else division.keep_test
    test = (split == "test") & keep
    if division.keep_test and not test.any():
        raise MienError("there is no test split to keep", hint="leave out --keep-test, or draw one with --test 0.1")
    return np.asarray(test, np.bool_)


def _check_parts(fold: NDArray[np.int64], test: NDArray[np.bool_], division: Division) -> None:
    """Raise MienError when a part is empty, as where there are fewer people than parts."""
    parts = {f"fold {i}": i for i in range(division.folds)} if division.folds else {"val": 0, "train": 1}
    empty = [name for name, i in parts.items() if not (fold == i).any()]
    if division.test and not test.any():
        empty.append("test")
    if empty:
        raise MienError(
            f"no picture comes to {', '.join(empty)}: groups of copies or people are larger than such a share",
            hint="--val and --test can be larger, --folds fewer",
        )


def _names(fold: NDArray[np.int64], test: NDArray[np.bool_]) -> NDArray[np.str_]:
    return np.select([test, fold == 0], ["test", "val"], "train")


def take_fold(dataset: Dataset, fold: int) -> Dataset:
    """The set with the fold of this number as val and the other folds as train; test stays. Pixels are shared.

    Changed copies (`mien data expand`) outside train get the split `copy`, which nothing uses.

    Raises:
        MienError: the set has no folds, or none of this number.
    """
    folds = dataset.column(FOLD) if FOLD in dataset.table.column_names else np.full(len(dataset), OUTSIDE)
    if (folds == OUTSIDE).all():  # so in a set that was divided again without folds
        raise MienError(
            f"{dataset.path or dataset.info.name}: no folds", hint="mien data split DATA --folds 5 --out NEW"
        )
    if fold < 0 or not (folds == fold).any():
        raise MienError(f"there is no fold {fold}", hint=f"folds 0 to {int(folds.max())}")
    split = np.select([folds == OUTSIDE, folds == fold], ["test", "val"], "train")
    split = np.where((split != "train") & changed_copies(dataset), FLAG, split)
    place = dataset.table.schema.get_field_index("split")
    table = dataset.table.set_column(place, "split", [split.tolist()])
    info = describe(dataset.info.name, dataset.labels, dataset.images, table)
    rule = {"verb": "take_fold", "fold": fold}
    return Dataset(dataset.images, table, with_provenance(info, dataset.info, rule, {}), dataset.path)
