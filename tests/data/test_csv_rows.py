"""Cutting rows at their commas gives what a plain split gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.formats.csv_rows import Columns

LAYOUTS = {
    "fer2013": Columns(3, 1, 0, 2),
    "icml": Columns(3, 2, 0, 1),
    "pixels alone": Columns(1, 0, None, None),
    "more columns": Columns(6, 3, 1, 5),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.text("1 2,", max_size=20))
def test_a_row_is_cut_like_a_plain_split(layout: str, line: str) -> None:
    columns = LAYOUTS[layout]
    cells = [cell.strip() for cell in line.split(",")]
    row = columns.cut(f"{line}\n".encode())
    if len(cells) != columns.count:
        assert row.fault == f"{len(cells)} columns instead of {columns.count}"
        return
    assert row.fault == ""
    assert row.pixels.decode() == cells[columns.pixels]
    assert row.label == (None if columns.label is None else cells[columns.label])
    assert row.usage == (None if columns.usage is None else cells[columns.usage])


def test_quotes_around_cells_are_taken_off() -> None:
    row = LAYOUTS["fer2013"].cut(b'"3","70 80 "," Training"\r\n')
    assert (row.label, row.pixels, row.usage, row.fault) == ("3", b"70 80", "Training", "")
