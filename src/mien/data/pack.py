"""Importing: from any known format to a packed data set, in one pass and without holding it in memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.labels import LabelSet, known
from mien.core.paths import absent
from mien.data import corrections
from mien.data.codes import is_number
from mien.data.corrected import correct_folder
from mien.data.dataset import SPLITS, Dataset, DatasetInfo, describe, digests, load, make_table, write_parts
from mien.data.formats import by_name, recognise
from mien.data.formats.base import Block, Entry, Notes, Pixels, Progress, Reading, Shape, readable
from mien.data.formats.names_file import read_names
from mien.data.formats.pictures import MISSING
from mien.data.naming import Naming, check_numbering
from mien.data.pixel_file import PixelFile, drop_colour
from mien.data.rejects import FILE_NAME as REJECTS_FILE
from mien.data.rejects import Reject, Rejects
from mien.data.sizing import Colour, check_size, choose_shape
from mien.data.split import VAL_FRACTION, check_fraction, complete
from mien.data.target import check_target, packed_folder
from mien.data.votes_check import agreement, sentence
from mien.data.votes_file import FILE_NAME as VOTES_FILE
from mien.data.votes_file import read_votes


@dataclass(frozen=True)
class ImportOptions:
    """How to import. Every field has a default that suits most sources.

    Attributes:
        format: name of a format; None recognises it.
        labels: built-in label set to map onto (or, for bare numbers without names, what they mean).
        names: file with the class names, one a line or `0 angry`.
        votes: FER+ vote file; None looks for fer2013new.csv beside the source, False takes none.
        size: side in pixels; None keeps the size when all pictures agree on it.
        colour: auto stores colour only when at least one picture shows any.
        val_fraction: share of each class of train that becomes val when there is no val.
        test_as_val: use the source's test split for validation, as far as it has labels.
        seed: of the split.
        strict: stop at the first row or file that cannot be taken.
        corrections: file of labels to change and pictures to leave out, see `data.corrections`.
    """

    format: str | None = None
    labels: str | None = None
    names: Path | None = None
    votes: Path | Literal[False] | None = None
    size: int | None = None
    colour: Colour = "auto"
    val_fraction: float = VAL_FRACTION
    test_as_val: bool = False
    seed: int = 0
    strict: bool = False
    corrections: Path | None = None


@dataclass(frozen=True)
class Imported:
    """A packed data set, what was decided on the way (sentences), and what was not taken."""

    dataset: Dataset
    notes: list[str]
    rejects: Rejects


def import_data(
    source: Path,
    out: Path,
    *,
    options: ImportOptions | None = None,
    force: bool = False,
    progress: Progress | None = None,
    surveying: Progress | None = None,
) -> Imported:
    """Read `source` in whatever format it has and write the packed data set `out`.

    `out` appears complete or not at all. `progress` is called with the pictures done and their number, if known;
    before that, `surveying` with the headers that were read to learn sizes and colour, where pictures are files.

    Raises:
        MienError: the source is of no known format, holds no usable picture, has labels of which none can be used, or
            contradicts its votes; `out` exists and `force` is not given; the corrections are for another set; or, with
            `options.strict`, something in the source cannot be taken.
    """
    options = options or ImportOptions()
    _check(options)
    check_target(out, force=force, inputs=[source, options.corrections, options.names, options.votes or None])
    reading = _open(source, options)
    survey = reading.survey(surveying)
    if not survey:
        raise _unreadable(source, reading)
    shape = choose_shape(survey, reading.notes, size=options.size, colour=options.colour)
    kept = _Kept(_naming(reading, options), Rejects(strict=options.strict))
    with packed_folder(out) as folder:
        kept.write_pixels(folder / "images.npy", reading, shape, progress)
        if not kept.entries or (kept.misfits and not any(kept.classes)):
            raise _nothing_left(source, kept)
        if kept.grey and shape.channels == 3 and options.colour == "auto":
            drop_colour(folder / "images.npy")
            kept.digests = None
            reading.notes.add("the files are colour but show none: stored as grey")
        _write_rest(folder, source, kept, reading, options)
    return Imported(load(out), reading.notes.lines, kept.rejects)


def _check(options: ImportOptions) -> None:
    """Raise MienError for what is wrong with the options themselves, before anything slow starts."""
    check_fraction(options.val_fraction)
    check_size(options.size)
    if options.labels:
        known(options.labels)
    if options.names:
        read_names(options.names)
    if options.corrections is not None:
        corrections.read(options.corrections)


def _open(source: Path, options: ImportOptions) -> Reading:
    """The recognised source, joined with its votes."""
    if not source.exists():
        raise absent(source)
    form = by_name(options.format) if options.format else recognise(source)
    reading = form.read(source)
    reading.notes.lines.insert(0, f"read as {form.name}: {form.about}")
    if options.votes is False:
        return reading
    beside = (source if source.is_dir() else source.parent) / VOTES_FILE
    path = options.votes or (beside if beside.is_file() else None)
    if path is not None:
        votes = read_votes(path)
        reading.join(votes)
        reading.notes.add(f"FER+ votes from {path.name}: {len(votes):,} rows")
    return reading


def _naming(reading: Reading, options: ImportOptions) -> Naming:
    """Names from the user's file, else from the source; a label set names bare numbers, else it is the target."""
    target = known(options.labels) if options.labels else None
    names = read_names(options.names) if options.names else reading.names
    if names is None and _are_numbers(reading.labels):
        if target is None:
            reading.notes.add("labels are numbers without names: give --names FILE or --labels fer2013 to name them")
            return Naming(None, None)
        check_numbering(reading.labels, target)
        numbered = {str(i): name for i, name in enumerate(target.names)}
        reading.notes.add(f"labels numbered as {target.name}: {', '.join(map(' '.join, numbered.items()))}")
        return Naming(numbered, target)
    if names is not None:
        reading.notes.add(f"class names from {names.origin}")
    if target is not None:
        reading.notes.add(f"labels mapped by name onto {target.name}: {', '.join(target.names)}")
    return Naming(names.by_token if names else None, target)


