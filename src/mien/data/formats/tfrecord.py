"""TFRecord files of tensorflow.Example with an encoded picture each, under the keys of TensorFlow's image examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import decode, peek
from mien.core.votes import COLUMNS
from mien.data.codes import without_point
from mien.data.dataset import SPLITS, Dataset
from mien.data.formats import names_file
from mien.data.formats.ahead import counted
from mien.data.formats.base import Entry, Progress, not_this_format, with_codes
from mien.data.formats.example_proto import build, parse, values
from mien.data.formats.pictures import PictureReading, file_names, png
from mien.data.formats.record_file import read_at, read_records, write_records
from mien.data.split import split_in, split_of

_PICTURE = ("image/encoded", "image_raw", "image", "encoded")
_TEXT = ("image/class/text", "label_text", "class")
_NUMBER = ("image/class/label", "label", "emotion")
_SPLIT = ("image/split", "split")
_VOTES = ("image/ferplus/votes",)
_SUBJECT = ("image/subject", "subject")
_MOST_VOTES = 255  # what the packed set holds
_HEIGHT, _WIDTH, _CHANNELS = (
    ("image/height", "height"),
    ("image/width", "width"),
    ("image/channels", "depth", "channels"),
)
# train.tfrecord, train.tfrecords, train.tfrecord-00000-of-00004; not train.tfrecord.json.
_FILE = re.compile(r".*\.tfrecords?([-_.]?\d+([-_]of[-_]\d+)?)?", re.IGNORECASE | re.DOTALL)


class Place(NamedTuple):
    """Where a record stands, or the fault that it has."""

    path: Path
    offset: int
    fault: str


def _files_at(path: Path) -> list[Path]:
    """TFRecord files, also shards such as `train-00000-of-00004`, train before val before test."""
    found = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    order = {split: i for i, split in enumerate(SPLITS)}
    records = [p for p in found if _FILE.fullmatch(p.name) and p.is_file() and not p.name.startswith(".")]
    return sorted(records, key=lambda p: order.get(split_in(p.name) or "", -1))


def _word(example: Any, keys: tuple[str, ...]) -> str | None:
    """The one value under the first of `keys` that there is, as text. Raises MienError when it holds several."""
    items = values(example, *keys)
    if not items:
        return None
    if len(items) > 1:
        raise MienError(f"{len(items)} values under {' or '.join(keys)}, where one is needed")
    return items[0].decode("utf-8", "replace") if isinstance(items[0], bytes) else str(items[0])


def _entries(path: Path, first: int) -> Iterator[tuple[Entry, Place]]:
    by_name = split_in(path.name)
    for i, (offset, data, fault) in enumerate(read_records(path)):
        source = f"{path.name}#{i}"
        entry = Entry(first + i, source, None, by_name)
        if not fault:
            example = parse(data)
            try:
                entry = _entry(example, entry)
            except MienError as error:
                fault = error.message
        yield entry, Place(path, offset, fault)


def _entry(example: Any | None, blank: Entry) -> Entry:
    """What a record says of its picture. Raises MienError with what is wrong with it."""
    if example is None:
        raise MienError("not a tensorflow.Example")
    split = _word(example, _SPLIT)
    label = _word(example, _TEXT) or _word(example, _NUMBER)
    return blank._replace(
        label=None if label is None or without_point(label) == "-1" else label,
        split=(split_of(split) or split) if split else blank.split,
        votes=_votes(example),
        subject=_word(example, _SUBJECT) or None,
    )


def _votes(example: Any) -> tuple[int, ...] | None:
    votes = _whole_numbers(example, _VOTES)
    if not all(0 <= vote <= _MOST_VOTES for vote in votes):
        raise MienError(f"votes {', '.join(map(str, votes))}: each is from 0 to {_MOST_VOTES}")
    return votes if len(votes) == len(COLUMNS) else None


def _whole_numbers(example: Any, keys: tuple[str, ...]) -> tuple[int, ...]:
    """The values under `keys`. Raises MienError when one of them is no whole number."""
    items = values(example, *keys)
    odd = next((item for item in items if not (isinstance(item, int | float) and item == item // 1)), None)
    if odd is not None:
        raise MienError(f"{repr(odd)[:20]} under {' or '.join(keys)}, where a whole number is needed")
    return tuple(int(item) for item in items)


def _picture(place: Place) -> bytes | Image.Image:
    """The encoded picture of a record, or its raw pixels as a picture."""
    if place.fault:
        raise MienError(place.fault)
    example = parse(read_at(place.path, place.offset))
    data = next(iter(values(example, *_PICTURE)), None)
    if not isinstance(data, bytes):
        raise MienError(f"no picture under {', '.join(_PICTURE)}")
    sides = (_whole_numbers(example, keys) for keys in (_HEIGHT, _WIDTH, _CHANNELS))
    height, width, channels = (side[0] if side else 0 for side in sides)
    if height > 0 and width > 0 and len(data) == height * width * (channels or 1) and channels in (0, 1, 3):
        shape = (height, width, 3) if channels == 3 else (height, width)
        return Image.fromarray(np.frombuffer(data, np.uint8).reshape(shape))
    return data


def _open(place: Place) -> Image.Image:
    picture = _picture(place)
    if isinstance(picture, Image.Image):
        return picture
    try:
        return decode(picture)
    except MienError as error:
        raise MienError(error.message.removeprefix("picture: ")) from None


def _peek(place: Place) -> tuple[int, int, int] | None:
    try:
        picture = _picture(place)
    except MienError:
        return None
    if isinstance(picture, bytes):
        return peek(picture)
    return (picture.height, picture.width, 1 if picture.mode == "L" else 3)


@dataclass(frozen=True)
class TfRecord:
    """The format as mien registers it."""

    name: str = "tfrecord"
    about: str = "TFRecord files of tensorflow.Example"

    def sniff(self, path: Path) -> bool:
        return bool(_files_at(path))

    def read(self, path: Path) -> PictureReading:
        files = _files_at(path)
        if not files:
            raise not_this_format(path, self.name, "no file called *.tfrecord")
        pairs: list[tuple[Entry, Place]] = []
        for file in files:
            pairs += _entries(file, len(pairs))
        if not pairs:
            raise MienError(f"{path}: no records in it")
        entries, places = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        names = names_file.beside(path)
        entries = with_codes(entries)
        if names is not None:
            names = names.for_words({entry.label for entry in entries if entry.label})
        return PictureReading(entries, lambda i: _open(places[i]), lambda i: _peek(places[i]), names, ordered=True)

    def write(self, dataset: Dataset, out: Path, *, progress: Progress | None = None) -> None:
        """A file for each split: PNG pictures, label as number and text, split, person, votes; labels.txt beside."""
        names = dataset.labels.names
        files = file_names(len(dataset))
        parts = {split: np.flatnonzero(dataset.split == split).tolist() for split in SPLITS}
        tell = None if progress is None else lambda passed: progress(passed, len(dataset))
        upcoming = counted((row for rows in parts.values() for row in rows), tell)
        for split, rows in parts.items():
            if rows:
                some = islice(upcoming, len(rows))
                write_records(out / f"{split}.tfrecord", (_record(dataset, row, files[row]) for row in some))
        names_file.write_names(out / names_file.FILE_NAMES[0], names)


def _record(dataset: Dataset, row: int, file: str) -> bytes:
    image, label = np.asarray(dataset.images[row]), int(dataset.label[row])
    features: dict[str, list[bytes] | list[int]] = {
        "image/encoded": [png(image)],
        "image/format": [b"png"],
        "image/filename": [file.encode()],
        "image/height": [image.shape[0]],
        "image/width": [image.shape[1]],
        "image/channels": [1 if image.ndim == 2 else 3],
        "image/class/label": [label],
        "image/split": [str(dataset.split[row]).encode()],
    }
    if label >= 0:
        features["image/class/text"] = [dataset.labels.names[label].encode()]
    if dataset.subject is not None:
        features["image/subject"] = [str(dataset.subject[row]).encode()]
    if dataset.votes is not None:
        features["image/ferplus/votes"] = dataset.votes[row].tolist()
    return build(features)
