"""Exporting: a packed data set in any of the formats that can be imported."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.data.dataset import Dataset
from mien.data.formats import writer
from mien.data.formats.base import Progress

# Tells an export from a folder that somebody else filled, which --force must not delete.
MARK = ".mien-export"
_FILE_SUFFIXES = (".csv", ".txt", ".tfrecord", ".png")


def export_data(
    dataset: Dataset, out: Path, form: str, *, force: bool = False, progress: Progress | None = None
) -> None:
    """Write `dataset` into the folder `out`, which appears complete or not at all.

    Raises:
        MienError: no such format, or it is only read; it cannot hold this set; or `out` exists, unless `force` is given
            and it is an earlier export.
    """
    written = writer(form)
    check_target(out, force=force)
    with atomic_folder(out) as folder:
        written.write(dataset, folder, progress=progress)
        (folder / MARK).write_text(f"{written.name}\n", encoding="utf-8")


def check_target(out: Path, *, force: bool) -> None:
    """Raise MienError unless `out` is free, or is an earlier export that `force` allows to replace."""
    if out.suffix.lower() in _FILE_SUFFIXES:
        raise MienError(f"--out {out}: a data set is written as a folder", hint=f"--out {out.with_suffix('')}")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MARK).is_file():
        raise MienError(f"{out} exists and was not written by mien", hint="choose another --out")
    if not force:
        raise MienError(f"{out} exists", hint="choose another --out, or replace it with --force")
