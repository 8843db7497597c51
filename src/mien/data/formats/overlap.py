"""Several lists or tables that name the same picture: train.csv and val.csv beside the all.csv they were cut from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from mien.data.formats.base import Entry, Notes

Pair = tuple[Entry, Path | str]
Named = tuple[str, Entry]  # with the name of its part


def joined(parts: Mapping[str, list[Pair]], notes: Notes) -> list[Pair]:
    """The entries of all parts (a list or table each, by name), but a picture once where several parts name it.

    A part without splits that labels pictures of test alone is left out: such are a model's answers. An entry without a
    split gives way to one with a split, which takes label and person from it where it says none itself, and one that
    says nothing new gives way to the first that said it. What then still stands in several parts says different things
    of one picture: that is noted, not decided.
    """
    parts = _without_answers(parts, notes)
    dropped: set[int] = set()
    completed: dict[int, Entry] = {}
    sources: set[str] = set()
    several = 0
    for found in _places(parts).values():
        if len({name for name, _ in found}) > 1:
            fuller = _completed(found)
            new = {filled.row: filled for (_, old), (_, filled) in zip(found, fuller, strict=True) if filled != old}
            completed |= new
            sources |= {name for name, entry in found if new and entry.split is None}
            needless = _needless(fuller)
            dropped.update(needless)
            several += len({name for name, entry in fuller if entry.row not in needless}) > 1
    if completed:
        names = ", ".join(sorted(sources))
        notes.add(f"{len(completed):,} entries that say the split take their label or person from {names}")
    if dropped:
        notes.add(
            f"{len(dropped):,} entries left out: their pictures stand in another list, which says more or the same"
        )
    if several:
        notes.add(f"WARNING: {several:,} pictures stand in several lists with different splits or labels")
    pairs = (pair for part in parts.values() for pair in part)
    return [(completed.get(entry.row, entry), path) for entry, path in pairs if entry.row not in dropped]


def _places(parts: Mapping[str, list[Pair]]) -> dict[Path, list[Named]]:
    """What is said of each picture."""
    places: dict[Path, list[Named]] = defaultdict(list)
    for name, part in parts.items():
        for entry, path in part:
            if isinstance(path, Path):
                places[path].append((name, entry))
    return places


def _without_answers(parts: Mapping[str, list[Pair]], notes: Notes) -> Mapping[str, list[Pair]]:
    """The parts but those that label pictures of test alone, without saying so themselves."""
    tested = {path for path, found in _places(parts).items() if any(entry.split == "test" for _, entry in found)}
    answers = [name for name, part in parts.items() if _labels_only(part, tested)]
    for name in answers:
        notes.add(f"{name} left out: it labels pictures of test alone, as the answers of a model do")
    return {name: part for name, part in parts.items() if name not in answers}


def _labels_only(part: list[Pair], tested: set[Path]) -> bool:
    """Whether a part without splits has labels, and all its pictures are among those of test."""
    if any(entry.split is not None for entry, _ in part) or not any(entry.label for entry, _ in part):
        return False
    paths = {path for _, path in part if isinstance(path, Path)}
    return bool(paths) and paths <= tested


def _completed(found: list[Named]) -> list[Named]:
    """The entries for one picture, those with a split completed by what the others agree on."""
    others = [entry for _, entry in found if entry.split is None]
    label = _only({entry.label for entry in others if entry.label})
    person = _only({entry.subject for entry in others if entry.subject})
    return [
        (name, entry if entry.split is None else _filled(entry, label=label, person=person)) for name, entry in found
    ]


def _filled(entry: Entry, *, label: str | None, person: str | None) -> Entry:
    return entry._replace(label=entry.label or label or entry.label, subject=entry.subject or person)


def _only(said: set[str]) -> str | None:
    return next(iter(said)) if len(said) == 1 else None


def _needless(found: list[Named]) -> set[int]:
    """Rows of entries for one picture that another part makes needless."""
    known = [entry for _, entry in found if entry.split]
    labelled = any(entry.label for entry in known)
    needless: set[int] = set()
    said: dict[tuple[str | None, str | None], str] = {}
    for name, entry in found:
        says_less = known and entry.split is None and (labelled or not entry.label)
        if says_less or said.setdefault((entry.split, entry.label), name) != name:
            needless.add(entry.row)
    return needless
