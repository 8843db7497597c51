"""`mien data subset`: a packed set without some of its classes, rows or copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow.csv import ConvertOptions, read_csv

from mien.core.errors import MienError, unknown_name
from mien.core.labels import LabelSet, canonical, identify
from mien.data.audit.groups import Groups, majority, present
from mien.data.dataset import Dataset
from mien.data.derive import GROUPS, check_place, derive
from mien.data.formats.base import Progress
from mien.data.regroup import about_groups, groups
from mien.data.split import stratified

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """What to leave out. The parts are applied in this order.

    Attributes:
        splits: the splits to keep; all if empty.
        drop: classes whose pictures are left out.
        merge: class → the class it becomes part of, which may be a new name.
        without: Parquet files of findings; the rows they list are left out.
        drop_leaks: leave out pictures of train that have a copy in val or test, also where `splits` leaves these out.
        one_per_group: keep one picture of each group of copies: see `representatives`.
        share: of each class of train, drawn at random; val and test stay whole, so that figures stay comparable.
        seed: of that draw.
    """

    splits: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    merge: Mapping[str, str] = field(default_factory=dict)
    without: tuple[Path, ...] = ()
    drop_leaks: bool = False
    one_per_group: bool = False
    share: float = 1.0
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain values, for the provenance."""
        return {**vars(self), "merge": dict(self.merge), "without": [path.name for path in self.without]}


@dataclass(frozen=True)
class Subset:
    """The new set, and how many pictures each part of the rule left out."""

    dataset: Dataset
    left_out: dict[str, int]


def subset_data(
    parent: Dataset,
    out: Path,
    rule: Rule,
    *,
    force: bool = False,
    looking: Progress | None = None,
    progress: Progress | None = None,
) -> Subset:
    """Write what `rule` leaves of `parent` as the packed set `out`.

    Raises:
        MienError: a class or split that the set has not, a file that does not list rows of this set, a rule that
            leaves nothing or does nothing, or `out` is taken.
    """
    if rule == Rule(seed=rule.seed):
        raise MienError("nothing to leave out was named", hint="mien data subset --help lists the rules")
    check_place(parent, out, inputs=rule.without, force=force)
    labels, label = relabel(parent.labels, parent.label, drop=rule.drop, merge=rule.merge)
    by_copies = rule.drop_leaks or rule.one_per_group

    @cache
    def group() -> Groups:
        return groups(parent, progress=looking)

    keep = np.ones(len(parent), bool)
    left_out: dict[str, int] = {}
    for what, out_of in _parts(parent, rule, label, group, keep):
        # Lists in two folders may have one name.
        left_out[what] = left_out.get(what, 0) + int((keep & out_of).sum())
        keep &= ~out_of
    rows = np.flatnonzero(keep)
    columns = {"label": label[rows]} | ({"group": group()[rows]} if by_copies else {})
    dataset = derive(
        parent,
        out,
        rule={"verb": "subset", **rule.to_json(), "left_out": left_out},
        rows=rows,
        columns=columns,
        labels=labels,
        notes={GROUPS: about_groups(group())} if by_copies else {},
        inputs=rule.without,
        force=force,
        progress=progress,
    )
    return Subset(dataset, left_out)


def _parts(
    parent: Dataset, rule: Rule, label: NDArray[np.int64], group: Callable[[], Groups], keep: Mask
) -> Iterator[tuple[str, Mask]]:
    """Name of each part of the rule and the mask (N,) it leaves out; later parts look at what is kept so far.

    Leaks alone are looked for in all splits, since figures are measured on those that another file keeps, too. Copies,
    which take a while to find, are asked for after everything that can be wrong with the other parts.
    """
    in_all_splits = np.ones(len(keep), bool)
    if rule.splits:
        yield f"splits other than {', '.join(rule.splits)}", ~_in_splits(parent, rule.splits)
    if rule.drop:
        out = (label < 0) & (parent.label >= 0)
        in_all_splits &= ~out
        yield f"classes {', '.join(rule.drop)}", out
    for path in rule.without:
        out = listed(parent, path)
        in_all_splits &= ~out
        yield path.name, out
    if rule.drop_leaks:
        yield "train, copies in val or test", leaking(group(), parent.split, in_all_splits)
    if rule.one_per_group:
        left = np.where(keep, group(), -1)
        yield "further copies", ~representatives(left, label, parent.split)
    if rule.share < 1:
        yield f"all but {rule.share:.4g} of each class of train", _undrawn(parent, rule, label, keep)


