"""Exporting: a packed data set in any of the formats that can be imported."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.data.dataset import Dataset
from mien.data.formats import writer
from mien.data.formats.base import Progress
from mien.data.target import MARK, check_replaced

_FILE_SUFFIXES = (".csv", ".txt", ".tfrecord", ".png")


def export_data(
    dataset: Dataset, out: Path, form: str, *, force: bool = False, progress: Progress | None = None
) -> None:
    """Write `dataset` into the folder `out`, which appears complete or not at all.

    Raises:
        MienError: no such format, or it is only read; it cannot hold this set; or `out` exists, unless `force` is given
            and it is an earlier export with nothing else in it.
    """
    written = writer(form)
    check_target(out, force=force, source=dataset.path)
    with atomic_folder(out) as folder:
        written.write(dataset, folder, progress=progress)
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        (folder / MARK).write_text("\n".join([written.name, *files, ""]), encoding="utf-8")


def check_target(out: Path, *, force: bool, source: Path | None = None) -> None:
    """Raise MienError unless `out` is free, or is an earlier export that `force` allows to replace.

    It may hold neither the set that is exported (`source`) nor files that the export did not write.
    """
    if out.suffix.lower() in _FILE_SUFFIXES:
        raise MienError(f"--out {out}: a data set is written as a folder", hint=f"--out {out.with_suffix('')}")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MARK).is_file():
        raise MienError(f"{out} exists and was not written by mien", hint="choose another --out")
    if not force:
        raise MienError(f"{out} exists", hint="choose another --out, or replace it with --force")
    written = {f"/{line}" for line in (out / MARK).read_text(encoding="utf-8").split("\n")[1:]}
    inputs = [] if source is None else [source]
    check_replaced(out, "its export noted", own=lambda file: str(file) in written, inputs=inputs)
