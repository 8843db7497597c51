"""Folders that data sets are written to: what may be replaced there, and what outlives a replacement."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.data.corrections import FILE_NAME as CORRECTIONS

AUDIT = "audit"  # folder of an audit inside the packed set, if it was not told otherwise
SHOW = "show"  # folder of its charts and sheets, likewise
# The decisions that people made on labels: those on pictures that were gone lie in one more file.
_KEPT = f"/{AUDIT}/{CORRECTIONS}*"
# Tells an export from a folder that somebody else filled, which --force must not delete: the name of the format, then
# a line for each file that was written.
MARK = ".mien-export"
# What mien itself puts into the folder of a packed set, and therefore may take away with it.
_OWN = (
    *("/images.npy", "/manifest.parquet", "/dataset.json", "/rejects.csv", _KEPT),
    *(f"/{AUDIT}/{name}" for name in ("audit.json", "report.html", "findings/*.parquet")),
    *(f"/{AUDIT}/nets/{name}" for name in ("crossval.json", "fold-*.npy")),
    *(f"/{SHOW}/{name}" for name in ("counts.png", "samples.png", "fed.png")),
)


def is_written(files: Collection[str]) -> bool:
    """Whether a folder that holds these files is a packed set or an export of mien."""
    return MARK in files or ("dataset.json" in files and "manifest.parquet" in files)


def check_target(out: Path, *, force: bool, inputs: Sequence[Path | None] = ()) -> None:
    """Raise MienError unless `out` is free, or is a packed data set that `force` allows to replace.

    A replaced folder goes with all that is in it, so it may hold nothing but the set, its audit and its pictures:
    neither anything that is read to make the new one (`inputs`) nor files of the user's.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "dataset.json").is_file():
        raise MienError(f"{out} exists and is not a packed data set", hint="choose another --out")
    if not force:
        raise MienError(f"{out} exists", hint="choose another --out, or replace it with --force")
    lost = [path for path in inputs if path is not None and not _is_kept(path, out)]
    check_replaced(out, "a data set", own=lambda file: any(map(file.match, _OWN)), inputs=lost)


def check_replaced(out: Path, what: str, *, own: Callable[[PurePosixPath], bool], inputs: Sequence[Path]) -> None:
    """Raise MienError where replacing the folder `out` would delete anything but what mien has written there.

    Hidden files, which desktops leave everywhere, and what killed writers have left are nobody's.

    Args:
        out: a folder.
        what: it holds, in words.
        own: tells whether mien has written a file, by its path from `out`, such as `/train/1.png`.
        inputs: what is read to make the new one.
    """
    for path in inputs:
        if path.resolve().is_relative_to(out.resolve()):
            raise MienError(f"{path} lies in {out}, which --force would delete", hint="choose another --out")
    files = (_inside(path, out) for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    strange = sorted(str(file)[1:] for file in files if not own(file) and not _is_nobodys(file))
    if strange:
        more = f" and {len(strange) - 3:,} more" if len(strange) > 3 else ""
        raise MienError(
            f"{out} holds more than {what}, which --force would delete: {', '.join(strange[:3])}{more}",
            hint="move them, or choose another --out",
        )


def _inside(path: Path, out: Path) -> PurePosixPath:
    return PurePosixPath("/", path.relative_to(out).as_posix())


def _is_nobodys(file: PurePosixPath) -> bool:
    left = (part.startswith(".") and part.endswith((".old", ".tmp")) for part in file.parts)
    return file.name.startswith(".") or any(left)


def _is_kept(path: Path, out: Path) -> bool:
    """Whether `path` outlives a replacement of `out`, as corrections do in the place that an audit writes them to."""
    path, out = path.resolve(), out.resolve()
    return path.is_relative_to(out) and _inside(path, out).match(_KEPT)


@contextmanager
def packed_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `out` on success, with the decisions that people made on labels."""
    with atomic_folder(out) as folder:
        yield folder
        for decisions in out.glob(_KEPT[1:]):
            (folder / AUDIT).mkdir(exist_ok=True)
            shutil.copy2(decisions, folder / AUDIT / decisions.name)
