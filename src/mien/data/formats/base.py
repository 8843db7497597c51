"""What every format gives and takes: entries, blocks of decoded pictures, and the protocol of a format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import canonical
from mien.data.codes import is_number, without_point
from mien.data.dataset import Dataset
from mien.data.rejects import Rejects
from mien.data.votes_file import VoteTable

Pixels = NDArray[np.uint8]
# Called with how many pictures are done, and of how many (None: not known).
Progress = Callable[[int, int | None], None]


class Shape(NamedTuple):
    """Height, width and channels (1 or 3) of a picture."""

    height: int
    width: int
    channels: int


class Entry(NamedTuple):
    """One picture of a source, before its label is resolved.

    Attributes:
        row: position in the source, counted from 0, rejected rows included.
        source: where it stands: a path relative to the source, or `file#row`.
        label: the label as the source writes it (a name or a number), or None.
        split: train, val, test, or None where the source does not say.
        votes: FER+ votes in the order of `core.votes.COLUMNS`, or None.
        subject: who is shown, by whatever name the source has for the person, or None.
    """

    row: int
    source: str
    label: str | None
    split: str | None
    votes: tuple[int, ...] | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Block:
    """Decoded pictures (n, H, W) or (n, H, W, 3), an entry each, and whether none of them shows colour."""

    images: Pixels
    entries: list[Entry]
    grey: bool = True


@dataclass(frozen=True)
class Names:
    """Class names by the token that stands for them in the source, in the order of their ids."""

    by_token: Mapping[str, str]
    origin: str

    def for_words(self, tokens: Iterable[str]) -> Names:
        """These names for a source that writes words: when all `tokens` are names already, each stands for itself.

        Otherwise the tokens are taken for what the file numbers, such as folders called 1 to 7.
        """
        meanings = {canonical(name) for name in self.by_token.values()}
        if {canonical(token) for token in tokens} <= meanings:
            return Names({name: name for name in self.by_token.values()}, self.origin)
        return self


def with_codes(entries: list[Entry]) -> list[Entry]:
    """The entries of a file that may write labels as numbers: 3.0 means 3, and −1 among whole numbers none."""
    meant = {entry.label: without_point(entry.label.strip()) for entry in entries if entry.label}
    if all(is_number(label) for label in meant.values() if label != "-1"):
        return [entry._replace(label=_or_none(meant[entry.label])) if entry.label else entry for entry in entries]
    return entries


def _or_none(label: str) -> str | None:
    return None if label == "-1" else label


def readable(text: str) -> str:
    """`text` as UTF-8 can hold it: bytes of a file name that are none stand as escapes such as `\\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass
class Notes:
    """Sentences for the summary: what the reader decided by itself."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        line = readable(line)
        if line not in self.lines:
            self.lines.append(line)


class Reading(Protocol):
    """A source that has been recognised and is about to be read."""

    names: Names | None
    notes: Notes

    @property
    def total(self) -> int | None:
        """Rows or files, as far as it is known before reading (by the size of a file, it is an estimate)."""

    @property
    def labels(self) -> Counter[str]:
        """How many pictures have which label, as far as labels stand in memory before reading."""

    def survey(self, progress: Progress | None = None) -> Counter[Shape]:
        """How many pictures have which shape, as far as it can be told without decoding them."""

    def join(self, votes: VoteTable) -> None:
        """Give every entry its FER+ votes. Raises MienError when the two cannot belong together."""

    def blocks(self, shape: Shape, rejects: Rejects) -> Iterator[Block]:
        """The pictures in order, resized to `shape` where they differ; what cannot be read goes to `rejects`."""


class Format(Protocol):
    """One way to keep a data set on disk, as it can be read."""

    @property
    def name(self) -> str:
        """What `--format` and `--to` call it."""

    @property
    def about(self) -> str:
        """One line for people."""

    def sniff(self, path: Path) -> bool:
        """Whether `path` looks like this format."""

    def read(self, path: Path) -> Reading:
        """Prepare to read `path`. Raises MienError when it is not of this format."""


class WrittenFormat(Format, Protocol):
    """A format that mien also writes."""

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        """Write `dataset` into the empty folder `out`, so that `read(out)` gives it back.

        Raises:
            MienError: the format cannot hold this data set.
        """


def not_this_format(path: Path, name: str, why: str) -> MienError:
    """The error of a reader that was forced onto a file of another kind."""
    return MienError(f"{path}: not of the format {name!r} ({why})", hint="leave out --format to have it recognised")
