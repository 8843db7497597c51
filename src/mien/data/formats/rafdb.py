"""RAF-DB: `EmoLabel/list_patition_label.txt` with the pictures in `Image/aligned`, and the mirror in class folders.

Labels are numbers from 1; the basic set has seven, the compound set eleven (Li, Deng & Du, CVPR 2017).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mien.core.errors import MienError
from mien.core.paths import unreadable
from mien.data.codes import is_number
from mien.data.formats.base import Entry, Names, Notes, not_this_format
from mien.data.formats.pictures import PictureReading, all_pictures, file_at, from_files, some_pictures

LIST = "list_patition_label.txt"  # the authors' spelling
# In the order and spelling of FER2013's classes, so that models trained on one set fit the other.
_BASIC = {"6": "angry", "3": "disgust", "2": "fear", "4": "happy", "5": "sad", "1": "surprise", "7": "neutral"}
_COMPOUND = (
    *("happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted"),
    *("fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised"),
)
_FILE = re.compile(r"(?P<split>train|test)_\d+(?P<aligned>_aligned)?\.", re.IGNORECASE)
_SAMPLE = 50
# Faces before whole photographs; beside the list's folder or beside the list, at last in no folder of their own.
_PICTURES = ("Image/aligned", "aligned", "Image/original", "original", "")


def _list_at(path: Path) -> Path | None:
    """The list file that `path` is, or that is in it or in its usual folders."""
    if path.is_file():
        return path if path.name == LIST else None
    places = (path / LIST, path / "EmoLabel" / LIST, path / "basic" / "EmoLabel" / LIST)
    return next((place for place in places if place.is_file()), None)


def _rows(path: Path) -> list[tuple[str, str]]:
    """File name and label of every line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    cut = [line.split() for line in lines if line.strip()]
    return [(cells[0], cells[-1] if len(cells) > 1 else "") for cells in cut]


def _named(listed: str, extra: str) -> str:
    """The file that a line means, where files add `extra` to the stem that is listed."""
    return f"{Path(listed).stem}{extra}{Path(listed).suffix}"


def _picture_folder(list_file: Path, listed: list[str]) -> tuple[Path, str]:
    """The folder of the pictures and what their names add to the listed stem, by looking for those `listed` first."""
    sample = listed[:_SAMPLE]
    for base in (list_file.parent.parent, list_file.parent):
        for folder in _PICTURES:
            for extra in ("_aligned", ""):
                if any(isinstance(file_at(base / folder, _named(name, extra)), Path) for name in sample):
                    return base / folder, extra
    first, looked = _named(sample[0], "_aligned"), ", ".join(_PICTURES[:-1])
    hint = f"looked for the first {len(sample)} in {looked} and beside the list"
    raise MienError(f"{list_file}: its pictures, such as {first}, were not found", hint=hint)


def _split(name: str) -> str | None:
    match = _FILE.match(name)
    return match["split"].lower() if match else None


def _names(labels: set[str]) -> Names:
    compound = any(is_number(label) and int(label[:9]) > len(_BASIC) for label in labels)
    if not compound:
        return Names(_BASIC, "the codes of RAF-DB")
    return Names({str(i): name for i, name in enumerate(_COMPOUND, start=1)}, "the codes of RAF-DB's compound set")


def _from_list(list_file: Path) -> PictureReading:
    rows = _rows(list_file)
    if not rows:
        raise MienError(f"{list_file}: no pictures listed")
    folder, extra = _picture_folder(list_file, [name for name, _ in rows])
    files = [folder / _named(name, extra) for name, _ in rows]
    entries = [
        Entry(i, PurePosixPath(folder.name, file.name).as_posix(), label, _split(name))
        for i, ((name, label), file) in enumerate(zip(rows, files, strict=True))
    ]
    reading = from_files(entries, [*files], root=list_file, names=_names({label for _, label in rows}), ordered=True)
    if not extra:
        reading.notes.add(f"pictures from {folder.name}: whole photographs, not RAF-DB's aligned faces")
    return reading


def _in_class_folders(path: Path) -> list[str]:
    """A sample of pictures, when all of them are RAF-DB's aligned faces in folders named by a number."""
    sample = some_pictures(path, _SAMPLE) if path.is_dir() else []
    fit = all(
        (match := _FILE.match(file.name)) and match["aligned"] and file.parent.name in _BASIC
        for file in map(PurePosixPath, sample)
    )
    return sample if fit else []


def _from_folders(path: Path) -> PictureReading:
    notes = Notes(["class folders 1 to 7 with RAF-DB's file names"])
    files = all_pictures(path, notes)
    parents = [PurePosixPath(file).parent.name for file in files]
    entries = [
        Entry(row, file, parent, _split(PurePosixPath(file).name))
        for row, (file, parent) in enumerate(zip(files, parents, strict=True))
    ]
    names = Names(_BASIC, "the codes of RAF-DB")
    reading = from_files(entries, [path / file for file in files], root=path, names=names)
    reading.notes = notes
    return reading


@dataclass(frozen=True)
class RafDb:
    """The format as mien registers it."""

    name: str = "raf-db"
    about: str = "RAF-DB: list_patition_label.txt with Image/aligned, or its faces in folders 1 to 7"

    def sniff(self, path: Path) -> bool:
        return _list_at(path) is not None or bool(_in_class_folders(path))

    def read(self, path: Path) -> PictureReading:
        list_file = _list_at(path)
        if list_file is not None:
            return _from_list(list_file)
        if not _in_class_folders(path):
            raise not_this_format(path, self.name, f"no {LIST}, and no train_…_aligned.jpg in folders 1 to 7")
        return _from_folders(path)
