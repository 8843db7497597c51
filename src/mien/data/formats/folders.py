"""Class folders: `angry/1.png`, with or without split folders around or inside them, in any case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.core.errors import MienError
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Notes, Progress, not_this_format, readable
from mien.data.formats.levels import Layout
from mien.data.formats.pictures import (
    LeftOut,
    Passed,
    PictureReading,
    all_pictures,
    file_names,
    from_files,
    pictures_under,
    some_names,
    write_pngs,
)
from mien.data.formats.subjects import with_subjects
from mien.data.split import USAGE, split_of
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import write_votes


def _official_split(name: str) -> str | None:
    """The split that Kaggle's FER2013 folders keep in the file name, such as `PublicTest_31378.png`."""
    prefix, underscore, _ = name.partition("_")
    return split_of(prefix) if underscore and prefix in USAGE.values() else None


@dataclass(frozen=True)
class _Found:
    """Pictures with what their folders say of them, in the order split, class, file name; and what lies beside."""

    entries: list[Entry]
    left_out: list[LeftOut]


def _found(files: list[str], passed: Passed, notes: Notes) -> _Found:
    """Sort out the files. Pictures outside any folder are left out."""
    parts = {file: PurePosixPath(file).parts for file in files}
    inside = [file for file in files if len(parts[file]) > 1]
    if len(inside) < len(files):
        notes.add(f"{len(files) - len(inside):,} pictures outside any folder were left out")
    layout = Layout.of(Counter(parts[file][:-1] for file in inside))
    beside = [file for file in inside if layout.is_beside(parts[file][:-1])]
    taken = sorted(set(inside) - set(beside))
    official = {file: _official_split(parts[file][-1]) for file in taken}
    by_name = all(official.values())
    if by_name:
        notes.add("splits taken from the file names (Training_, PublicTest_, PrivateTest_), which keep FER2013's own")
    found = []
    for file in taken:
        split, label = layout.split_and_class(parts[file][:-1])
        found.append((official[file] if by_name else split, label, file))
    _note_layout(layout, {label for _, label, _ in found if label}, len(beside), notes)
    _note_empty(layout, taken, passed.endings, notes)
    order = {split: i for i, split in enumerate(SPLITS)}
    found.sort(key=lambda item: (order.get(item[0] or "", 9), item[1] or "", item[2]))
    entries = [Entry(row, file, label, split) for row, (split, label, file) in enumerate(found)]
    reason = f"beside the folder of the classes, {'/'.join(layout.wrappers.values())}"
    left_out = [LeftOut(len(entries) + i, readable(file), readable(reason)) for i, file in enumerate(beside)]
    return _Found(entries, left_out)


def _note_layout(layout: Layout, classes: set[str], beside: int, notes: Notes) -> None:
    """Say which folders are the classes, where other folders are around them or expressions are below them."""
    if layout.is_plain and not layout.overlooked:
        return
    level = layout.class_level + 1
    notes.add(f"classes are the folders at level {level}: {some_names(classes, 8)}")
    if layout.overlooked:
        notes.add(f"WARNING: folders below level {level} are called like expressions: {some_names(layout.overlooked)}")
    if beside:
        notes.add(f"{beside:,} pictures in other folders were left out")


def _note_empty(layout: Layout, taken: list[str], endings: Mapping[str, set[str]], notes: Notes) -> None:
    """Say which folders beside those of the classes hold no picture, and how the files in them end."""
    level = layout.class_level + 1
    classes = {parts[:level] for file in taken if len(parts := PurePosixPath(file).parts) > level}
    around = {parts[:-1] for parts in classes}
    empty: dict[str, set[str]] = {}
    for folder, found in endings.items():
        parts = PurePosixPath(folder).parts[:level]
        if len(parts) == level and parts not in classes and parts[:-1] in around:
            empty.setdefault("/".join(parts), set()).update(found)
    told = [
        f"{name} ({', '.join(ending or 'no ending' for ending in sorted(endings)) or 'no files'})"
        for name, endings in empty.items()
    ]
    if told:
        notes.add(f"folders beside the classes without a picture: {some_names(told, 8)}")


@dataclass(frozen=True)
class Folders:
    """The format as mien registers it."""

    name: str = "folders"
    about: str = "a folder for each class, with or without split folders"

    def sniff(self, path: Path) -> bool:
        return path.is_dir() and any("/" in file for file in pictures_under(path))

    def read(self, path: Path) -> PictureReading:
        notes = Notes()
        passed = Passed()
        files = all_pictures(path, notes, passed) if path.is_dir() else []
        if not any("/" in file for file in files):
            raise not_this_format(path, self.name, "no folder with pictures in it")
        found = _found(files, passed, notes)
        entries = with_subjects(found.entries, notes)
        names = names_file.beside(path)
        if names is not None:
            names = names.for_words({entry.label for entry in entries if entry.label})
        reading = from_files(entries, [path / entry.source for entry in entries], root=path, names=names)
        reading.notes, reading.left_out = notes, found.left_out
        return reading

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        """`split/class/00012.png` numbered by row; labels.txt keeps the order of classes. Votes go beside by name."""
        names = dataset.labels.names
        _check_folder_names(names)
        folders = [
            split if label < 0 else f"{split}/{names[label]}"
            for split, label in zip(dataset.split.tolist(), dataset.label.tolist(), strict=True)
        ]
        for folder in set(folders):
            (out / folder).mkdir(parents=True, exist_ok=True)
        files = file_names(len(dataset))
        paths = [f"{folder}/{file}" for folder, file in zip(folders, files, strict=True)]
        write_pngs(dataset, out, files=paths, progress=progress)
        names_file.write_names(out / names_file.FILE_NAMES[0], names)
        if dataset.votes is not None:
            write_votes(out / VOTES_FILE, dataset.votes.tolist(), splits=dataset.split.tolist(), names=files)


def _check_folder_names(names: tuple[str, ...]) -> None:
    for name in names:
        if name.startswith(".") or name.strip() != name or any(c in name for c in '/\\:*?"<>|\0\n'):
            raise MienError(f"the class {name!r} cannot be the name of a folder", hint="export to another format")
