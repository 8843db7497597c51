"""What lists and tables have in common: which files of a folder they are, and the pictures that they name."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mien.core.labels import is_expression
from mien.core.picture import SUFFIXES
from mien.data.dataset import SPLITS
from mien.data.formats.base import Entry, Notes
from mien.data.formats.overlap import Pair, joined
from mien.data.formats.pictures import MISSING, file_at, pictures_under, some_pictures
from mien.data.split import split_in

_TWICE = "{} files have this name: say in which folder"
_ENDINGS = (*SUFFIXES, *map(str.upper, SUFFIXES))
# What files with a model's answers are called, such as those that `mien predict --submission` writes.
_ANSWERS = re.compile("submission|prediction|answers", re.IGNORECASE)


def parts_at(path: Path, is_part: Callable[[Path], object], notes: Notes | None = None) -> list[Path]:
    """The lists or tables at `path`, train before val before test.

    In a folder, files called as answers of a model are left out: their labels are not the truth.
    """
    found = [file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if is_part(file)]
    answers = [file for file in found if file != path and _ANSWERS.search(file.stem)]
    if answers and notes is not None:
        names = ", ".join(file.name for file in answers)
        notes.add(f"left out as answers of a model, by their names: {names}; to read one, name the file itself")
    order = {split: i for i, split in enumerate(SPLITS)}
    return sorted((f for f in found if f not in answers), key=lambda f: order.get(split_in(f.stem) or "", -1))


def pictures_of(path: Path, rows: Mapping[str, list[tuple[Entry, str]]], notes: Notes) -> list[Pair]:
    """The entries of the lists or tables at `path`, each with the picture that its name means, or why there is none.

    Args:
        path: one list or table, or a folder of them.
        rows: by the name of the file, the entries with the name of a picture each.
        notes: that what was decided is added to.
    """
    root = path if path.is_dir() else path.parent
    places = located(root, [name for part in rows.values() for _, name in part], notes)
    if path.is_dir():
        note_unlisted(root, places, notes)
    place = iter(places)
    return joined({file: [(entry, next(place)) for entry, _ in part] for file, part in rows.items()}, notes)


def located(root: Path, names: list[str], notes: Notes) -> list[Path | str]:
    """The pictures that lists or tables mean by `names`, or why they cannot be told.

    They are found by path, else by name or stem anywhere under the folder, by the end of their path where several are
    called so. A path that leads nowhere is only taken for a name where none leads anywhere: the lists are of another
    place then. Else its file is missing, and another of that name may be anybody's.
    """
    places = [_at(root, name) for name in names]
    if MISSING not in places:
        return places
    plain = [PurePosixPath(name.replace("\\", "/")) for name in names]
    has_folder = [len(name.parts) > 1 for name in plain]
    elsewhere = not any(folder and isinstance(place, Path) for folder, place in zip(has_folder, places, strict=True))
    tails = _tails(root)
    by_name = by_end = 0
    for i, place in enumerate(places):
        if place == MISSING and (elsewhere or not has_folder[i]):
            places[i], shared = _meant(tails, plain[i].parts)
            by_name += isinstance(places[i], Path) and shared == 1
            by_end += isinstance(places[i], Path) and shared > 1
    if by_end:
        notes.add(f"{by_end:,} pictures found by the ends of their paths")
    if by_name:
        notes.add(f"{by_name:,} pictures found by their names alone, whatever the folder")
    return places


def _at(root: Path, name: str) -> Path | str:
    """The file of this path, with or without its suffix, or why there is none."""
    direct = file_at(root, name)
    if direct.is_file() if isinstance(direct, Path) else direct != MISSING:
        return direct
    plain = PurePosixPath(name.replace("\\", "/"))
    with_suffix = (file_at(root, f"{plain}{ending}") for ending in _ENDINGS)
    return next((path for path in with_suffix if isinstance(path, Path) and path.is_file()), MISSING)


def _tails(root: Path) -> Mapping[str, list[Path]]:
    """The pictures under a folder by each end of their paths, with and without the suffix."""
    tails: dict[str, list[Path]] = defaultdict(list)
    for file in pictures_under(root):
        for path in (PurePosixPath(file), PurePosixPath(file).with_suffix("")):
            for first in range(len(path.parts)):
                tails["/".join(path.parts[first:])].append(root / file)
    return tails


def _meant(tails: Mapping[str, list[Path]], parts: Sequence[str]) -> tuple[Path | str, int]:
    """The one picture with the longest end of a path in common, or why there is none, and how long that end is."""
    for first in range(len(parts)):
        found = tails.get("/".join(parts[first:]), [])
        if found:
            return found[0] if len(found) == 1 else _TWICE.format(len(found)), len(parts) - first
    return MISSING, 0


def note_unlisted(root: Path, places: list[Path | str], notes: Notes) -> None:
    """Say how many pictures of a folder are in none of its lists or tables.

    It is a warning where all in a folder called like an expression are: then the folders may be the classes.
    """
    listed = {os.path.normpath(place) for place in places if isinstance(place, Path)}
    missed: dict[bool, list[str]] = {True: [], False: []}
    for file in some_pictures(root, None):
        missed[os.path.normpath(root / file) not in listed].append(file)
    if not missed[True]:
        return
    folders, known = ({PurePosixPath(file).parent for file in missed[key]} for key in (True, False))
    classes = sorted({folder.name for folder in folders - known if is_expression(folder.name)})
    said = f"{len(missed[True]):,} pictures in the folder are in no list or table: left out"
    if classes:
        said = f"WARNING: {said}, all in folders {', '.join(classes)} among them; --format folders reads class folders"
    notes.add(said)
