"""The formats that mien reads and writes, and how it recognises them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mien.core.errors import MienError, unknown_name
from mien.data.formats.affectnet import AffectNetFiles, AffectNetTable
from mien.data.formats.base import Format, WrittenFormat
from mien.data.formats.ckplus import CkCsv, CkPlus
from mien.data.formats.csv_rows import TABLE_SUFFIXES, header_of
from mien.data.formats.fercsv import LAYOUTS
from mien.data.formats.folders import Folders
from mien.data.formats.lists import Lists
from mien.data.formats.pictures import is_picture, some_names
from mien.data.formats.posed import JAFFE, KDEF
from mien.data.formats.rafdb import RafDb
from mien.data.formats.tables import Tables
from mien.data.formats.tfrecord import TfRecord

# Other sets' own layouts. They come first: each is also a list, a table or folders, which would not know its codes.
SETS: tuple[Format, ...] = (RafDb(), AffectNetTable(), AffectNetFiles(), CkCsv(), CkPlus(), KDEF, JAFFE)
WRITTEN: tuple[WrittenFormat, ...] = (*LAYOUTS, TfRecord(), Lists(), Tables(), Folders())
# In the order in which they are tried.
FORMATS: tuple[Format, ...] = (*SETS, *WRITTEN)

_LONGEST_NAME = 30
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


def by_name(name: str) -> Format:
    """A format by its name. Raises MienError with the nearest name otherwise."""
    found = next((form for form in FORMATS if form.name == name), None)
    if found is None:
        raise unknown_name("format", name, [form.name for form in FORMATS])
    return found


def writer(name: str) -> WrittenFormat:
    """A format that can be written, by its name. Raises MienError otherwise."""
    found = next((form for form in WRITTEN if form.name == name), None)
    if found is None and any(form.name == name for form in SETS):
        raise MienError(f"the layout {name!r} is only read", hint=f"--to {', '.join(form.name for form in WRITTEN)}")
    if found is None:
        raise unknown_name("format", name, [form.name for form in WRITTEN])
    return found


def recognise(path: Path) -> Format:
    """The format of a file or folder.

    Raises:
        MienError: none fits, or the folder is already a packed data set.
    """
    if (path / "dataset.json").is_file():
        raise MienError(f"{path}: already a packed data set", hint="use it as it is, or `mien data export` it")
    for form in FORMATS:
        if form.sniff(path):
            return form
    raise _unknown(path)


def _unknown(path: Path) -> MienError:
    """Why a file or folder is of no known format, where that can be told, else what the formats are."""
    known = "; ".join(f"{form.name} ({form.about})" for form in FORMATS)
    names = header_of(path) if path.suffix.lower() in TABLE_SUFFIXES else []
    columns = ", ".join(map(_cut, names[:8]))
    if any(name.replace(" ", "").isdecimal() for name in names):  # FER2013's rows without the line above them
        return MienError(
            f"{path}: its first line holds data ({columns}), not names of columns",
            hint="put such a line above it, of FER2013: emotion,pixels,Usage",
        )
    seen = f" (its columns are {columns})" if columns else ""
    return MienError(f"{path}: no known data format{seen}", hint=_way_out(path) or f"known formats: {known}")


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _way_out(path: Path) -> str:
    """What to do about a set that is in a folder, an archive, or links to folders; empty for anything else."""
    inside = [item for item in sorted(path.iterdir()) if not is_picture(item.name)] if path.is_dir() else [path]
    for item in inside:
        with suppress(OSError, MienError):  # what cannot be read is not what was meant
            if (item / "dataset.json").is_file():
                return f"{item} is a packed data set: use that"
            form = None if item.is_symlink() else next((form for form in FORMATS if form.sniff(item)), None)
            if form is not None:
                return f"{item} looks like {form.name}: import that"
    if path.is_dir() and not any(path.iterdir()):
        return "the folder is empty"
    archive = next((item.name for item in inside if item.name.lower().endswith(_ARCHIVES) and item.is_file()), None)
    if archive is not None:
        return f"unpack {archive} first"
    links = [item.name for item in inside if item.is_symlink() and item.is_dir()]
    return f"links to folders are not followed: {some_names(links)}" if links else ""
