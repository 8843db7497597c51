"""From the finding to corrections.csv: what somebody has decided stays decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data import corrections
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.suggest import suggestions, write_corrections
from mien.data.correct_packed import correct_packed
from mien.data.corrected import locate
from mien.data.corrections import path_of_old
from mien.data.dataset import Dataset
from mien.data.derive import derive


def doubting(*rows: int, suggested: str = "happy") -> Finding:
    """A finding that doubts the labels of some rows."""
    quality = np.linspace(0, 0.4, len(rows))
    columns = {"suggested": np.array([suggested] * len(rows)), "quality": quality}
    return Finding(
        name="label-errors", severity=Severity.WARNING, verdict="", why="", rows=np.array(rows), columns=columns
    )


def decide(path: Path, row: int, action: str, new_label: str = "") -> None:
    lines = corrections.read(path)
    changed = [replace(line, action=action, new_label=new_label) if line.row == row else line for line in lines]
    corrections.write(path, changed)


def test_the_file_has_the_findings_order_and_everything_that_applying_needs(bar_set: Dataset, tmp_path: Path) -> None:
    write_corrections(tmp_path / "c.csv", bar_set, doubting(30, 4, 99))
    lines = corrections.read(tmp_path / "c.csv")
    assert [line.row for line in lines] == [30, 4, 99]
    assert [line.score for line in lines] == [0, 0.2, 0.4]
    assert {line.action for line in lines} == {""}
    first, second = _voted(bar_set, 30)
    assert lines[0].votes == f"{first} 8, {second} 2"
    assert locate(bar_set.table, bar_set.labels, lines, tmp_path / "c.csv") == [30, 4, 99]


def _voted(data: Dataset, row: int) -> list[str]:
    """Names of the vote columns with any, the most first, by the manifest's own names."""
    counts = {name: int(data.column(name)[row]) for name in data.table.column_names if name.startswith("votes_")}
    return [n.removeprefix("votes_") for n, c in sorted(counts.items(), key=lambda item: -item[1]) if c]


def test_another_audit_keeps_what_was_decided(bar_set: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_corrections(path, bar_set, doubting(30, 4, 99))
    decide(path, 4, "relabel")
    decide(path, 99, "drop")
    decide(path, 30, "keep")
    write_corrections(path, bar_set, doubting(4, 7, 30, suggested="sad"))
    lines = {line.row: line for line in corrections.read(path)}
    assert list(lines) == [4, 7, 30, 99]
    assert (lines[4].action, lines[4].target) == ("relabel", "happy"), "the label that was agreed to, not the new one"
    assert (lines[7].action, lines[30].action, lines[99].action) == ("", "keep", "drop")


def test_decisions_about_other_pixels_or_labels_go_to_a_file_of_their_own(bar_set: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_corrections(path, bar_set, doubting(4, 99))
    lines = corrections.read(path)
    other = [replace(lines[0], sha256="0" * 64, action="drop"), replace(lines[1], label="contempt", action="keep")]
    corrections.write(path, other)
    assert write_corrections(path, bar_set, doubting(4)) == 2
    assert [(line.row, line.action) for line in corrections.read(path)] == [(4, "")]
    assert corrections.read(path_of_old(path)) == other
    corrections.write(path, [other[0], replace(lines[0], source="gone", action="drop")])
    assert write_corrections(path, bar_set, doubting(4)) == 2
    assert len(corrections.read(path_of_old(path))) == 3, "added to those of before, each once"


def test_decisions_follow_their_pictures_when_rows_have_moved(bar_set: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_corrections(path, bar_set, doubting(30, 4, 99))
    decide(path, 30, "keep")
    decide(path, 4, "relabel", "fear")
    decide(path, 99, "drop")
    corrected = correct_packed(bar_set.path, tmp_path / "new", path).dataset
    assert write_corrections(path, corrected, doubting(7, 29)) == 2, "the one that was dropped, and the relabelled one"
    row = corrected.column("source").tolist().index("bar0030")
    kept = next(line for line in corrections.read(path) if line.action)
    assert (kept.source, kept.action, kept.row) == ("bar0030", "keep", row)
    assert {line.action for line in corrections.read(path_of_old(path))} == {"relabel", "drop"}
    first = derive(bar_set, tmp_path / "shifted", rule={}, rows=np.arange(20, 160))
    write_corrections(path, bar_set, doubting(30))
    decide(path, 30, "keep")
    assert write_corrections(path, first, doubting(3)) == 0
    assert [(line.row, line.action) for line in corrections.read(path)] == [(3, ""), (10, "keep")]


def test_a_file_that_cannot_be_read_is_not_overwritten(bar_set: Dataset, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("my notes\n")
    with pytest.raises(MienError, match="not a file of corrections"):
        write_corrections(tmp_path / "c.csv", bar_set, doubting(4))
    assert (tmp_path / "c.csv").read_text() == "my notes\n"


def test_without_votes_the_column_is_empty(bar_set: Dataset) -> None:
    plain = replace(bar_set, table=bar_set.table.drop_columns([n for n in bar_set.table.column_names if "votes" in n]))
    assert suggestions(plain, doubting(4))[0].votes == ""


def test_a_decision_meets_its_picture_by_any_name_of_the_label(bar_set: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    write_corrections(path, bar_set, doubting(0, 7))
    lines = corrections.read(path)
    assert {line.label for line in lines} == {"angry"}
    spelt = [replace(line, label="Anger", action="relabel", new_label="happiness") for line in lines]
    corrections.write(path, spelt)
    assert write_corrections(path, bar_set, doubting(0)) == 0
    lines = corrections.read(path)
    assert locate(bar_set.table, bar_set.labels, lines, path) == [0, 7], "each once"
    assert [(line.label, line.action, line.new_label) for line in lines] == [("angry", "relabel", "happiness")] * 2
