"""From the finding `label-errors` to a file of corrections, without losing what somebody has decided before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.core.votes import COLUMNS
from mien.data import corrections
from mien.data.audit.finding import Finding
from mien.data.corrected import finder
from mien.data.corrections import Correction
from mien.data.dataset import Dataset


def suggestions(data: Dataset, finding: Finding) -> list[Correction]:
    """A line for each row of the finding, in its order, none decided.

    Args:
        data: the set that was looked at.
        finding: with the columns `suggested` (names) and `quality` (0 to 1, lower is worse).
    """
    sources, digests = data.column("source"), data.column("sha256")
    return [
        Correction(
            row=int(row),
            source=str(sources[row]),
            sha256=str(digests[row]),
            label=data.info.labels[data.label[row]],
            suggested=str(suggested),
            score=round(float(quality), 4),
            votes=_votes(data, row),
        )
        for row, suggested, quality in zip(
            finding.rows, finding.columns["suggested"], finding.columns["quality"], strict=True
        )
    ]


def _votes(data: Dataset, row: int) -> str:
    """Such as `sadness 6, neutral 3, fear 1`."""
    if data.votes is None:
        return ""
    votes = data.votes[row]
    return ", ".join(f"{COLUMNS[i]} {votes[i]}" for i in np.argsort(-votes, kind="stable") if votes[i])


def write_corrections(path: Path, data: Dataset, finding: Finding) -> int:
    """Write the suggestions to `path`; decisions that an earlier file has on the same pictures are kept.

    Pictures are the same where source and pixels are, be it in another row. Pictures that were decided on and are no
    longer doubted stand at the end. Decisions on pictures that the set has not, or not with the label they had, such as
    those that were applied since, are added to the file of `corrections.path_of_old`.

    Returns:
        How many decisions went there.

    Raises:
        MienError: an earlier file cannot be read: it is not overwritten.
    """
    earlier = corrections.read(path) if path.is_file() else []
    fitting, lost = _placed([line for line in earlier if line.action], data)
    if lost:
        _keep(corrections.path_of_old(path), lost)
    corrections.write(path, merged(suggestions(data, finding), fitting))
    return len(lost)


def _placed(earlier: Sequence[Correction], data: Dataset) -> tuple[list[Correction], list[Correction]]:
    """The lines about pictures of this set with the label they have, by the row and name it has now; the others."""
    find = finder(data.table, data.labels)
    fitting, lost = [], []
    for line in earlier:
        try:
            row = find(line)
        except MienError:
            lost.append(line)
        else:
            fitting.append(replace(line, row=row, label=data.info.labels[data.label[row]]))
    return fitting, lost


def _keep(path: Path, lost: Sequence[Correction]) -> None:
    """Add lines to the file `path`, each once."""
    lines = [*(corrections.read(path) if path.is_file() else []), *lost]
    once = {(line.row, line.source, line.sha256, line.label, line.action, line.new_label): line for line in lines}
    corrections.write(path, list(once.values()))


def merged(new: Sequence[Correction], earlier: Sequence[Correction]) -> list[Correction]:
    """New lines with earlier decisions on the same pictures and labels, then the other lines that were decided."""
    decided = {(line.sha256, line.row, line.label): line for line in earlier if line.action}
    lines = []
    for line in new:
        old = decided.pop((line.sha256, line.row, line.label), None)
        if old is not None:
            # What it was relabelled to must not change with the suggestion.
            chosen = old.target if old.action == "relabel" else ""
            line = replace(line, action=old.action, new_label=chosen, others=old.others)
        lines.append(line)
    return lines + list(decided.values())
