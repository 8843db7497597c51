"""The file of corrections: what is read, what is refused, and that editing it loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data import corrections
from mien.data.corrections import Correction

LINES = [
    Correction(row=7, source="a, b.png", sha256="f" * 64, label="sad", suggested="happy", score=0.0125, votes="sad 1"),
    Correction(
        row=2, source="ß.png", sha256="0" * 64, label="sad", action="relabel", new_label="fear", suggested="happy"
    ),
    Correction(row=3, source="c.png", sha256="1" * 64, label="fear", action="drop"),
]


def write(path: Path, *lines: str, header: str = "row,source,label,action,sha256") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    corrections.write(tmp_path / "c.csv", LINES)
    assert corrections.read(tmp_path / "c.csv") == LINES


def test_relabel_gives_the_new_label_and_without_one_the_suggested() -> None:
    assert LINES[1].target == "fear"
    assert LINES[0].target == "happy"


def test_columns_that_somebody_added_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "1,a,sad,keep,00,odd one", header="row,source,label,action,sha256,Comment")
    corrections.write(path, corrections.read(path))
    assert corrections.read(path)[0].others == {"comment": "odd one"}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_file_that_a_spreadsheet_saved_is_understood(tmp_path: Path, delimiter: str) -> None:
    text = "row,source,label,action,sha256,score\n1,a,sad,Relabel,00,\n".replace(",", delimiter)
    text = text.replace("00" + delimiter, f"00{delimiter}0,25").replace("action", "action ")
    (tmp_path / "c.csv").write_text(text.replace(f"Relabel{delimiter}", f"KEEP{delimiter}"), encoding="utf-8-sig")
    (line,) = corrections.read(tmp_path / "c.csv")
    assert (line.row, line.action, line.score) == (1, "keep", 0.25)


def test_empty_lines_are_skipped_and_no_action_means_undecided(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "1,a,sad,,00", "", "2,b,sad,drop,11")
    assert corrections.counts(corrections.read(path)) == {"keep": 0, "relabel": 0, "drop": 1, "undecided": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,a,sad,relable,00", r"line 3: 'relable'\n.*'relabel'"),
        ("1,a,sad,relabel,00", r"line 3: relabel, but to what"),
        ("one,a,sad,keep,00", r"line 3: row 'one' is no whole number"),
        ("-1,a,sad,keep,00", r"line 3: row '-1'"),
        ("1,a,b,sad,keep,00", r"line 3: 6 cells under 5 columns"),
    ],
)
def test_a_cell_that_says_nothing_sensible_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(MienError, match=said):
        corrections.read(write(tmp_path / "c.csv", "0,z,sad,keep,99", line))


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no column row, source, action, sha256"):
        corrections.read(write(tmp_path / "c.csv", "1,2", header="label,pixels"))


def test_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="mien data audit"):
        corrections.read(tmp_path / "c.csv")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00row")
    with pytest.raises(MienError, match="cannot be read"):
        corrections.read(tmp_path / "c.csv")
