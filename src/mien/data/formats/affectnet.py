"""AffectNet (arXiv 1708.03985): the old tables with face boxes, and the newer folders with an npy file a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.data.formats.base import Entry, Names, Notes, not_this_format
from mien.data.formats.csv_rows import header_of, table_rows
from mien.data.formats.pictures import LeftOut, PictureReading, file_at, from_files, is_picture
from mien.data.split import split_in

# In the order of FER+'s eight expressions, as CK+, so that models trained on one set fit the other.
_CODES = {
    "0": "neutral",
    "1": "happiness",
    "3": "surprise",
    "2": "sadness",
    "6": "anger",
    "5": "disgust",
    "4": "fear",
    "7": "contempt",
}
_NAMES = Names(_CODES, "the codes of AffectNet")
_NO_EXPRESSION = {"8": "none of the expressions", "9": "uncertain", "10": "no face"}
_FILE, _LABEL = "subdirectory_filepath", "expression"
_BOX = ("face_x", "face_y", "face_width", "face_height")
# Read from a folder in this order; what a net labelled (automatically_annotated.csv) only when it is asked for.
_TABLES = ("training.csv", "validation.csv")
_PICTURES = ("", "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images",
             "Automatically_Annotated_Images", "Automatically_Annotated/Automatically_Annotated_Images")  # fmt: skip
_SAMPLE = 50  # pictures that are looked for, to find their folder


class Box(NamedTuple):
    """A face in a picture, in px; empty where the table gives none."""

    left: int = 0
    top: int = 0
    width: int = 0
    height: int = 0

    def within(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom inside a picture of this size: all of it when nothing of the box is inside."""
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.left + self.width, width), min(self.top + self.height, height)
        return (left, top, right, bottom) if left < right and top < bottom else (0, 0, width, height)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and {_FILE, _LABEL} <= set(header_of(path))


