"""`index.json` of an explain folder: what there is to see, in the order to see it, for pages that show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mien.core.errors import MienError
from mien.core.files import write_json

FILE = "index.json"
# The order of the groups on a page.
GROUPS = ("calibration", "slices", "robustness", "mistakes", "attention", "layers", "architecture")


@dataclass(frozen=True)
class Shown:
    """One picture of an explanation.

    Attributes:
        title: a few words.
        text: what is to be seen in it, with the figures, as plain sentences.
        file: path from the explain folder, with "/".
        group: one of `GROUPS`.
        weights: digest of the tensors it was made of; "" where that is not known.
    """

    title: str
    text: str
    file: str
    group: str
    weights: str = ""


def record(folder: Path, group: str, shown: Sequence[Shown], *, weights: str) -> list[Shown]:
    """Put the pictures of a group into the index of `folder` in place of its earlier ones; other groups stay.

    `weights` is the digest of the tensors they were made of, see `models.store.digest`; it stands in what is returned.
    """
    kept = [one for one in read(folder) if one.group != group]
    new = [replace(one, weights=weights) for one in shown]
    entries = sorted([*kept, *new], key=lambda one: GROUPS.index(one.group))
    write_json(folder / FILE, [asdict(one) for one in entries])
    return new


def read(folder: Path) -> list[Shown]:
    """The entries of a folder's index; none where there is no index yet.

    Raises:
        MienError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        return [Shown(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise MienError(f"{path}: damaged ({error})", hint="delete the folder and explain again") from None
