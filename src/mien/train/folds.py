"""Folds for cross-validation: stratified by label, with copies and people kept together, and kept in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.data.dataset import Dataset
from mien.data.expand import changed_copies
from mien.data.redivide import FOLD, OUTSIDE, with_people
from mien.data.regroup import groups
from mien.data.split import divide

FILE = "folds.parquet"
Folds = np.ndarray[tuple[int], np.dtype[np.int64]]
_DATA = "data"  # in the file's metadata: the fingerprint of the set that it divides


def with_folds(
    data: Dataset, folder: Path, folds: int, *, seed: int, write: bool = True, anew: bool = False
) -> Dataset:
    """The set with the column `fold`, as `data.redivide.take_fold` reads it: train and val divided, −1 in test.

    Folds that the set has already are taken, as are those in `folder`, where new ones are written; `anew` divides
    whatever is in `folder`.

    Raises:
        MienError: a class has fewer pictures than there are folds, the set's own folds or those in `folder` are another
            number, or these are of another set or damaged.
    """
    if FOLD in data.table.column_names and (data.column(FOLD) != OUTSIDE).any():
        own = int(data.column(FOLD).max()) + 1
        if own != folds:
            raise MienError(f"{data.path}: it is divided into {own} folds, not {folds}", hint=f"--folds {own}")
        return data
    path = folder / FILE
    if path.is_file() and not anew:
        fold = _read(path, data, folds)
    else:
        fold = _divided(data, folds, seed=seed)
        if write:
            with atomic_path(path) as temporary:
                table = pa.table({"row": np.arange(len(data)), FOLD: fold})
                pq.write_table(table.replace_schema_metadata({_DATA: data.info.fingerprint}), temporary)
    names = data.table.column_names
    parted = data.table.drop_columns([FOLD]) if FOLD in names else data.table
    return replace(data, table=parted.append_column(FOLD, pa.array(fold)))


def _read(path: Path, data: Dataset, folds: int) -> Folds:
    """The folds that were written before. Raises MienError when they are of another set or number, or damaged."""
    try:
        table = pq.read_table(path)
        fold = np.asarray(table.column(FOLD).to_numpy(), np.int64)
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise MienError(f"{path}: damaged ({error})", hint="choose another --out") from None
    # Files of earlier versions do not say of which set they are.
    whose = (table.schema.metadata or {}).get(_DATA.encode(), data.info.fingerprint.encode()).decode()
    fits = whose == data.info.fingerprint and len(fold) == len(data)
    if not fits or not np.array_equal(fold == OUTSIDE, data.split == "test"):
        raise MienError(f"{path}: divides another set than {data.path}", hint="choose another --out")
    if (own := int(fold.max()) + 1) != folds:
        raise MienError(f"{path}: divides into {own} folds, not {folds}", hint=f"--folds {own}, or another --out")
    return fold


def _divided(data: Dataset, folds: int, *, seed: int) -> Folds:
    free = data.split != "test"
    counted = free & (data.label >= 0) & ~changed_copies(data)  # which are only trained on
    counts = np.bincount(data.label[counted], minlength=len(data.labels))
    if (scarce := counts[counts > 0]).size and scarce.min() < folds:
        name = data.labels.names[int(np.flatnonzero(counts == scarce.min())[0])]
        raise MienError(f"{name} has {scarce.min()} pictures, too few for {folds} folds", hint="fewer folds")
    together = with_people(groups(data), data.subject)
    fold = np.full(len(data), OUTSIDE, np.int64)
    fold[free] = divide(data.label[free], together[free], [1] * folds, seed=seed)
    return fold
