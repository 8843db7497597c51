"""Reading and writing sources that keep every picture as a file of its own (or as bytes that could be one)."""

from __future__ import annotations

import io
import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import SUFFIXES, decode, is_grey, peek
from mien.data.dataset import Dataset
from mien.data.formats.ahead import ahead, chunks, told
from mien.data.formats.base import Block, Entry, Names, Notes, Pixels, Progress, Shape, readable
from mien.data.formats.resize import resize
from mien.data.rejects import Rejects
from mien.data.target import is_written
from mien.data.votes_file import VoteTable

_AT_ONCE = 64
_BYTES_AT_ONCE = 4 << 20  # of decoded pixels: some of these wait for each thread
_IGNORED_FOLDERS = ("__macosx",)
MISSING = "no such file"


def is_picture(name: str) -> bool:
    """Whether a file name ends like a picture's; hidden files do not count."""
    plain = name.rpartition("/")[2].lower()
    return plain.endswith(SUFFIXES) and not plain.startswith(".")


@dataclass
class Passed:
    """What was passed on a way through folders, which are given relative to the first, with slashes.

    Attributes:
        links: to folders.
        written: folders that mien has written, packed sets and exports.
        endings: of the files that are no pictures, for each folder that was looked into.
    """

    links: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    endings: dict[str, set[str]] = field(default_factory=dict)


def pictures_under(root: Path, *, passed: Passed | None = None) -> Iterator[str]:
    """Paths of pictures relative to `root`, with slashes, without hidden folders; in no particular order.

    Links to folders are not followed, so that a loop of them ends, and sets that mien has written below `root` are not
    entered; `passed` collects both.

    Raises:
        MienError: a folder cannot be read. What is in it would be missing without a word.
    """
    for folder, inside, files in os.walk(root, onerror=_cannot_be_read):
        base = Path(folder).relative_to(root).as_posix()
        if base != "." and is_written(files):
            inside.clear()
            if passed is not None:
                passed.written.append(base)
            continue
        inside[:] = [name for name in inside if not name.startswith(".") and name.lower() not in _IGNORED_FOLDERS]
        if passed is not None:
            links = (name for name in inside if Path(folder, name).is_symlink())
            passed.links += [name if base == "." else f"{base}/{name}" for name in links]
            others = (name for name in files if not name.startswith(".") and not is_picture(name))
            passed.endings[base] = {PurePosixPath(name).suffix.lower() for name in others}
        yield from (name if base == "." else f"{base}/{name}" for name in files if is_picture(name))


def _cannot_be_read(error: OSError) -> None:
    hint = "give yourself the right to read it, or move it away"
    raise MienError(f"{readable(str(error.filename))}: cannot be read ({error.strerror})", hint=hint)


def all_pictures(root: Path, notes: Notes, passed: Passed | None = None) -> list[str]:
    """`pictures_under` as a sorted list, with notes on the folders that were not entered."""
    passed = passed or Passed()
    found = sorted(pictures_under(root, passed=passed))
    if passed.links:
        notes.add(f"{len(passed.links):,} links to folders were not followed: {some_names(passed.links)}")
    if passed.written:
        notes.add(f"{len(passed.written):,} sets that mien has written were left out: {some_names(passed.written)}")
    return found


def some_names(names: Iterable[str], count: int = 3) -> str:
    """The first of some names in their order, as a sentence has them."""
    ordered = sorted(map(readable, names))
    return ", ".join(ordered[:count]) + (" …" if len(ordered) > count else "")


def some_pictures(root: Path, count: int | None) -> list[str]:
    """Up to `count` of `pictures_under`, or all; a folder that cannot be read ends the search."""
    found: list[str] = []
    with suppress(MienError):  # it is told when the folder is read, by whichever format that is
        found.extend(islice(pictures_under(root), count))
    return found


def file_at(root: Path, name: str) -> Path | str:
    """The picture that a list calls `name`, also as Windows writes it (`happy\\0.png`); or why there is none."""
    if not PurePosixPath(name).name:
        return "no file name"
    fault = _fault_of(root / name)
    slashed = root / name.replace("\\", "/")
    if fault and slashed != root / name and not _fault_of(slashed):
        return slashed
    return fault or root / name


def _fault_of(path: Path) -> str:
    """Why there cannot be a file of this name; empty when something is there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except ValueError:
        return "a NUL byte in the file name"
    return ""


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

    def __post_init__(self) -> None:
        """Names of files and folders need not be text; what is stored of them must be."""
        self.entries = [_readable(entry) for entry in self.entries]

    @property
    def total(self) -> int:
        return len(self.entries)

    @property
    def labels(self) -> Counter[str]:
        return Counter(label for entry in self.entries if (label := (entry.label or "").strip()))

    def survey(self, progress: Progress | None = None) -> Counter[Shape]:
        found: Counter[Shape] = Counter()
        peeked = ahead(lambda part: [self.peek(i) for i in part], self._parts(_AT_ONCE))
        for shapes in told(peeked, progress, total=self.total):
            found.update(Shape(*shape) for shape in shapes if shape is not None)
        return found

    def _parts(self, size: int) -> Iterator[range]:
        for first in range(0, self.total, size):
            yield range(first, min(first + size, self.total))

    def join(self, votes: VoteTable) -> None:
        """Join by file name when the table knows every file, else by order where the source has one."""
        by_name = votes.by_name()
        rows = [by_name.get(entry.source.replace("\\", "/").rpartition("/")[2]) for entry in self.entries]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            if not self.ordered:
                name = self.entries[rows.index(None)].source
                hint = "files in folders are joined by file name: use the votes that come with them, or --no-votes"
                raise MienError(f"{votes.path}: no votes for {name}", hint=hint)
            votes.check_length(self.total)
            known = list(range(self.total))
            self.notes.add("votes joined by the order of rows")
        else:
            votes.check_names([entry.source for entry in self.entries], known)
        for row, entry in zip(known, self.entries, strict=True):
            votes.check_usage(row, entry.split)
        pairs = zip(known, self.entries, strict=True)
        self.entries = [entry._replace(votes=votes.votes[row]) for row, entry in pairs]

    def blocks(self, shape: Shape, rejects: Rejects) -> Iterator[Block]:
        for row, source, reason in self.left_out:
            rejects.leave_out(row, source, reason)
        at_once = min(max(_BYTES_AT_ONCE // math.prod(shape), 1), _AT_ONCE)
        for block, faults in ahead(lambda part: self._decoded(part, shape), self._parts(at_once)):
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


def _readable(entry: Entry) -> Entry:
    if entry.source.isascii() and (entry.label or "").isascii():
        return entry
    label = None if entry.label is None else readable(entry.label)
    return entry._replace(source=readable(entry.source), label=label)


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
    except (OSError, ValueError):
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
