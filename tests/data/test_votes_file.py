"""FER+ votes: reading fer2013new.csv and joining it to fer2013.csv by row order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.pack import ImportOptions, import_data
from mien.data.votes_check import agreement, sentence
from mien.data.votes_file import HEADER, read_votes, write_votes

Write = Callable[..., Path]
PICTURES = [(3, 1, "Training"), (6, 2, "Training"), (4, 3, "PublicTest"), (0, 4, "PrivateTest")]
USAGES = [usage for _, _, usage in PICTURES]


def vote_text(usages: list[str], *, header: str = ",".join(HEADER)) -> str:
    """A vote file whose row i has i votes for neutral and 9 for anger; names drift as in the real file."""
    return "\n".join([header, *(f"{u},fer{i + 7:07d}.png,{i},0,0,0,9,0,0,0,0,1" for i, u in enumerate(usages))]) + "\n"


def test_votes_beside_the_pictures_are_found_and_joined_by_row(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text(USAGES))
    imported = import_data(write_csv(PICTURES), tmp_path / "packed")
    assert imported.dataset.votes.tolist() == [[i, 0, 0, 0, 9, 0, 0, 0, 0, 1] for i in range(4)]
    assert any("FER+ votes from" in note for note in imported.notes)


def test_votes_can_be_named_or_left_out(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text(USAGES))
    (tmp_path / "mine.csv").write_text(vote_text(USAGES).replace(",9,", ",8,"))
    source = write_csv(PICTURES)
    named = import_data(source, tmp_path / "a", options=ImportOptions(votes=tmp_path / "mine.csv")).dataset
    assert named.votes[:, 4].tolist() == [8] * 4
    assert not import_data(source, tmp_path / "b", options=ImportOptions(votes=False)).dataset.has_votes


def test_a_rejected_row_takes_its_votes_along(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text(USAGES))
    broken = [PICTURES[0], (1, "1 2 3", "Training"), *PICTURES[2:]]
    data = import_data(write_csv(broken), tmp_path / "packed").dataset
    assert data.votes[:, 0].tolist() == [0, 2, 3]


def test_a_usage_that_disagrees_names_the_first_such_row(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text([USAGES[0], "PublicTest", "Training", USAGES[3]]))
    with pytest.raises(MienError, match=r"row 1 \(from 0\) is PublicTest, but that picture is Training"):
        import_data(write_csv(PICTURES), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_fewer_votes_than_pictures_name_the_first_row_without(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text(USAGES[:3]))
    with pytest.raises(MienError, match="3 rows of votes, but the pictures go on at row 3"):
        import_data(write_csv(PICTURES), tmp_path / "packed")


def test_more_votes_than_pictures_are_refused(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "fer2013new.csv").write_text(vote_text([*USAGES, "PrivateTest"]))
    with pytest.raises(MienError, match="5 rows of votes for 4 rows of pictures"):
        import_data(write_csv(PICTURES), tmp_path / "packed")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("Training,x,1,2,3,4,5,6,7,8,9", "row 1"),
        ("Holdout,x,1,2,3,4,5,6,7,8,9,0", "row 1"),
        ("Training,x,1,2,3,4,5,6,7,8,9,-1", "row 1"),
        ("Training,x,1,2,3,4,5,6,7,8,9,1.5", "row 1"),
        ("Training,x,1,2,3,4,5,6,7,8,9,256", "row 1"),
        ("Training,x,1,2,3,4,5,6,7,8,9,", "row 1"),
    ],
)
def test_a_row_that_is_no_vote_is_named(row: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(vote_text(["Training"]) + row + "\n" + vote_text(["Training"]).partition("\n")[2])
    with pytest.raises(MienError, match=fault):
        read_votes(path)


def test_spaces_around_cells_are_read_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(vote_text(USAGES))
    (tmp_path / "b.csv").write_text(vote_text(USAGES).replace(",", " , "))
    plain, spaced = read_votes(tmp_path / "a.csv"), read_votes(tmp_path / "b.csv")
    assert (plain.splits, plain.names, plain.votes) == (spaced.splits, spaced.names, spaced.votes)


def test_another_table_is_no_vote_file(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MienError, match="not a FER\\+ vote file"):
        read_votes(tmp_path / "v.csv")
    with pytest.raises(MienError, match=r"gone\.csv: no such file"):
        read_votes(tmp_path / "gone.csv")


def test_votes_written_are_votes_read(tmp_path: Path) -> None:
    votes = np.random.default_rng(0).integers(0, 11, (20, 10)).tolist()
    splits = ["train", "val", "test", "train"] * 5
    names = [f"{i}.png" if i % 3 else "" for i in range(20)]
    write_votes(tmp_path / "v.csv", votes, splits=splits, names=names)
    table = read_votes(tmp_path / "v.csv")
    assert (table.splits, table.names) == (splits, names)
    assert [list(row) for row in table.votes] == votes
    assert "" not in table.by_name()


def test_labels_and_votes_in_the_wrong_order_are_noticed() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 2000)
    column = np.array([4, 5, 6, 1, 3, 2, 0])[labels]  # the vote column of each FER2013 id
    votes = np.eye(10, dtype=np.int64)[column] * 10
    assert agreement(labels, FER2013, votes) == 1.0
    assert agreement(labels[::-1], FER2013, votes) < 0.25
    assert "WARNING" in sentence(0.2)
    assert "WARNING" not in sentence(0.68)


def test_a_handful_of_pictures_says_nothing_about_agreement() -> None:
    assert agreement(np.zeros(9, int), FER2013, np.eye(10, dtype=np.int64)[[4] * 9] * 10) is None
