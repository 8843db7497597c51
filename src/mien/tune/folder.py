"""Whose a folder of trials is: one search's, so that none deletes or goes on with the trainings of another."""

from __future__ import annotations

from pathlib import Path

import optuna

from mien.core.errors import MienError
from mien.core.files import read_table, write_json
from mien.tune import slots
from mien.tune.space import Space

FILE = "search.json"


def claim(out: Path, study: optuna.Study, space: Space, *, attempts: int) -> None:
    """Note in `out` whose its trials are, and write the study's first tickets, by the first of which it is known.

    A folder of an earlier mien has no note, and is taken as that of the study, if this has tickets.

    Raises:
        MienError: the trials in `out` are of another study, or of one whose storage is gone.
    """
    path = out / FILE
    # In this order, since another process of this search may be at its start: tickets, note, trials.
    trained = any((out / "trials").glob("*"))
    told = read_table(path, "study", "search", hint="choose another --out") if path.is_file() else None
    own = slots.identity(study)
    if own is None:
        if trained or told is not None:
            raise _foreign(out, told["study"] if told else None)
        slots.write_missing(study, space.points, attempts=attempts)
        own = slots.identity(study)
    if told is None:
        write_json(path, own)
    elif told != own:
        raise _foreign(out, told["study"])


def _foreign(out: Path, name: str | None) -> MienError:
    whose = "another search" if name is None else f"a search {name!r} with another storage or space"
    return MienError(f"{out}: its trials are of {whose}", hint="choose another --out")
