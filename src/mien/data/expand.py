"""Offline augmentation: a new packed set in which each training picture is followed by changed copies of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.data.arrow import to_arrow
from mien.data.audit.groups import ALONE
from mien.data.dataset import Dataset, describe, digests, load, write_parts
from mien.data.derive import GROUPS, with_provenance
from mien.data.formats.base import Progress
from mien.data.pixel_file import PixelFile
from mien.data.regroup import about_groups
from mien.data.target import check_target, packed_folder

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]
# Pictures (n, H, W) or (n, H, W, 3), their rows (n,) and the number of the copy from 1 → as many of the same shape.
# It is called with the same pictures each time, so that the result may depend on the rows and the number alone.
Change = Callable[[Pixels, Rows, int], Pixels]
FLAG = "copy"
_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Expansion:
    """What to do to the training pictures of a set.

    Attributes:
        change: makes a changed copy.
        copies: of each picture.
        rule: what `change` does, in words and numbers that JSON can hold.
        group: groups of copies (N,) in the set as it is, −1 for a picture that is alone.
    """

    change: Change
    copies: int
    rule: Mapping[str, Any]
    group: Rows

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise MienError(f"{self.copies} copies: nothing to do", hint="--copies 1 doubles the training split")


def changed_copies(dataset: Dataset) -> NDArray[np.bool_]:
    """Mask (N,) of the pictures that `expand_data` made."""
    flags = dataset.table.column("flags").to_pylist()
    return np.array([FLAG in flag.split(",") for flag in flags], np.bool_)


def check_expandable(dataset: Dataset, out: Path, *, force: bool) -> None:
    """Raise MienError unless `dataset` has a training split and can be expanded to `out`."""
    if dataset.path is not None and out.resolve() == dataset.path.resolve():
        raise MienError(f"{out}: a set cannot be expanded into itself", hint="choose another --out")
    check_target(out, force=force, inputs=[dataset.path])
    dataset.rows("train")


def expand_data(
    dataset: Dataset, out: Path, expansion: Expansion, *, force: bool = False, progress: Progress | None = None
) -> Dataset:
    """Write `dataset` with changed copies of every picture of its training split to the new folder `out`.

    Originals come first, as they were. A copy has its parent's label, votes, weight and person, and both are of one
    group, so that no split made of the new set puts them on two sides; `parent_row` is the row of the original, and
    `flags` says `copy`. Pictures of weight 0, which no training uses, get none. Only a block of pictures is in memory.
    `progress` is called with the pictures written and how many there will be.

    Raises:
        MienError: there is no training split, or `out` exists.
    """
    check_expandable(dataset, out, force=force)
    rows = dataset.rows("train")
    rows = rows[dataset.column("weight")[rows] > 0]
    with packed_folder(out) as folder:
        hashes = _write_pixels(folder / "images.npy", dataset, rows, expansion, progress)
        table = _manifest(dataset, rows, expansion, hashes)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        info = describe(dataset.info.name, dataset.labels, images, table)
        rule = {"verb": "expand", **expansion.rule, "copies": expansion.copies}
        notes = {GROUPS: about_groups(expansion.group)}
        write_parts(folder, table, with_provenance(info, dataset.info, rule, notes))
    return load(out)


def _write_pixels(
    path: Path, dataset: Dataset, rows: Rows, expansion: Expansion, progress: Progress | None
) -> list[str]:
    """Originals and copies to `path`; the sha256 of each copy."""
    found: list[str] = []
    total = len(dataset) + expansion.copies * len(rows)
    with PixelFile(path, dataset.images.shape[1:]) as file:
        for pictures in _pictures(dataset, rows, expansion):
            if file.count >= len(dataset):
                found += digests(pictures)
            file.append(pictures)
            if progress is not None:
                progress(file.count, total)
    return found


def _pictures(dataset: Dataset, rows: Rows, expansion: Expansion) -> Iterator[Pixels]:
    """Blocks of pictures: all as they are, then the copies."""
    for part in _parts(np.arange(len(dataset))):
        yield dataset.images[part]
    for copy in range(1, expansion.copies + 1):
        for part in _parts(rows):
            yield expansion.change(dataset.images[part], part, copy)


def _parts(rows: Rows) -> Iterator[Rows]:
    for first in range(0, len(rows), _AT_ONCE):
        yield rows[first : first + _AT_ONCE]


def _manifest(dataset: Dataset, rows: Rows, expansion: Expansion, hashes: list[str]) -> pa.Table:
    """The manifest of originals and copies, numbered anew."""
    originals = _with(dataset.table, group=_families(expansion.group, rows), parent_row=np.arange(len(dataset)))
    taken = originals.take(to_arrow(rows))
    sources, flags = taken.column("source").to_pylist(), taken.column("flags").to_pylist()
    parts = [
        _with(
            taken,
            source=[f"{source}+{copy}" for source in sources],
            flags=[",".join(filter(None, (flag, FLAG))) for flag in flags],
            sha256=hashes[(copy - 1) * len(rows) : copy * len(rows)],
        )
        for copy in range(1, expansion.copies + 1)
    ]
    table = pa.concat_tables([originals, *parts])
    return _with(table, row=np.arange(table.num_rows))


def _families(group: Rows, rows: Rows) -> Rows:
    """Groups (N,) in which each of `rows` that was alone has a group of its own, to be shared with its copies."""
    alone = rows[group[rows] == ALONE]
    families = group.copy()
    families[alone] = int(group.max(initial=ALONE)) + 1 + np.arange(len(alone))
    return families


def _with(table: pa.Table, **columns: Any) -> pa.Table:
    """The table with columns replaced, or added at its end."""
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, to_arrow(values))
        else:
            table = table.append_column(name, to_arrow(values))
    return table
