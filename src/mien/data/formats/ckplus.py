"""Extended Cohn-Kanade (CK+): the sequences with their emotion files, and the 48×48 CSV that circulates.

In a sequence a face goes from neutral to the peak of an expression. As most papers do, the last three frames take the
sequence's label and the first frame is neutral. Codes are those of the set's ReadMe (Lucey et al. 2010).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mien.core.paths import unreadable
from mien.data.formats import names_file, subjects
from mien.data.formats.base import Entry, Names, Notes, not_this_format
from mien.data.formats.csv_rows import check_utf8, header_of
from mien.data.formats.fercsv import FerCsvReading
from mien.data.formats.pictures import PictureReading, all_pictures, from_files, some_pictures

_NEUTRAL = "0"
# In the order of FER+'s eight expressions, as AffectNet's, so that models trained on one set fit the other.
_CODES = {
    "0": "neutral",
    "5": "happiness",
    "7": "surprise",
    "6": "sadness",
    "1": "anger",
    "3": "disgust",
    "4": "fear",
    "2": "contempt",
}
_PEAK_FRAMES = 3
_SAMPLE = 50
_LABEL_FILES = "*_emotion.txt"


def _label_files(path: Path) -> list[Path]:
    """The emotion files below `path`, or in the folders beside it that the set's archives unpack to."""
    found = sorted(path.rglob(_LABEL_FILES))
    beside = (path.parent / name for name in ("Emotion", "Emotion_labels"))
    return found or [file for folder in beside for file in sorted(folder.rglob(_LABEL_FILES))]


def _sequence(name: str) -> str | None:
    """S005_001 of S005_001_00000011.png or S005_001_00000011_emotion.txt."""
    match = subjects.CKPLUS.match(name)
    return f"{match['subject']}_{match['take']}".upper() if match else None


def _codes(files: list[Path]) -> dict[str, str]:
    """Emotion code by sequence; a file that holds no number keeps its text, which no class is called."""
    codes = {}
    for file in files:
        sequence = _sequence(file.name)
        if sequence is None:
            continue
        try:
            text = file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise unreadable(file, error) from None
        try:
            codes[sequence] = str(int(float(text)))
        except (ValueError, OverflowError):
            codes[sequence] = text[:20] or "(empty)"
    return codes


def _labelled(frames: list[str], code: str) -> list[tuple[str, str]]:
    """Frames of one sequence in order, with their codes: the first neutral, the last ones at the peak."""
    peak = frames[max(len(frames) - _PEAK_FRAMES, 1) :] or frames
    start = [(frames[0], _NEUTRAL)] if len(frames) > 1 else []
    return start + [(frame, code) for frame in peak]


@dataclass(frozen=True)
class CkPlus:
    """The sequences as mien registers them."""

    name: str = "ckplus"
    about: str = "CK+: sequences S005/001/*.png with Emotion/S005/001/*_emotion.txt"

    def sniff(self, path: Path) -> bool:
        looks_so = path.is_dir() and subjects.mostly(subjects.CKPLUS, some_pictures(path, _SAMPLE))
        return looks_so and bool(_label_files(path))

    def read(self, path: Path) -> PictureReading:
        codes = _codes(_label_files(path)) if path.is_dir() else {}
        frames: dict[str, list[str]] = defaultdict(list)
        links = Notes()
        for file in all_pictures(path, links) if codes else []:
            sequence = _sequence(subjects.base_name(file))
            if sequence is not None:
                frames[sequence].append(file)
        known = [sequence for sequence in frames if sequence in codes]
        if not known:
            raise not_this_format(path, self.name, "no sequence of pictures with an emotion file")
        taken = [pair for sequence in known for pair in _labelled(frames[sequence], codes[sequence])]
        entries = [
            Entry(row, file, code, None, subject=subjects.base_name(file)[:4].upper())
            for row, (file, code) in enumerate(taken)
        ]
        names = Names(_CODES, "the codes of CK+")
        reading = from_files(entries, [path / file for file, _ in taken], root=path, names=names)
        reading.notes = _notes(len(known), len(frames) - len(known), {entry.subject for entry in entries})
        reading.notes.lines += links.lines
        return reading


def _notes(labelled: int, others: int, people: set[str | None]) -> Notes:
    what = f"the last {_PEAK_FRAMES} frames take its label, the first is neutral"
    left = f"; {others:,} sequences have no label and are left out" if others else ""
    return Notes([f"{labelled:,} sequences of {len(people):,} people; of each {what}{left}"])


@dataclass(frozen=True)
class CkCsv:
    """`ckextended.csv`: 48×48 faces of CK+ with FER2013's columns and ids, and contempt as the eighth class."""

    name: str = "ckextended"
    about: str = "CK+ as ckextended.csv, FER2013's columns with contempt as 7"
    file_name: str = "ckextended.csv"

    def sniff(self, path: Path) -> bool:
        return self._file(path) is not None

    def _file(self, path: Path) -> Path | None:
        file = path / self.file_name if path.is_dir() else path
        return file if file.name.lower() == self.file_name and "pixels" in header_of(file) else None

    def read(self, path: Path) -> FerCsvReading:
        file = self._file(path) or path
        if not file.is_file() or "pixels" not in header_of(file):
            raise not_this_format(path, self.name, "no CSV file with a column named pixels")
        check_utf8(file)
        words = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
        default = Names({str(i): name for i, name in enumerate(words)}, "the ids of ckextended.csv")
        reading = FerCsvReading([file], names_file.beside(file) or default)
        reading.notes.add("the file does not say who is shown: its splits share people")
        return reading
