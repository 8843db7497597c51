"""corrections.csv: what to do about doubtful labels, a line each, for people, spreadsheets and programs to edit."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from mien.core.errors import MienError, unknown_name
from mien.core.files import atomic_path
from mien.core.paths import unreadable

FILE_NAME = "corrections.csv"
ACTIONS = ("keep", "relabel", "drop")
_REQUIRED = ("row", "source", "label", "action", "sha256")
_LARGEST_CELL = 1 << 16


@dataclass(frozen=True)
class Correction:
    """One line of the file: a picture, its label, and what shall happen to it.

    Attributes:
        row: position in the packed set that was audited.
        source: where the picture came from, as the manifest says.
        sha256: of its pixels, as the manifest says: a file for another set is refused by it.
        label: name of the label it has.
        suggested: name of the label that the audit would give it.
        score: quality of the label, 0 to 1, lower is worse; None in lines that no audit wrote.
        votes: what FER+ voters said, for people.
        action: keep, relabel, drop, or empty: not decided yet, which leaves the picture as it is.
        new_label: what relabel gives; empty: `suggested`.
        others: columns that someone added, kept as they are.
    """

    row: int
    source: str
    sha256: str
    label: str
    suggested: str = ""
    score: float | None = None
    votes: str = ""
    action: str = ""
    new_label: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The label that relabel gives."""
        return self.new_label or self.suggested


COLUMNS = ("row", "source", "label", "suggested", "score", "votes", "action", "new_label", "sha256")
assert set(COLUMNS) == {f.name for f in fields(Correction)} - {"others"}


def counts(corrections: Iterable[Correction]) -> dict[str, int]:
    """How many lines say keep, relabel, drop, or nothing yet (`undecided`)."""
    found = Counter(line.action for line in corrections)
    return {action: found[action] for action in ACTIONS} | {"undecided": found[""]}


def path_of_old(path: Path) -> Path:
    """Where an audit puts the decisions in the file `path` that are about nothing in its set, or were applied to it."""
    return path.with_name(f"{path.name}.old")


def read(path: Path) -> list[Correction]:
    """Read corrections in the order of the file; commas, semicolons and tabs are all understood.

    Raises:
        MienError: no such file, not a table of corrections, or a cell that says nothing sensible; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
            _check_header(path, names)
            rows = csv.reader(file, delimiter=delimiter)
            return [_correction(path, rows.line_num + 1, names, cells) for cells in rows if any(cells)]
    except FileNotFoundError:
        raise MienError(f"{path}: no such file", hint="`mien data audit DATA` writes one") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from None


def _check_header(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise MienError(
            f"{path}: not a file of corrections (no column {', '.join(missing)})",
            hint=f"its header is {','.join(COLUMNS)}",
        )


def _correction(path: Path, line: int, names: Sequence[str], cells: Sequence[str]) -> Correction:
    where = f"{path}: line {line}"
    if len(cells) != len(names) or max(map(len, cells)) > _LARGEST_CELL:
        raise MienError(
            f"{where}: {len(cells)} cells under {len(names)} columns", hint="put texts with commas in quotes"
        )
    cell = dict(zip(names, (text.strip() for text in cells), strict=True))
    action = cell["action"].lower()
    if action and action not in ACTIONS:
        raise unknown_name(f"action in {where}:", cell["action"], ACTIONS)
    known = {name: cell.get(name, "") for name in ("source", "sha256", "label", "suggested", "votes", "new_label")}
    correction = Correction(
        row=_row(where, cell["row"]),
        score=_score(where, cell.get("score", "")),
        action=action,
        others={name: text for name, text in cell.items() if name not in COLUMNS},
        **known,
    )
    if action == "relabel" and not correction.target:
        raise MienError(f"{where}: relabel, but to what?", hint="fill in new_label")
    return correction


def _row(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise MienError(f"{where}: row {text!r} is no whole number", hint="rows count from 0, as in the manifest")
    return int(text)


def _score(where: str, text: str) -> float | None:
    try:
        # Some spreadsheets write decimal commas.
        return float(text.replace(",", ".")) if text else None
    except ValueError:
        raise MienError(f"{where}: score {text!r} is no number", hint="leave it empty or as it was") from None


def write(path: Path, corrections: Sequence[Correction]) -> None:
    """Write corrections in this order, atomically."""
    others = list(dict.fromkeys(name for line in corrections for name in line.others))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *others])
        for line in corrections:
            score = "" if line.score is None else f"{line.score:.4f}"
            own = {**vars(line), "score": score}
            writer.writerow([*(own[name] for name in COLUMNS), *(line.others.get(name, "") for name in others)])