def _are_numbers(labels: Collection[str]) -> bool:
    return bool(labels) and all(map(is_number, labels))


@dataclass
class _Kept:
    """The pictures that were taken: pixels go to disk, the rest is remembered.

    Pixels are hashed as they come, while threads read the next; `digests` is None once what is stored has changed.
    `misfits` are those of the rejects whose labels are no class, or none of the chosen label set.
    """

    naming: Naming
    rejects: Rejects
    misfits: list[Reject] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    classes: list[str | None] = field(default_factory=list)
    digests: list[str] | None = field(default_factory=list)
    grey: bool = True
    # What came out for a split and label: asked for every row, of a handful.
    _usable: dict[tuple[str | None, str | None], tuple[bool, str | None]] = field(default_factory=dict)

    def write_pixels(self, path: Path, reading: Reading, shape: Shape, progress: Progress | None) -> None:
        """One pass over the source: pixels of `shape` to `path`, faults to the rejects."""
        with PixelFile(path, shape[:2] if shape.channels == 1 else tuple(shape)) as file:
            for block in reading.blocks(shape, self.rejects):
                images = self._take(block)
                file.append(images)
                if self.digests is not None:
                    self.digests += digests(images)
                self.grey &= block.grey
                if progress is not None:
                    progress(len(self.entries) + len(self.rejects), reading.total)

    def _take(self, block: Block) -> Pixels:
        """Remember the usable entries of a block and return their pixels."""
        usable = self._usable
        resolved = [usable.get((entry.split, entry.label)) or self._class_of(entry) for entry in block.entries]
        good = [i for i, (usable, _) in enumerate(resolved) if usable]
        self.entries += [block.entries[i] for i in good]
        self.classes += [resolved[i][1] for i in good]
        return block.images if len(good) == len(resolved) else block.images[good]

    def _class_of(self, entry: Entry) -> tuple[bool, str | None]:
        """Whether an entry can be used, and its class name (None for a test picture without a label)."""
        where = (entry.row, entry.source)
        if entry.split is not None and entry.split not in SPLITS:
            self.rejects.add(*where, f"unknown split {entry.split!r}")
            return False, None
        if not entry.label:
            if entry.split != "test":
                self.rejects.add(*where, "no label")
            return entry.split == "test", None
        name, fault = self.naming.resolve(entry.label)
        if name is not None and self.naming.counterpart(name):
            return self._usable.setdefault((entry.split, entry.label), (True, name))
        if name is None:
            self.rejects.add(*where, fault)
        else:
            self.rejects.leave_out(*where, self.naming.no_counterpart(name))
        self.misfits.append(self.rejects.items[-1])
        return False, None


