"""Class folders: `angry/1.png`, with or without split folders around or inside them, in any case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.core.errors import MienError
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.base import Entry, Notes, Progress, not_this_format
from mien.data.formats.pictures import PictureReading, file_names, from_files, pictures_under, write_pngs
from mien.data.formats.subjects import with_subjects
from mien.data.split import USAGE, split_of
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import write_votes


@dataclass(frozen=True)
class Layout:
    """What the levels of a folder tree mean: the level of split names (None: there is none) and that of classes."""

    split_level: int | None
    class_level: int

    @classmethod
    def of(cls, folders: set[tuple[str, ...]]) -> Layout:
        """Find the levels from all folders that hold pictures.

        A level holds splits when all its names are splits, or when two different splits are among them (a class
        may be called "train"). Levels above the classes with a single name are wrappers.
        """
        depth = max(map(len, folders))
        names = [{parts[level] for parts in folders if len(parts) > level} for level in range(depth)]
        split_level = next((i for i, found in enumerate(names) if _are_splits(found)), None)
        levels = [i for i in range(depth) if i != split_level]
        while len(levels) > 1 and len(names[levels[0]]) == 1:
            levels.pop(0)
        return cls(split_level, levels[0] if levels else depth)

    def split_and_class(self, parts: tuple[str, ...]) -> tuple[str | None, str | None]:
        """Split and class of a picture in the folder `parts`."""
        split = None
        if self.split_level is not None and len(parts) > self.split_level:
            split = split_of(parts[self.split_level]) or parts[self.split_level]
        return split, parts[self.class_level] if len(parts) > self.class_level else None


def _are_splits(names: set[str]) -> bool:
    splits = {split_of(name) for name in names} - {None}
    return len(splits) > 1 or (len(splits) == 1 and all(split_of(name) for name in names))


def _official_split(name: str) -> str | None:
    """The split that Kaggle's FER2013 folders keep in the file name, such as `PublicTest_31378.png`."""
    prefix, underscore, _ = name.partition("_")
    return split_of(prefix) if underscore and prefix in USAGE.values() else None


def _entries(files: list[str], notes: Notes) -> list[Entry]:
    """Entries in the order: split, class, file name. Pictures outside any folder are left out."""
    parts = {file: PurePosixPath(file).parts for file in files}
    inside = [file for file in files if len(parts[file]) > 1]
    if len(inside) < len(files):
        notes.add(f"{len(files) - len(inside):,} pictures outside any folder were left out")
    layout = Layout.of({parts[file][:-1] for file in inside})
    official = {file: _official_split(parts[file][-1]) for file in inside}
    by_name = all(official.values())
    if by_name:
        notes.add("splits taken from the file names (Training_, PublicTest_, PrivateTest_), which keep FER2013's own")
    found = []
    for file in inside:
        split, label = layout.split_and_class(parts[file][:-1])
        found.append((official[file] if by_name else split, label, file))
    order = {split: i for i, split in enumerate(SPLITS)}
    found.sort(key=lambda item: (order.get(item[0] or "", 9), item[1] or "", item[2]))
    return [Entry(row, file, label, split) for row, (split, label, file) in enumerate(found)]


@dataclass(frozen=True)
class Folders:
    """The format as mien registers it."""

    name: str = "folders"
    about: str = "a folder for each class, with or without split folders"

    def sniff(self, path: Path) -> bool:
        return path.is_dir() and any("/" in file for file in pictures_under(path))

    def read(self, path: Path) -> PictureReading:
        files = list(pictures_under(path)) if path.is_dir() else []
        if not any("/" in file for file in files):
            raise not_this_format(path, self.name, "no folder with pictures in it")
        notes = Notes()
        entries = with_subjects(_entries(files, notes), notes)
        names = names_file.beside(path)
        if names is not None:
            names = names.for_words({entry.label for entry in entries if entry.label})
        reading = from_files(entries, [path / entry.source for entry in entries], root=path, names=names)
        reading.notes = notes
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
