"""Who is shown, where the names of the files say it: the sets of posed faces number their people."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mien.data.formats.base import Entry, Notes

# Extended Cohn-Kanade, S005_001_00000011.png: person, take, frame (the set's own ReadMe).
CKPLUS = re.compile(r"(?P<subject>S\d{3})_(?P<take>\d{3})_(?P<frame>\d{8})", re.IGNORECASE)
# Karolinska Directed Emotional Faces, AF01ANS.JPG: session, person with sex, expression, angle (kdef.se).
KDEF = re.compile(
    r"(?P<session>[AB])(?P<subject>[FM]\d\d)(?P<expression>AF|AN|DI|HA|NE|SA|SU)(?P<angle>FL|HL|S|HR|FR)\.",
    re.IGNORECASE,
)
# Japanese Female Facial Expressions, KA.AN1.39.tiff: person, expression with its number, picture.
JAFFE = re.compile(r"(?P<subject>[A-Z]{2})\.(?P<expression>AN|DI|FE|HA|NE|SA|SU)\d*\.\d+\.", re.IGNORECASE)

_MOST = 0.9  # of the names must be of one kind: every set comes with a few misnamed files


def base_name(source: str) -> str:
    """The file's own name in a path with slashes."""
    return source.rpartition("/")[2]


def mostly(pattern: re.Pattern[str], sources: Iterable[str]) -> bool:
    """Whether nearly all files (at least one) are named in this way."""
    found = [pattern.match(base_name(source)) is not None for source in sources]
    return bool(found) and sum(found) >= _MOST * len(found)


def with_subjects(entries: list[Entry], notes: Notes) -> list[Entry]:
    """The entries with their person, where the files are named as one of the known sets names them."""
    for pattern in (CKPLUS, KDEF, JAFFE):
        if mostly(pattern, (entry.source for entry in entries)):
            matches = [pattern.match(base_name(entry.source)) for entry in entries]
            people = [match["subject"].upper() if match else None for match in matches]
            notes.add(f"{len(set(people) - {None}):,} people told apart by the names of the files")
            return [entry._replace(subject=who) for entry, who in zip(entries, people, strict=True)]
    return entries