def _unreadable(source: Path, reading: Reading) -> MienError:
    """Why none of the pictures can be read, by the first of them."""
    rejects = Rejects()
    next(reading.blocks(Shape(1, 1, 1), rejects), None)
    item = next(iter(rejects.faults()), None)
    first = f"; the first of {reading.total or 0:,}: {item.source}: {item.reason}" if item else ""
    missing = item is not None and item.reason == MISSING
    hint = "paths count from the folder of their list" if missing else "check that these files are pictures"
    return MienError(f"{source}: no picture in it can be read{first}", hint=hint)


def _nothing_left(source: Path, kept: _Kept) -> MienError:
    """Why no picture can be used, or none that has a label, by the first of them."""
    what, items = "none of its labels can be used", kept.misfits
    if not kept.entries:
        what, items = "no usable picture", kept.rejects.faults() or kept.misfits or kept.rejects.items
    first = f"; the first of {len(items):,}: {items[0].source}: {items[0].reason}" if items else ""
    return MienError(f"{source}: {what}{first}", hint="check --format, --labels and --names")


def _write_rest(folder: Path, source: Path, kept: _Kept, reading: Reading, options: ImportOptions) -> None:
    """Splits, manifest, description and rejects beside the pixels."""
    labels, ids = kept.naming.label_set(), kept.naming.ids(kept.classes)
    given = [entry.split for entry in kept.entries]
    if options.test_as_val:
        given = _test_as_val(given, ids, reading.notes)
    people = [entry.subject for entry in kept.entries]
    splits, what = complete(given, ids, val_fraction=options.val_fraction, seed=options.seed, people=people)
    if what:
        reading.notes.add(what)
    _note_classes(kept.naming, {name for name in kept.classes if name}, reading.notes)
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    votes = _votes(kept.entries, reading.notes)
    if votes is not None and (share := agreement(ids, labels, votes)) is not None:
        reading.notes.add(sentence(share))
    extra: dict[str, list[str]] = {"subject": [name or "" for name in people]} if any(people) else {}
    if kept.digests is not None:
        extra["sha256"] = kept.digests
    table = make_table(
        label=ids,
        split=splits,
        source=[entry.source for entry in kept.entries],
        images=images,
        votes=votes,
        extra=extra,
    )
    if options.corrections is not None:
        # After the split was drawn, which must not depend on what is corrected.
        table, note = correct_folder(folder, table, labels, options.corrections)
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        reading.notes.add(note)
    write_parts(folder, table, _describe(source, labels, images, table, reading, options))
    if len(kept.rejects):
        kept.rejects.write(folder / REJECTS_FILE)


def _note_classes(naming: Naming, found: Collection[str], notes: Notes) -> None:
    """Say which classes mean the same, which are perhaps misspelt, and whether there is only one."""
    for names in naming.merged():
        notes.add(f"{' and '.join(names)} mean the same: one class")
    for name, near in naming.misspelt().items():
        notes.add(f"the class {name!r} is no expression that mien knows: did you mean {near!r}?")
    if len(found) == 1:
        notes.add(f"WARNING: all labels are of one class, {next(iter(found))!r}")


def _test_as_val(splits: list[str | None], ids: NDArray[np.int64], notes: Notes) -> list[str | None]:
    """The splits with test as val, beside a val that is there; what has no label cannot validate and stays test."""
    val, left = splits.count("val"), sum(s == "test" and i < 0 for s, i in zip(splits, ids.tolist(), strict=True))
    joining = splits.count("test") - left
    if val and joining:
        notes.add(f"{joining:,} pictures of test join the {val:,} of a val that was there")
    if left:
        notes.add(f"{left:,} test pictures have no label: they stay test")
    return ["val" if s == "test" and label >= 0 else s for s, label in zip(splits, ids.tolist(), strict=True)]


def _votes(entries: list[Entry], notes: Notes) -> NDArray[np.int64] | None:
    votes = [entry.votes for entry in entries if entry.votes is not None]
    if 0 < len(votes) < len(entries):
        notes.add(f"only {len(votes):,} of {len(entries):,} pictures have FER+ votes: all votes are left out")
    return np.array(votes, np.int64) if len(votes) == len(entries) else None


def _describe(
    source: Path, labels: LabelSet, images: Pixels, table: pa.Table, reading: Reading, options: ImportOptions
) -> DatasetInfo:
    chosen = {name: readable(str(value)) if isinstance(value, Path) else value for name, value in vars(options).items()}
    source = source if source.name.strip(".") else source.resolve()  # `.` and `..` have no name of their own
    name, file = readable(source.stem), readable(source.name)
    return describe(name, labels, images, table, source=file, notes=reading.notes.lines, options=chosen)
