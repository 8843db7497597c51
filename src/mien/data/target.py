"""The folder that a packed data set is written to: what may be replaced there, and what outlives a replacement."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.data.corrections import FILE_NAME as CORRECTIONS

AUDIT = "audit"  # folder of an audit inside the packed set, if it was not told otherwise
SHOW = "show"  # folder of its charts and sheets, likewise
# What mien itself puts into the folder of a packed set, and therefore may take away with it.
_OWN = ("images.npy", "manifest.parquet", "dataset.json", "rejects.csv", AUDIT, SHOW)


def check_target(out: Path, *, force: bool, inputs: Sequence[Path | None] = ()) -> None:
    """Raise MienError unless `out` is free, or is a packed data set that `force` allows to replace.

    A replaced folder goes with all that is in it, so it may hold nothing but the set: neither anything that is read to
    make the new one (`inputs`) nor files of the user's.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "dataset.json").is_file():
        raise MienError(f"{out} exists and is not a packed data set", hint="choose another --out")
    if not force:
        raise MienError(f"{out} exists", hint="choose another --out, or replace it with --force")
    for path in inputs:
        if path is not None and _is_lost(path.resolve(), out.resolve()):
            raise MienError(f"{path} lies in {out}, which --force would delete", hint="choose another --out")
    strange = sorted(path.name for path in out.iterdir() if path.name not in _OWN and not path.name.startswith("."))
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise MienError(
            f"{out} holds more than a data set, which --force would delete: {', '.join(strange[:3])}{more}",
            hint="move them, or choose another --out",
        )


def _is_lost(path: Path, out: Path) -> bool:
    """Whether replacing `out` would delete `path`. Corrections in the place that an audit writes them to are kept."""
    return path.is_relative_to(out) and path != out / AUDIT / CORRECTIONS


@contextmanager
def packed_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `out` on success, with the decisions that people made on labels."""
    with atomic_folder(out) as folder:
        yield folder
        for decisions in (out / AUDIT).glob(f"{CORRECTIONS}*"):  # those on pictures that were gone lie in one more file
            (folder / AUDIT).mkdir(exist_ok=True)
            shutil.copy2(decisions, folder / AUDIT / decisions.name)
