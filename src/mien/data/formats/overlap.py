"""Several lists or tables that name the same picture: train.csv and val.csv beside the all.csv they were cut from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mien.data.formats.base import Entry, Notes

Pair = tuple[Entry, Path | str]


def joined(parts: list[list[Pair]], notes: Notes) -> list[Pair]:
    """The entries of all parts (a list or table each), but a picture once where several parts name it.

    An entry without a split gives way to one with a split, which takes label and person from it where it says none
    itself, and one that says nothing new gives way to the first that said it. What then still stands in several parts
    says different things of one picture: that is noted, not decided.
    """
    places: dict[Path, list[tuple[int, Entry]]] = defaultdict(list)
    for number, part in enumerate(parts):
        for entry, path in part:
            if isinstance(path, Path):
                places[path].append((number, entry))
    dropped: set[int] = set()
    completed: dict[int, Entry] = {}
    several = 0
    for found in places.values():
        if len({number for number, _ in found}) > 1:
            fuller = _completed(found)
            completed |= {new.row: new for (_, old), (_, new) in zip(found, fuller, strict=True) if new != old}
            needless = _needless(fuller)
            dropped.update(needless)
            several += len({number for number, entry in fuller if entry.row not in needless}) > 1
    if completed:
        notes.add(f"{len(completed):,} entries take their label or person from another list, which says no split")
    if dropped:
        notes.add(
            f"{len(dropped):,} entries left out: their pictures stand in another list, which says more or the same"
        )
    if several:
        notes.add(f"WARNING: {several:,} pictures stand in several lists with different splits or labels")
    return [(completed.get(entry.row, entry), path) for p in parts for entry, path in p if entry.row not in dropped]


def _completed(found: list[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
    """The entries for one picture, those with a split completed by what the others agree on."""
    others = [entry for _, entry in found if entry.split is None]
    label = _only({entry.label for entry in others if entry.label})
    person = _only({entry.subject for entry in others if entry.subject})
    return [
        (number, entry if entry.split is None else _filled(entry, label=label, person=person))
        for number, entry in found
    ]


def _filled(entry: Entry, *, label: str | None, person: str | None) -> Entry:
    return entry._replace(label=entry.label or label or entry.label, subject=entry.subject or person)


def _only(said: set[str]) -> str | None:
    return next(iter(said)) if len(said) == 1 else None


def _needless(found: list[tuple[int, Entry]]) -> set[int]:
    """Rows of entries for one picture that another part makes needless; each comes with the number of its part."""
    known = [entry for _, entry in found if entry.split]
    labelled = any(entry.label for entry in known)
    needless: set[int] = set()
    said: dict[tuple[str | None, str | None], int] = {}
    for number, entry in found:
        says_less = known and entry.split is None and (labelled or not entry.label)
        if says_less or said.setdefault((entry.split, entry.label), number) != number:
            needless.add(entry.row)
    return needless
