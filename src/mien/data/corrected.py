"""Applying corrections to a manifest: what changes, and during an import the change itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mien.core.errors import MienError, unknown_name
from mien.core.labels import LabelSet
from mien.data.corrections import Correction, counts, path_of_old, read
from mien.data.pixel_file import copy_rows

_HINT = "use the corrections with the set they were made for, imported with the same options; or delete the line"


@dataclass(frozen=True)
class Corrected:
    """What corrections make of a manifest of N rows.

    Attributes:
        label: new ids (N,).
        flags: (N,) texts; relabelled pictures say what they were.
        kept: (N,) rows that stay.
        rule: what was done, for the provenance.
        left: decisions that an audit laid aside in the file of `corrections.path_of_old`, and that would fit, too.
    """

    label: NDArray[np.int32]
    flags: NDArray[np.str_]
    kept: NDArray[np.bool_]
    rule: dict[str, Any]
    left: int = 0

    @property
    def note(self) -> str:
        """What was done, as a sentence."""
        rule = self.rule
        said = f"{rule['file']}: {rule['relabelled']:,} labels changed, {rule['dropped']:,} pictures left out"
        if rule["undecided"]:
            said += f", {rule['undecided']:,} not decided"
        if self.left:
            old = path_of_old(Path(rule["file"]))
            said += f"; not applied: {self.left:,} decisions of earlier rounds, which fit as well and stand in {old}"
        return said


def correct(table: pa.Table, labels: LabelSet, path: Path) -> Corrected:
    """Apply the corrections in the file `path` to a manifest, which is left as it is.

    Raises:
        MienError: a line of the file that cannot be read, or that is about a picture or a label which this manifest
            does not have; or every picture is dropped.
    """
    corrections = read(path)
    label = table.column("label").to_numpy().astype(np.int32)
    flags = np.array(table.column("flags").to_pylist(), np.object_)
    kept = np.ones(len(label), np.bool_)
    changed = 0
    places = locate(table, labels, corrections, path)
    for place, line in zip(places, corrections, strict=True):
        if line.action == "drop":
            kept[place] = False
        elif line.action == "relabel" and (new := _id_of(line, labels, path)) != label[place]:
            label[place], changed = new, changed + 1
            flags[place] = ",".join(filter(None, (flags[place], f"relabelled from {line.label}")))
    if not kept.any():
        raise MienError(f"{path}: drops every picture of the set", hint="keep some")
    rule = {
        "verb": "corrections",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "relabelled": changed,
        "dropped": int((~kept).sum()),
        "undecided": counts(corrections)["undecided"],
    }
    left = _fitting(table, labels, path_of_old(path)) - set(places)
    return Corrected(label, flags.astype(np.str_), kept, rule, len(left))


def _fitting(table: pa.Table, labels: LabelSet, path: Path) -> set[int]:
    """Rows of the manifest that decisions in the file `path` would change; none where it cannot be read."""
    find, places = finder(table, labels), set[int]()
    with suppress(MienError):
        for line in read(path):
            with suppress(MienError):
                places |= {find(line)} if line.action in ("relabel", "drop") else set()
    return places


def locate(table: pa.Table, labels: LabelSet, corrections: Sequence[Correction], path: Path) -> list[int]:
    """The row of the manifest that each line of the file `path` is about: its own, or where its source stands now.

    Raises:
        MienError: a line is about a picture or a label that this manifest does not have, or stands there twice.
    """
    find, places = finder(table, labels), []
    seen: set[int] = set()
    for line in corrections:
        try:
            places.append(find(line))
        except MienError as error:
            raise MienError(f"{path}: row {line.row} ({line.source}): {error}", hint=_HINT) from None
        if places[-1] in seen:
            raise MienError(
                f"{path}: row {line.row} ({line.source}) stands there twice", hint="delete one of the lines"
            )
        seen.add(places[-1])
    return places


def finder(table: pa.Table, labels: LabelSet) -> Callable[[Correction], int]:
    """A function that gives the row of the manifest a line is about, or raises MienError, which says what differs."""
    sources, hashes = table.column("source").to_pylist(), table.column("sha256").to_pylist()
    ids = table.column("label").to_pylist()
    pictures = {picture: place for place, picture in enumerate(zip(sources, hashes, strict=True))}
    known = set(sources)

    def find(line: Correction) -> int:
        wanted = (line.source, line.sha256)
        at_home = line.row < len(sources) and (sources[line.row], hashes[line.row]) == wanted
        place = line.row if at_home else pictures.get(wanted)
        if place is None:
            differs = "other pixels there" if line.source in known else "no such picture"
            raise MienError(f"this set has {differs}")
        if ids[place] < 0 or labels.index(line.label) != ids[place]:
            own = labels.names[ids[place]] if ids[place] >= 0 else "no label"
            raise MienError(f"labelled {own!r} in this set, {line.label!r} in the file")
        return place

    return find


def _id_of(line: Correction, labels: LabelSet, path: Path) -> int:
    found = labels.index(line.target)
    if found is None:
        raise unknown_name(f"label in {path}, row {line.row}:", line.target, labels.names)
    return found


def correct_folder(folder: Path, table: pa.Table, labels: LabelSet, path: Path) -> tuple[pa.Table, str]:
    """Apply corrections to a set that is being written: to its manifest and to `images.npy` in `folder`.

    Returns the new manifest and a sentence on what was done. Raises MienError as `correct`.
    """
    corrected = correct(table, labels, path)
    kept = corrected.kept
    if not kept.all():
        copy_rows(np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False), kept, folder / "kept.npy")
        (folder / "kept.npy").replace(folder / "images.npy")
    new = {
        "row": np.arange(kept.sum(), dtype=np.int64),
        "label": corrected.label[kept],
        "flags": pa.array(corrected.flags[kept].tolist(), pa.string()),
    }
    table = table.filter(pa.array(kept))
    for name, values in new.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table, corrected.note
