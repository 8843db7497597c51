"""Corrections applied to a packed set, into a new one: `mien data import PACKED --corrections FILE`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.data.corrected import correct
from mien.data.dataset import load
from mien.data.derive import check_place, derive
from mien.data.formats.base import Progress
from mien.data.pack import Imported
from mien.data.rejects import Rejects


def correct_packed(
    source: Path, out: Path, corrections: Path, *, force: bool = False, progress: Progress | None = None
) -> Imported:
    """Write the packed set `source` with the corrections in a file as the packed set `out`.

    Raises:
        MienError: as `corrected.correct` and `derive.derive`.
    """
    parent = load(source)
    check_place(parent, out, inputs=[corrections], force=force)
    corrected = correct(parent.table, parent.labels, corrections)
    rows = np.flatnonzero(corrected.kept)
    columns = {"label": corrected.label[rows], "flags": corrected.flags[rows]}
    made = derive(
        parent,
        out,
        rule=corrected.rule,
        rows=rows,
        columns=columns,
        inputs=[corrections],
        force=force,
        progress=progress,
    )
    return Imported(made, [corrected.note], Rejects())
