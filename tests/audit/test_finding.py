"""The shape that every finding has."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.audit.finding import Finding, Plot, Severity, Sheet, worst


def test_severities_are_ordered_by_how_bad_they_are_and_not_by_the_alphabet() -> None:
    ordered = [Severity.FINE, Severity.NOTE, Severity.WARNING, Severity.SEVERE]
    assert sorted([ordered[2], ordered[0], ordered[3], ordered[1]]) == ordered
    for low, high in pairwise(ordered):
        assert low < high
        assert high > low
        assert low <= high
        assert low <= low
        assert high >= low
        assert not low > high
        assert not high <= low


def test_the_worst_of_no_findings_is_fine() -> None:
    note = Finding("a", Severity.NOTE, "", "")
    severe = Finding("b", Severity.SEVERE, "", "")
    assert worst([]) is Severity.FINE
    assert worst([note, severe, note]) is Severity.SEVERE


def test_a_column_that_is_not_as_long_as_the_rows_is_refused() -> None:
    with pytest.raises(MienError, match="column 'score' has 2 of 3 rows"):
        Finding("a", Severity.NOTE, "", "", rows=np.arange(3), columns={"score": np.zeros(2)})


def test_texts_under_a_sheet_are_as_many_as_its_pictures() -> None:
    with pytest.raises(MienError, match="1 texts under 2 pictures"):
        Sheet("faces", np.arange(2), ("one",))
    assert Sheet("faces", under=("one",), pictures=np.zeros((1, 4, 4), np.uint8)).under == ("one",)


def test_a_series_of_a_plot_has_a_value_at_each_place() -> None:
    with pytest.raises(MienError, match="3 values of 'train' at 2 places"):
        Plot("counts", ("a", "b"), {"train": np.zeros(3)})