def relabel(
    labels: LabelSet, label: NDArray[np.integer], *, drop: tuple[str, ...], merge: Mapping[str, str]
) -> tuple[LabelSet, NDArray[np.int64]]:
    """The label set without some classes, or with some of them merged, and ids (N,) in it; −1 for dropped classes.

    A merged class stands where the class it joins stood, or, under a new name, where the first of its parts did.

    Raises:
        MienError: a class that `labels` does not have, one merged into a class that goes itself, or none is left.
    """
    dropped = {_index(labels, name) for name in drop}
    target = {_index(labels, old): new for old, new in merge.items()}
    names = [_final(labels, target.get(i, name)) for i, name in enumerate(labels.names)]
    for i, new in target.items():
        if labels.index(new) in (dropped | set(target)) - {i}:
            raise MienError(f"{labels.names[i]!r} cannot become part of {new!r}, which is dropped or merged itself")
    left = list(dict.fromkeys(name for i, name in enumerate(names) if i not in dropped))
    own = [name for i, name in enumerate(labels.names) if i not in target and i not in dropped]
    left.sort(key=lambda name: labels.names.index(name) if name in own else names.index(name))
    if not left:
        raise MienError("no class is left", hint=f"classes: {', '.join(labels.names)}")
    ids = [left.index(name) if i not in dropped else -1 for i, name in enumerate(names)]
    return identify(left), np.array([*ids, -1], np.int64)[np.asarray(label, np.int64)]


def _index(labels: LabelSet, name: str) -> int:
    found = labels.index(name)
    if found is None:
        raise unknown_name("class", name, labels.names)
    return found


def _final(labels: LabelSet, name: str) -> str:
    """The spelling of the set where it has a class of this meaning."""
    return next((own for own in labels.names if canonical(own) == canonical(name)), name)


def _in_splits(parent: Dataset, splits: tuple[str, ...]) -> Mask:
    for name in splits:
        parent.rows(name)  # says which splits there are
    return np.isin(parent.split, splits)


# A source may look like a number, such as 007.
_AS_TEXT = ConvertOptions(column_types={"source": pa.string()})


def listed(parent: Dataset, path: Path) -> Mask:
    """Mask (N,) of the rows of `parent` that the Parquet file of a finding, or a CSV file, lists in its column `row`.

    A file without any row leaves nothing out.

    Raises:
        MienError: the file cannot be read, has no such column, or is about another set.
    """
    is_csv = path.suffix.lower() == ".csv"
    try:
        table = read_csv(path, convert_options=_AS_TEXT) if is_csv else pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        kind = "CSV" if is_csv else "Parquet"
        raise MienError(
            f"{path}: not a {kind} file ({error})", hint="mien data audit writes findings/*.parquet"
        ) from None
    known = "row" in table.column_names
    if known and not len(table):
        return np.zeros(len(parent), bool)
    if not known or not pa.types.is_integer(table.schema.field("row").type):
        raise MienError(f"{path}: no column `row` with whole numbers", hint="mien data audit writes such files")
    rows = np.asarray(table.column("row").to_numpy(), np.int64)
    other = bool(rows.min() < 0 or rows.max() >= len(parent))
    if not other and "source" in table.column_names:
        sources = np.array([str(source) for source in table.column("source").to_pylist()], np.str_)
        other = bool((parent.column("source")[rows].astype(np.str_) != sources).any())
    if other:
        raise MienError(
            f"{path}: lists rows of another set than {parent.path or parent.info.name}", hint="audit it again"
        )
    return np.isin(np.arange(len(parent)), rows)


def _undrawn(parent: Dataset, rule: Rule, label: NDArray[np.int64], keep: Mask) -> Mask:
    """Mask (N,) of the pictures of train that are not drawn from those that are kept so far."""
    train = np.flatnonzero(keep & (parent.split == "train"))
    out = np.zeros(len(keep), bool)
    out[train[~stratified(label[train], rule.share, rule.seed)]] = True
    return out


def leaking(group: Groups, split: NDArray[np.str_], keep: Mask) -> Mask:
    """Mask (N,) of the pictures of train that have a copy in another split, among those that are kept."""
    return np.asarray((split == "train") & present(group, keep & (split != "train")), np.bool_)


def representatives(group: Groups, label: NDArray[np.integer], split: NDArray[np.str_]) -> Mask:
    """Mask (N,) of one picture of each group, and of all that are alone.

    Of a group the one stays that is in test, else in val, else in train, so that measured pictures stay comparable;
    there, the first that carries the group's commonest label.
    """
    place = np.select([split == "test", split == "val"], [0, 1], 2)
    unusual = label != majority(group, label, np.ones(len(label), bool))
    order = np.lexsort((np.arange(len(label)), unusual, place))
    keep = group < 0
    _, first = np.unique(group[order], return_index=True)
    keep[order[first]] = True
    return keep
