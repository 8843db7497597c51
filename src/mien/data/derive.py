"""A new packed set made from another: some of its rows, other labels or splits, and a note of where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien import __version__
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.data.audit.groups import tidied
from mien.data.dataset import Dataset, DatasetInfo, describe, load, write_parts
from mien.data.formats.base import Progress
from mien.data.pixel_file import PixelFile
from mien.data.target import check_target, packed_folder

_ROWS_AT_ONCE = 1024
# What `mien data group` found stays true of any part of the set.
GROUPS = "groups"


def derive(
    parent: Dataset,
    out: Path,
    *,
    rule: Mapping[str, Any],
    rows: NDArray[np.integer] | None = None,
    columns: Mapping[str, Any] | None = None,
    labels: LabelSet | None = None,
    notes: Mapping[str, Any] | None = None,
    inputs: Sequence[Path] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Write rows of `parent` as the packed set `out`, which appears complete or not at all.

    Pixels are copied block by block. The manifest keeps every column of the parent; `row` counts anew and
    `parent_row` says where each picture stood; groups of copies of which one picture is left are dissolved.

    Args:
        parent: an opened packed set.
        out: the folder to write.
        rule: what was done, in words and numbers that JSON can hold; it goes into the provenance with the parent's.
        rows: positions (n,) in the parent, in the order wanted; all if not given.
        columns: of the new manifest (n,), in place of the parent's or beside them.
        labels: the new label set, if label ids changed.
        notes: further entries of the provenance.
        inputs: files that the rule was read from, which must not go with an older set at `out`.
        force: replace an older packed set at `out`.
        progress: called with the pictures done and their number.

    Raises:
        MienError: no rows are left, or as `check_place`.
    """
    chosen = np.asarray(np.arange(len(parent)) if rows is None else rows, np.int64)
    if not len(chosen):
        raise MienError(f"{parent.path or parent.info.name}: nothing is left by this rule", hint="loosen the rule")
    check_place(parent, out, inputs=inputs, force=force)
    table = _table(parent.table.take(pa.array(chosen)), chosen, columns or {})
    with packed_folder(out) as folder:
        _copy_pixels(parent, chosen, folder / "images.npy", progress)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        info = describe(parent.info.name, labels or parent.labels, images, table)
        write_parts(folder, table, with_provenance(info, parent.info, rule, notes or {}))
    return load(out)


def check_place(parent: Dataset, out: Path, *, inputs: Sequence[Path] = (), force: bool = False) -> None:
    """Raise MienError when `out` is taken, is the parent itself, or holds what is read to make the new set."""
    if parent.path is not None and out.resolve() == parent.path.resolve():
        raise MienError(f"{out} is the set to derive from", hint="choose another --out")
    check_target(out, force=force, inputs=[parent.path, *inputs])


def with_provenance(
    info: DatasetInfo, parent: DatasetInfo, rule: Mapping[str, Any], notes: Mapping[str, Any]
) -> DatasetInfo:
    """`info` that names its parent by its fingerprint, with the parent's own provenance, and the rule."""
    known = {GROUPS: parent.provenance[GROUPS]} if GROUPS in parent.provenance else {}
    origin = {"parent": parent.fingerprint, "parent_name": parent.name, "parent_provenance": parent.provenance}
    provenance = {**origin, "rule": dict(rule), "mien": __version__, **known, **notes}
    return info.model_copy(update={"provenance": provenance})


def _table(taken: pa.Table, rows: NDArray[np.int64], columns: Mapping[str, Any]) -> pa.Table:
    group = np.asarray(columns.get("group", taken.column("group").to_numpy()))
    replaced = {"row": np.arange(len(rows), dtype=np.int64), "parent_row": rows, **columns, "group": tidied(group)}
    for name, values in replaced.items():
        column = pa.array(values.tolist() if np.asarray(values).dtype.kind == "U" else values)
        place = taken.schema.get_field_index(name)
        if place < 0:
            taken = taken.append_column(name, column)
        else:
            taken = taken.set_column(place, name, column.cast(taken.schema.field(place).type))
    return taken


def _copy_pixels(parent: Dataset, rows: NDArray[np.int64], path: Path, progress: Progress | None) -> None:
    with PixelFile(path, parent.images.shape[1:]) as file:
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            file.append(parent.images[rows[first : first + _ROWS_AT_ONCE]])
            if progress is not None:
                progress(file.count, len(rows))
