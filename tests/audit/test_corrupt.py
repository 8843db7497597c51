"""What could not be read at import, as a finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.audit.corrupt import check, corrupt
from mien.data.audit.finding import Severity
from mien.data.dataset import Dataset
from mien.data.derive import derive
from mien.data.rejects import Reject, Rejects, read


def damaged(count: int, reason: str = "damaged or unreadable (image file is truncated (3 bytes))") -> list[Reject]:
    return [Reject(i, f"{i}.png", reason, "damaged") for i in range(count)]


@pytest.mark.parametrize(
    ("count", "severity"), [(0, Severity.FINE), (2, Severity.NOTE), (30, Severity.WARNING), (300, Severity.SEVERE)]
)
def test_the_share_of_pictures_that_are_missing_decides(count: int, severity: Severity) -> None:
    found = corrupt(damaged(count), 1000)
    assert found.severity is severity
    assert found.figures["share"] == pytest.approx(count / (1000 + count), abs=1e-6)


def test_reasons_are_told_by_kind_and_not_file_by_file() -> None:
    found = corrupt([*damaged(2), *damaged(1, "100000×100000 pixels, more than 64,000,000")], 97)
    assert "3 pictures of the source (3.00\u00a0%) could not be taken" in found.verdict
    assert "damaged or unreadable (2) and …×… pixels, more than … (1)" in found.verdict


def test_what_was_left_out_on_purpose_is_no_fault() -> None:
    assert corrupt([Reject(0, "a.png", "class 'x' has no counterpart", "left out")], 10).severity is Severity.FINE


def test_rejects_are_read_as_they_were_written(tmp_path: Path) -> None:
    rejects = Rejects()
    rejects.add(2, "b, c.png", 'a "reason"')
    rejects.leave_out(1, "a.png", "not wanted")
    rejects.write(tmp_path / "rejects.csv")
    assert read(tmp_path / "rejects.csv") == sorted(rejects.items)


def test_rejects_of_an_earlier_version_have_no_kind(tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").write_text("row,source,reason\n4,a.png,gone\n")
    assert read(tmp_path / "rejects.csv") == [Reject(4, "a.png", "gone", "damaged")]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "row,source,reason\nx,a.png,gone\n", "row,source,reason\n,,\n"])
def test_a_file_that_is_no_list_of_rejects_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").write_text(text)
    with pytest.raises(MienError, match="cannot be read"):
        read(tmp_path / "rejects.csv")


def test_of_a_derived_set_nothing_is_claimed(bar_set: Dataset, tmp_path: Path) -> None:
    assert "could be read" in check(bar_set)[0].verdict
    part = derive(bar_set, tmp_path / "part", rule={"verb": "subset"}, rows=np.arange(40))
    [found] = check(part)
    assert found.verdict == "Not known for a derived set: audit the set that it was made of, bars."
    assert found.figures == {"pictures": None, "share": None}
