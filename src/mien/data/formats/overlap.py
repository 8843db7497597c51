"""Several lists or tables that name the same picture: train.csv and val.csv beside the all.csv they were cut from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mien.data.formats.base import Entry, Notes

Pair = tuple[Entry, Path | str]


def joined(parts: list[list[Pair]], notes: Notes) -> list[Pair]:
    """The entries of all parts (a list or table each), but a picture once where several parts name it.

    An entry without a split gives way to one with a split, and one that says nothing new to the first that said it.
    What then still stands in several parts says different things of one picture: that is noted, not decided.
    """
    places: dict[Path, list[tuple[int, Entry]]] = defaultdict(list)
    for number, part in enumerate(parts):
        for entry, path in part:
            if isinstance(path, Path):
                places[path].append((number, entry))
    dropped: set[int] = set()
    several = 0
    for found in places.values():
        if len({number for number, _ in found}) > 1:
            needless = _needless(found)
            dropped.update(needless)
            several += len({number for number, entry in found if entry.row not in needless}) > 1
    if dropped:
        notes.add(
            f"{len(dropped):,} entries left out: their pictures stand in another list, which says more or the same"
        )
    if several:
        notes.add(f"WARNING: {several:,} pictures stand in several lists with different splits or labels")
    return [pair for part in parts for pair in part if pair[0].row not in dropped]


def _needless(found: list[tuple[int, Entry]]) -> set[int]:
    """Rows of entries for one picture that another part makes needless; each comes with the number of its part."""
    known = any(entry.split for _, entry in found)
    needless: set[int] = set()
    said: dict[tuple[str | None, str | None], int] = {}
    for number, entry in found:
        says_less = known and entry.split is None
        if says_less or said.setdefault((entry.split, entry.label), number) != number:
            needless.add(entry.row)
    return needless