def _tables_at(path: Path) -> list[Path]:
    """The table that `path` is, or the official ones in it or in its folder of lists."""
    if not path.is_dir():
        return [path] if path.is_file() and _is_table(path) else []
    folders = (path, path / "Manually_Annotated_file_lists", path / "Manually_Annotated" / "file_lists")
    found = ([f / name for name in _TABLES if _is_table(f / name)] for f in folders)
    return next((tables for tables in found if tables), [])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table by the names of its columns in lower case."""
    rows = table_rows(path)
    header = [name.strip().lower() for name in next(rows)]
    for cells in rows:
        yield {name: cell.strip() for name, cell in zip(header, cells, strict=False)}


def _box(row: dict[str, str]) -> Box:
    try:
        return Box(*(round(float(row[name])) for name in _BOX))
    except (KeyError, ValueError, OverflowError):
        return Box()


def _picture_root(table: Path) -> Path | None:
    """The folder to which the paths of a table are relative, by looking for its first pictures; None: it has none."""
    taken = (row[_FILE] for row in _rows(table) if row.get(_FILE) and row.get(_LABEL) not in _NO_EXPRESSION)
    sample = list(islice(taken, _SAMPLE))
    if not sample:
        return None
    bases = (table.parent, table.parent.parent)
    places = [base / name for base in bases for name in _PICTURES]
    found = next((p for p in places if any(isinstance(file_at(p, name), Path) for name in sample)), None)
    if found is None:
        hint = f"looked for the first {len(sample)} in {', '.join(str(place) for place in places[:4])} …"
        raise MienError(f"{table}: its pictures, such as {sample[0]}, were not found", hint=hint)
    return found


@dataclass
class _Collected:
    """What the tables hold, row for row."""

    entries: list[Entry]
    paths: list[Path | str]
    boxes: list[Box]
    left_out: list[LeftOut]

    def add(self, table: Path, first: int) -> int:
        """Take the rows of a table, numbered from `first`; how many there are."""
        split, root, count = split_in(table.stem), _picture_root(table), 0
        for count, row in enumerate(_rows(table), start=1):
            number, file, label = first + count - 1, row.get(_FILE, ""), row.get(_LABEL, "")
            source = file or f"{table.name}#{count - 1}"
            if label in _NO_EXPRESSION:
                self.left_out.append(LeftOut(number, source, f"expression {label}: {_NO_EXPRESSION[label]}"))
                continue
            self.entries.append(Entry(number, source, label, split))
            self.paths.append(root / file if root and file else "no file name")
            self.boxes.append(_box(row))
        return count


@dataclass(frozen=True)
class AffectNetTable:
    """The old release as mien registers it."""

    name: str = "affectnet"
    about: str = "AffectNet's tables: subDirectory_filePath, face box, expression"

    def sniff(self, path: Path) -> bool:
        return bool(_tables_at(path))

    def read(self, path: Path) -> PictureReading:
        tables = _tables_at(path)
        if not tables:
            raise not_this_format(path, self.name, "no CSV with the columns subDirectory_filePath and expression")
        rows = _Collected([], [], [], [])
        first = 0
        for table in tables:
            first += rows.add(table, first)
        reading = from_files(rows.entries, rows.paths, root=path, names=_NAMES, ordered=True)
        reading.left_out = rows.left_out
        if rows.left_out:
            reading.notes.add(f"{len(rows.left_out):,} rows are none, uncertain or no face (8, 9, 10): left out")
        return _cut_to_faces(reading, rows.boxes)


def _cut_to_faces(reading: PictureReading, boxes: list[Box]) -> PictureReading:
    """The same reading, each picture cut to its face."""
    whole, header = reading.open, reading.peek

    def opened(i: int) -> Image.Image:
        picture = whole(i)
        return picture.crop(boxes[i].within(picture.height, picture.width))

    def peeked(i: int) -> tuple[int, int, int] | None:
        size = header(i)
        if size is None:
            return None
        left, top, right, bottom = boxes[i].within(size[0], size[1])
        return bottom - top, right - left, size[2]

    reading.open, reading.peek = opened, peeked
    if any(box.width > 0 for box in boxes):
        reading.notes.add("pictures cut to the face boxes of the table")
    return reading


def _parts_at(path: Path) -> list[Path]:
    """Folders that hold `images` and `annotations`: `path`, or train_set and val_set in it or one level below."""
    if not path.is_dir():
        return []
    inside = (sorted(path.glob(f"{above}{name}")) for name in ("train_set", "val_set") for above in ("", "*/"))
    return [folder for folder in chain([path], *inside) if _is_part(folder)]


def _is_part(folder: Path) -> bool:
    annotated = folder / "annotations"
    if not (folder / "images").is_dir() or not annotated.is_dir():
        return False
    with os.scandir(annotated) as files:  # a million of them: the first will do
        return any(file.name.endswith("_exp.npy") for file in files)


def _read_code(path: Path) -> str:
    """The expression code in an npy file, which holds a number or its text."""
    try:
        values = np.load(path, allow_pickle=False).reshape(-1)
    except FileNotFoundError:
        raise MienError(f"no annotations/{path.name}") from None
    except (OSError, ValueError, EOFError) as error:
        raise MienError(f"annotations/{path.name} cannot be read ({error})") from None
    if len(values) != 1:
        raise MienError(f"annotations/{path.name} holds {len(values)} values, not one")
    return str(values[0]).strip()


@dataclass(frozen=True)
class AffectNetFiles:
    """The newer release as mien registers it."""

    name: str = "affectnet-npy"
    about: str = "AffectNet's folders: images/0.jpg with annotations/0_exp.npy"

    def sniff(self, path: Path) -> bool:
        return bool(_parts_at(path))

    def read(self, path: Path) -> PictureReading:
        parts = _parts_at(path)
        if not parts:
            raise not_this_format(path, self.name, "no folders images and annotations with *_exp.npy")
        files = [
            (split_in(part.name), file)
            for part in parts
            for file in sorted((part / "images").iterdir(), key=lambda f: (len(f.stem), f.stem))
            if is_picture(file.name)
        ]
        entries = [
            Entry(row, file.relative_to(path).as_posix(), None, split) for row, (split, file) in enumerate(files)
        ]
        codes = [file.parent.parent / "annotations" / f"{file.stem}_exp.npy" for _, file in files]
        reading = from_files(entries, [file for _, file in files], root=path, names=_NAMES)
        reading.label = lambda i: _read_code(codes[i])
        reading.notes = Notes(["labels read from the npy file of each picture"])
        return reading
