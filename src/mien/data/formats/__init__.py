"""The formats that mien reads and writes, and how it recognises them."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError, unknown_name
from mien.data.formats.affectnet import AffectNetFiles, AffectNetTable
from mien.data.formats.base import Format, WrittenFormat
from mien.data.formats.ckplus import CkCsv, CkPlus
from mien.data.formats.csv_rows import header_of
from mien.data.formats.fercsv import LAYOUTS
from mien.data.formats.folders import Folders
from mien.data.formats.lists import Lists
from mien.data.formats.posed import JAFFE, KDEF
from mien.data.formats.rafdb import RafDb
from mien.data.formats.tables import Tables
from mien.data.formats.tfrecord import TfRecord

# Other sets' own layouts. They come first: each is also a list, a table or folders, which would not know its codes.
SETS: tuple[Format, ...] = (RafDb(), AffectNetTable(), AffectNetFiles(), CkCsv(), CkPlus(), KDEF, JAFFE)
WRITTEN: tuple[WrittenFormat, ...] = (*LAYOUTS, TfRecord(), Lists(), Tables(), Folders())
# In the order in which they are tried.
FORMATS: tuple[Format, ...] = (*SETS, *WRITTEN)


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
    known = "; ".join(f"{form.name} ({form.about})" for form in FORMATS)
    columns = ", ".join(header_of(path)[:8]) if path.suffix.lower() == ".csv" else ""
    seen = f" (its columns are {columns})" if columns else ""
    raise MienError(f"{path}: no known data format{seen}", hint=f"known formats: {known}")
