"""Reading and writing sources that keep every picture as a file of its own (or as bytes that could be one)."""

from __future__ import annotations

import io
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import SUFFIXES, decode, is_grey, peek
from mien.data.dataset import Dataset
from mien.data.formats.ahead import ahead, chunks, told
from mien.data.formats.base import Block, Entry, Names, Notes, Pixels, Progress, Shape
from mien.data.formats.resize import resize
from mien.data.rejects import Rejects
from mien.data.votes_file import VoteTable

_AT_ONCE = 64
_IGNORED_FOLDERS = ("__macosx",)


def is_picture(name: str) -> bool:
    """Whether a file name ends like a picture's; hidden files do not count."""
    plain = name.rpartition("/")[2].lower()
    return plain.endswith(SUFFIXES) and not plain.startswith(".")


def pictures_under(root: Path) -> Iterator[str]:
    """Paths of pictures relative to `root`, with slashes, without hidden folders; in no particular order.

    Links to folders are not followed, so that a loop of them ends.
    """
    for folder, inside, files in os.walk(root):
        inside[:] = [name for name in inside if not name.startswith(".") and name.lower() not in _IGNORED_FOLDERS]
        base = Path(folder).relative_to(root).as_posix()
        yield from (name if base == "." else f"{base}/{name}" for name in files if is_picture(name))


class LeftOut(NamedTuple):
    """A row of the source that is no picture of an expression, and why."""

    row: int
    source: str
    reason: str


@dataclass
class PictureReading:
    """A list of entries with a picture each.

    Attributes:
        open: the picture of entry i, decoded. Raises MienError with the reason.
        peek: its height, width and channels by the header, or None.
        ordered: whether the order of entries means anything, so that votes may be joined by it.
        left_out: rows that the source itself marks as showing no expression; they are told before the first block.
        label: the label of entry i where it stands in a file of its own, read with the picture; else entries have it.
    """

    entries: list[Entry]
    open: Callable[[int], Image.Image]
    peek: Callable[[int], tuple[int, int, int] | None]
    names: Names | None
    ordered: bool = False
    notes: Notes = field(default_factory=Notes)
    left_out: list[LeftOut] = field(default_factory=list)
    label: Callable[[int], str] | None = None

    @property
    def total(self) -> int:
        return len(self.entries)

    @property
    def numeric(self) -> bool:
        return all(entry.label is None or entry.label.strip().isdigit() for entry in self.entries)

    def survey(self, progress: Progress | None = None) -> Counter[Shape]:
        found: Counter[Shape] = Counter()
        peeked = ahead(lambda part: [self.peek(i) for i in part], self._parts())
        for shapes in told(peeked, progress, total=self.total):
            found.update(Shape(*shape) for shape in shapes if shape is not None)
        return found

    def _parts(self) -> Iterator[range]:
        for first in range(0, self.total, _AT_ONCE):
            yield range(first, min(first + _AT_ONCE, self.total))

    def join(self, votes: VoteTable) -> None:
        """Join by file name when the table knows every file, else by order where the source has one."""
        by_name = votes.by_name()
        rows = [by_name.get(entry.source.rpartition("/")[2]) for entry in self.entries]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            if not self.ordered:
                name = self.entries[rows.index(None)].source
                raise MienError(f"{votes.path}: no votes for {name}", hint="files in folders are joined by file name")
            votes.check_length(self.total)
            known = list(range(self.total))
            self.notes.add("votes joined by the order of rows")
        for row, entry in zip(known, self.entries, strict=True):
            votes.check_usage(row, entry.split)
        pairs = zip(known, self.entries, strict=True)
        self.entries = [entry._replace(votes=votes.votes[row]) for row, entry in pairs]

    def blocks(self, shape: Shape, rejects: Rejects) -> Iterator[Block]:
        for row, source, reason in self.left_out:
            rejects.leave_out(row, source, reason)
        for block, faults in ahead(lambda part: self._decoded(part, shape), self._parts()):
            for entry, reason in faults:
                rejects.add(entry.row, entry.source, reason)
            yield block

    def _decoded(self, part: range, shape: Shape) -> tuple[Block, list[tuple[Entry, str]]]:
        pixels: list[Pixels] = []
        entries: list[Entry] = []
        faults: list[tuple[Entry, str]] = []
        for i in part:
            try:
                entry = self.entries[i]
                found = entry if self.label is None else entry._replace(label=self.label(i))
                pixels.append(resize(self.open(i), shape))
                entries.append(found)
            except MienError as error:
                faults.append((self.entries[i], error.message))
        full = (shape.height, shape.width) if shape.channels == 1 else tuple(shape)
        images = np.stack(pixels) if pixels else np.zeros((0, *full), np.uint8)
        return Block(images, entries, grey=all(map(is_grey, pixels))), faults


def from_files(
    entries: list[Entry], paths: list[Path | str], *, root: Path, names: Names | None, ordered: bool = False
) -> PictureReading:
    """A reading of files, with a path for each entry, or the reason why it has none.

    The fault of a file is told without its path, which the entry already has.
    """

    def opened(i: int) -> Image.Image:
        path = paths[i]
        if isinstance(path, str):
            raise MienError(path)
        if _is_special(path):
            raise MienError("no regular file")
        try:
            return decode(path)
        except MienError as error:
            raise MienError(error.message.removeprefix(f"{path}: ")) from None

    def peeked(i: int) -> tuple[int, int, int] | None:
        path = paths[i]
        return None if isinstance(path, str) or _is_special(path) else peek(path)

    if not entries:
        raise MienError(f"{root}: no pictures found", hint=f"pictures end in {', '.join(SUFFIXES)}")
    return PictureReading(entries, opened, peeked, names, ordered)


def _is_special(path: Path) -> bool:
    """Whether reading from it may never end: a pipe, a device, a socket. What is not there is none of these."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def png(image: Pixels) -> bytes:
    """A picture as PNG, which keeps every pixel."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_pngs(dataset: Dataset, folder: Path, *, files: Iterable[str], progress: Progress | None) -> None:
    """Write picture i to `folder / files[i]`; the folders must exist."""

    def write(part: list[tuple[int, str]]) -> int:
        for i, name in part:
            (folder / name).write_bytes(png(np.asarray(dataset.images[i])))
        return len(part)

    done = 0
    for count in ahead(write, chunks(enumerate(files), _AT_ONCE)):
        done += count
        if progress is not None:
            progress(done, len(dataset))


def file_names(count: int) -> list[str]:
    """Distinct names in the order of rows: 00000.png, 00001.png, …"""
    width = max(5, len(str(count)))
    return [f"{i:0{width}d}.png" for i in range(count)]
