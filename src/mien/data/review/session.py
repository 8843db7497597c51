"""The state of a review: doubtful labels in their order, decisions that are on disk at once, and undo."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from PIL import Image

from mien.core.errors import MienError, unknown_name
from mien.core.paths import unreadable
from mien.core.votes import COLUMNS
from mien.data import corrections
from mien.data.corrected import locate
from mien.data.corrections import ACTIONS, Correction
from mien.data.dataset import Dataset

AHEAD = 6  # pictures that a page may load before they are wanted


class Session:
    """A packed set and its corrections, for any number of threads.

    Every decision is written before it is answered. When somebody else has written the file in the meantime, it is
    read again first, so that an editor beside the page loses nothing that it saved.

    Raises:
        MienError: there are no corrections, or they are for another set.
    """

    def __init__(self, data: Dataset, path: Path) -> None:
        self._data, self._path = data, path
        self._lock = RLock()
        self._undo: list[tuple[int, Correction]] = []
        self._read()
        if not self._lines:
            raise MienError(f"{path}: nothing to review", hint="the audit doubted no label")

    def _read(self) -> None:
        self._stamp = _stamp(self._path)
        self._lines = corrections.read(self._path)
        self._places = locate(self._data.table, self._data.labels, self._lines, self._path)
        self._index = {place: i for i, place in enumerate(self._places)}

    def about(self) -> dict[str, Any]:
        """What the page has to know once: name, labels in the order of their ids, and how many lines there are."""
        info = self._data.info
        return {"name": info.name, "labels": list(info.labels), "total": len(self._lines), "file": str(self._path)}

    def counts(self) -> dict[str, int]:
        """Lines by action, undecided ones too."""
        with self._lock:
            return corrections.counts(self._lines)

    def item(self, index: int) -> dict[str, Any]:
        """Line `index` as the page shows it. Raises MienError when there is none."""
        with self._lock:
            if not 0 <= index < len(self._lines):
                raise MienError(f"no line {index}: there are {len(self._lines)}")
            line, place = self._lines[index], self._places[index]
            shown = {name: getattr(line, name) for name in ("source", "label", "suggested", "score", "action")}
            return shown | {
                "index": index,
                "row": place,
                "new_label": line.target if line.action == "relabel" else "",
                "split": str(self._data.split[place]),
                "votes": self._votes(place),
                "next": self.undecided(index + 1),
                "ahead": self._places[index + 1 : index + 1 + AHEAD],
                "counts": self.counts(),
            }

    def undecided(self, start: int) -> int | None:
        """The first line without a decision at `start` or after, else the first before it, else None."""
        with self._lock:
            order = [*range(start, len(self._lines)), *range(min(start, len(self._lines)))]
            return next((i for i in order if not self._lines[i].action), None)

    def decide(self, row: int, action: str, new_label: str = "") -> dict[str, Any]:
        """Write what shall happen to the picture of `row`; the line as it is now.

        Raises:
            MienError: an unknown row, action or label, a relabel without a label, or the file cannot be written.
        """
        with self._lock:
            self._refresh()
            index = self._find(row)
            line = self._lines[index]
            if action not in ACTIONS:
                raise unknown_name("action", action, ACTIONS)
            target = (new_label or line.suggested) if action == "relabel" else ""
            if action == "relabel" and self._data.labels.index(target) is None:
                raise unknown_name("label", target, self._data.labels.names)
            self._put(index, replace(line, action=action, new_label=target))
            self._undo.append((row, line))
            return self.item(index)

    def undo(self) -> dict[str, Any] | None:
        """Take the last decision of this session back; the line as it is now, or None when there is none left.

        Raises:
            MienError: the row is gone from the file, or the file cannot be written, after which it can be tried again.
        """
        with self._lock:
            if not self._undo:
                return None
            self._refresh()
            row, line = self._undo.pop()
            index = self._find(row)
            try:
                self._put(index, replace(self._lines[index], action=line.action, new_label=line.new_label))
            except MienError:
                self._undo.append((row, line))
                raise
            return self.item(index)

    def picture(self, row: int) -> bytes:
        """The pixels of the picture of `row` as PNG. Raises MienError for a row that is not in the file."""
        with self._lock:
            pixels = np.asarray(self._data.images[self._places[self._find(row)]])
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _put(self, index: int, line: Correction) -> None:
        lines = [*self._lines[:index], line, *self._lines[index + 1 :]]
        try:
            corrections.write(self._path, lines)
        except OSError as error:
            raise MienError(
                f"{self._path}: cannot be written ({error.strerror or error})",
                hint="nothing was changed: make room, or close what else has it open, and try again",
            ) from None
        self._lines, self._stamp = lines, _stamp(self._path)

    def _refresh(self) -> None:
        if _stamp(self._path) != self._stamp:
            self._read()

    def _find(self, row: int) -> int:
        if row not in self._index:
            raise MienError(f"{self._path}: no line is about row {row}", hint="reload the page")
        return self._index[row]

    def _votes(self, place: int) -> Mapping[str, int]:
        """FER+ votes for a picture, those with any, the most first."""
        if self._data.votes is None:
            return {}
        votes = self._data.votes[place]
        return {COLUMNS[i]: int(votes[i]) for i in np.argsort(-votes, kind="stable") if votes[i]}


def _stamp(path: Path) -> tuple[int, int]:
    """Changes whenever the file is written. Raises MienError when it is gone."""
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    return status.st_mtime_ns, status.st_size
