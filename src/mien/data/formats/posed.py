"""KDEF and JAFFE: posed faces whose file names say who shows what. Folders around them do not matter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mien.data.formats import subjects
from mien.data.formats.base import Entry, Names, Notes, not_this_format
from mien.data.formats.pictures import PictureReading, all_pictures, from_files, some_pictures
from mien.data.split import split_of

_SAMPLE = 200
_ANGLES = {"S": "straight", "HL": "half left", "HR": "half right", "FL": "full left", "FR": "full right"}


@dataclass(frozen=True)
class PosedFaces:
    """One such set as mien registers it.

    Attributes:
        pattern: of file names, with the groups `subject` and `expression`.
        expressions: class names by the code in the file name, in the order of their ids.
    """

    name: str
    about: str
    pattern: re.Pattern[str]
    expressions: Mapping[str, str] = field(hash=False)

    def sniff(self, path: Path) -> bool:
        return path.is_dir() and subjects.mostly(self.pattern, some_pictures(path, _SAMPLE))

    def read(self, path: Path) -> PictureReading:
        links = Notes()
        files = all_pictures(path, links) if path.is_dir() else []
        if not any(self.pattern.match(subjects.base_name(file)) for file in files):
            raise not_this_format(path, self.name, f"no picture named as in {self.about}")
        pairs = [self._entry(row, file, path) for row, file in enumerate(files)]
        entries = [entry for entry, _ in pairs]
        names = Names(self.expressions, f"the codes in {self.about}")
        reading = from_files(entries, [place for _, place in pairs], root=path, names=names)
        reading.notes = Notes([*self._remarks(entries), *links.lines])
        return reading

    def _entry(self, row: int, file: str, root: Path) -> tuple[Entry, Path | str]:
        """An entry and where its picture is, or why it is none."""
        split = next((found for part in PurePosixPath(file).parts[:-1] if (found := split_of(part))), None)
        match = self.pattern.match(subjects.base_name(file))
        if match is None:
            return Entry(row, file, None, split), f"not named as in {self.about}"
        who, what = match["subject"].upper(), match["expression"].upper()
        return Entry(row, file, what, split, subject=who), root / file

    def _remarks(self, entries: list[Entry]) -> Iterator[str]:
        people = {entry.subject for entry in entries if entry.subject}
        yield f"{len(people):,} people told apart by the names of the files"
        if "angle" in self.pattern.groupindex:
            matches = (self.pattern.match(subjects.base_name(entry.source)) for entry in entries)
            angles = Counter(match["angle"].upper() for match in matches if match)
            told = ", ".join(f"{_ANGLES[code]} {count:,}" for code, count in angles.most_common())
            yield f"all angles are taken: {told}"


# Both in the order and spelling of FER2013's classes, so that models trained on one set fit the others as they are.
KDEF = PosedFaces(
    "kdef",
    "KDEF's files (AF01ANS.JPG)",
    subjects.KDEF,
    {"AN": "angry", "DI": "disgust", "AF": "fear", "HA": "happy", "SA": "sad", "SU": "surprise", "NE": "neutral"},
)
JAFFE = PosedFaces(
    "jaffe",
    "JAFFE's files (KA.AN1.39.tiff)",
    subjects.JAFFE,
    {"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "SA": "sad", "SU": "surprise", "NE": "neutral"},
)
