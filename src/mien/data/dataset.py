"""The packed data set: pixels as one memory-mapped array, everything else as a Parquet table beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from mien.core.errors import MienError, command
from mien.core.files import atomic_folder, atomic_path, write_json
from mien.core.labels import LabelSet, identify
from mien.core.spec import Frozen
from mien.core.votes import COLUMNS
from mien.data.arrow import read_table, to_arrow, to_numpy

SPLITS = ("train", "val", "test")
UNLABELLED = "(no label)"  # in counts, beside the classes
VOTE_COLUMNS = tuple(f"votes_{name}" for name in COLUMNS)
_REQUIRED = ("row", "source", "label", "split", "group", "weight", "flags", "sha256")


class DatasetInfo(Frozen):
    """What `dataset.json` holds."""

    format: Literal[1] = 1
    name: str
    labels: tuple[str, ...]
    height: int
    width: int
    channels: Literal[1, 3]
    count: int
    fingerprint: str = Field(description="sha256 over pixels, labels and splits")
    provenance: dict[str, Any] = Field(default_factory=dict)
    counts: dict[str, dict[str, int]] = Field(default_factory=dict, description="split → label name → pictures")


@dataclass(frozen=True)
class Dataset:
    """A packed data set, opened. Nothing is decoded and the pixels stay on disk until they are used.

    Attributes:
        images: uint8, (N, H, W) for grey or (N, H, W, 3).
        table: one row a picture, with the columns of `_REQUIRED`, with FER+ `VOTE_COLUMNS`, and `subject` where the
            source names its people.
        info: what `dataset.json` says.
    """

    images: NDArray[np.uint8]
    table: pa.Table
    info: DatasetInfo
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> LabelSet:
        return identify(self.info.labels)

    @cached_property
    def label(self) -> NDArray[np.int64]:
        """Label ids (N,), -1 where there is no label."""
        return self.column("label").astype(np.int64)

    @cached_property
    def split(self) -> NDArray[np.str_]:
        """Split names (N,): train, val, test."""
        return self.column("split").astype(np.str_)

    @cached_property
    def votes(self) -> NDArray[np.int64] | None:
        """FER+ votes (N, 10) in the order of `core.votes.COLUMNS`, or None."""
        if not self.has_votes:
            return None
        return np.stack([self.column(name) for name in VOTE_COLUMNS], axis=1).astype(np.int64)

    @cached_property
    def subject(self) -> NDArray[np.str_] | None:
        """Who is shown (N,), "" where that is not known; None when the source named nobody."""
        return self.column("subject").astype(np.str_) if "subject" in self.table.column_names else None

    @property
    def has_votes(self) -> bool:
        return set(VOTE_COLUMNS) <= set(self.table.column_names)

    def column(self, name: str) -> NDArray[Any]:
        """A manifest column as a numpy array (N,)."""
        return to_numpy(self.table.column(name))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions (n,) of the pictures of a split. Raises MienError when the split is empty."""
        found = np.flatnonzero(self.split == split)
        if not len(found):
            present = ", ".join(sorted(set(self.split.tolist())))
            raise MienError(f"{self.path or self.info.name}: no picture in split {split!r}", hint=f"splits: {present}")
        return found


def make_table(
    *,
    label: NDArray[np.integer],
    split: NDArray[np.str_],
    source: NDArray[np.str_] | list[str],
    images: NDArray[np.uint8],
    votes: NDArray[np.integer] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> pa.Table:
    """A manifest with every required column; `extra` adds or replaces columns (each of length N).

    The pixels are hashed unless `extra` has their `sha256` already.
    """
    count, more = len(label), dict(extra or {})
    columns: dict[str, Any] = {
        "row": np.arange(count, dtype=np.int64),
        "source": source,
        "label": np.asarray(label, np.int32),
        "split": np.asarray(split, np.str_),
        "group": np.full(count, -1, np.int64),
        "weight": np.ones(count, np.float32),
        "flags": [""] * count,
        "sha256": more.pop("sha256") if "sha256" in more else digests(images),
    }
    if votes is not None:
        columns |= {name: np.asarray(votes[:, i], np.uint8) for i, name in enumerate(VOTE_COLUMNS)}
    return pa.table({name: to_arrow(values) for name, values in (columns | more).items()})


def digests(images: NDArray[np.uint8]) -> list[str]:
    """The sha256 of each picture's pixels."""
    if not len(images):
        return []
    pixels = np.ascontiguousarray(images).data.cast("B")
    size = len(pixels) // len(images)
    return [hashlib.sha256(pixels[i : i + size]).hexdigest() for i in range(0, len(pixels), size)]


def describe(name: str, labels: LabelSet, images: NDArray[np.uint8], table: pa.Table, **provenance: Any) -> DatasetInfo:
    """The `DatasetInfo` of pixels and manifest, counts and fingerprint included."""
    label = to_numpy(table.column("label")).astype(np.int64)
    split = np.asarray(table.column("split").to_pylist(), dtype=np.str_)
    digest = hashlib.sha256(json.dumps(labels.names).encode())
    digest.update("".join(table.column("sha256").to_pylist()).encode())
    digest.update(label.tobytes())
    digest.update("\n".join(split.tolist()).encode())
    counts: dict[str, dict[str, int]] = {}
    for s in dict.fromkeys([*SPLITS, *split.tolist()]):
        none, *found = np.bincount(label[split == s] + 1, minlength=len(labels) + 1).tolist()
        if none or any(found):
            counts[s] = dict(zip(labels.names, found, strict=False)) | ({UNLABELLED: none} if none else {})
    return DatasetInfo(
        name=name,
        labels=labels.names,
        height=images.shape[1],
        width=images.shape[2],
        channels=3 if images.ndim == 4 else 1,
        count=len(images),
        fingerprint=digest.hexdigest(),
        provenance=provenance,
        counts=counts,
    )


def save(path: Path, images: NDArray[np.uint8], table: pa.Table, info: DatasetInfo) -> Dataset:
    """Write a packed data set as a whole: the folder appears complete or not at all."""
    with atomic_folder(path) as folder:
        np.save(folder / "images.npy", images, allow_pickle=False)
        write_parts(folder, table, info)
    return load(path)


def write_parts(folder: Path, table: pa.Table, info: DatasetInfo) -> None:
    """Write manifest and description beside an `images.npy` that is already there."""
    with atomic_path(folder / "manifest.parquet") as manifest:
        pq.write_table(table, manifest)
    write_json(folder / "dataset.json", info.model_dump(mode="json"))


def load(path: Path) -> Dataset:
    """Open a packed data set.

    Raises:
        MienError: the folder is not there or no packed data set, or its parts disagree.
    """
    if not path.exists():
        raise MienError(f"{path}: no such folder", hint="mien data import FILES --out PACKED makes a packed data set")
    if not (path / "dataset.json").is_file():
        raise MienError(f"{path}: not a packed data set", hint=command("data", "import", path, "--out", "packed"))
    try:
        info = DatasetInfo.model_validate_json((path / "dataset.json").read_text(encoding="utf-8"))
        images = np.load(path / "images.npy", mmap_mode="r", allow_pickle=False)
        table = read_table(path / "manifest.parquet")
    except (OSError, EOFError, ValueError, ValidationError, pa.ArrowInvalid) as error:
        raise MienError(f"{path}: damaged packed data set ({error})", hint="import it again") from None
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing or not len(images) == table.num_rows == info.count or images.dtype != np.uint8:
        raise MienError(f"{path}: pixels, manifest and dataset.json disagree", hint="import it again")
    return Dataset(images=images, table=table, info=info, path=path)
