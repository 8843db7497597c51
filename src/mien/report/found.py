"""What other verbs have left in a run folder for people to read: the diagnosis and the pictures that explain."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.evaluate.bound import OTHER, bound, held
from mien.evaluate.history import read_history
from mien.evaluate.plots import PIXELS_AN_INCH
from mien.evaluate.report import Drawing, Verdict
from mien.explain.index import FILE, Shown, read
from mien.page.words import plural

_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".svg": "svg+xml"}
_AGAIN = "mien diagnose RUN writes it again"
EXPLAIN = "explain"


class _Told(BaseModel):
    """A verdict in diagnosis.json; keys of later versions are passed over."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    title: str
    what: str
    evidence: str | list[str] = ""
    confidence: str = ""
    severity: Literal["severe", "warning", "note"] = "note"
    try_first: str | None = None
    expected_gain: str | None = None
    epoch: int | None = None


class _Diagnosis(BaseModel):
    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    verdicts: list[_Told]
    healthy: bool


def read_diagnosis(run: RunDir) -> tuple[str, tuple[Verdict, ...]]:
    """A sentence on the whole, and the verdicts in their order; "" where the run was not diagnosed as it is now.

    Raises:
        MienError: the file is damaged or of a later format; names the key.
    """
    path = run.diagnosis
    if not path.is_file() or outlived(run):
        return "", ()
    try:
        found = _Diagnosis.model_validate(run.read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise MienError(f"{path}: {key}: {first['msg']}", hint=_AGAIN) from None
    if not found.verdicts:
        return "Nothing found: by all that was looked at, this run is healthy.", ()
    notes = sum(one.severity == "note" for one in found.verdicts)
    faults = len(found.verdicts) - notes
    noted = f"; {plural(notes, 'note')}" if notes else ""
    if faults:
        told = f"{plural(faults, 'verdict')}, the most important first{noted}."
    else:
        told = f"Nothing found but {plural(notes, 'note')}: by all that was looked at, this run is healthy."
    return told, tuple(_verdict(one, str(number)) for number, one in enumerate(found.verdicts, 1))


def _verdict(told: _Told, mark: str) -> Verdict:
    evidence = [told.evidence] if isinstance(told.evidence, str) else told.evidence
    return Verdict(
        title=told.title,
        tone=told.severity,
        what=told.what,
        evidence=tuple(text for text in evidence if text),
        confidence=told.confidence,
        try_first=told.try_first or "",
        expected_gain=told.expected_gain or "",
        epoch=told.epoch,
        mark=mark,
        name=told.name,
    )


def outlived(run: RunDir) -> str:
    """Why the diagnosis is of an earlier state of the run; "" where it is not, or there is none."""
    if not run.diagnosis.is_file():
        return ""
    facts, now = run.read_json(run.diagnosis).get("facts", {}), len(read_history(run))
    if facts.get("epochs", now) != now:
        return f"of epoch {facts['epochs']}, and the run has now done {now}"
    answers = facts.get("answers")  # of the weights that were judged
    same = answers is None or not run.best.is_file() or answers == bound(run.path)["answers"]
    return "" if same else OTHER


def read_drawings(run: RunDir) -> tuple[tuple[Drawing, ...], tuple[str, ...]]:
    """The pictures that explain, as data URIs, in their order; none where the run was not explained.

    Second, the groups that are left out since they were made of weights that the run no longer has.

    Raises:
        MienError: a picture is missing, of no known kind, or outside of the folder.
    """
    folder = run.path / EXPLAIN
    entries = read(folder)
    now = held(run) if entries else set()
    fresh = [one for one in entries if not one.weights or not now or one.weights in now]
    return tuple(_drawing(folder, one) for one in fresh), tuple(
        dict.fromkeys(one.group for one in entries if one not in fresh)
    )


def _drawing(folder: Path, one: Shown) -> Drawing:
    path = _checked(folder, one.file)
    try:
        data, width = path.read_bytes(), None if path.suffix.lower() == ".svg" else _width(path)
    except OSError as error:
        raise MienError(f"{path}: cannot be read ({error})", hint="explain the run again") from None
    kind = _KINDS[path.suffix.lower()]
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return Drawing(one.title, one.text, uri, _heading(one.group), width)


def _width(path: Path) -> int:
    """In CSS px, of which an inch has 96, whatever resolution a picture was drawn at."""
    with Image.open(path) as picture:
        return round(picture.width * 96 / PIXELS_AN_INCH)


def _heading(group: str) -> str:
    return group.replace("-", " ").capitalize()


def _checked(folder: Path, name: str) -> Path:
    """Only pictures below the folder: an index from elsewhere must not read other files into a page."""
    path = (folder / name).resolve()
    if path.suffix.lower() not in _KINDS or not path.is_relative_to(folder.resolve()):
        raise MienError(f"{folder / FILE}: {name!r} is no picture in this folder", hint="explain the run again")
    return path


def marks(verdicts: Sequence[Verdict]) -> dict[int, str]:
    """Epochs to mark in the curves, with the numbers of the verdicts that name them."""
    told: dict[int, str] = {}
    for one in verdicts:
        if one.epoch is not None:
            told[one.epoch] = f"{told[one.epoch]}, {one.mark}" if one.epoch in told else one.mark
    return told
