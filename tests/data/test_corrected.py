"""Applying corrections at an import and to a packed set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.cli.app import run
from mien.core.errors import MienError
from mien.data import corrections
from mien.data.correct_packed import correct_packed
from mien.data.corrected import locate
from mien.data.corrections import Correction
from mien.data.dataset import Dataset, load
from mien.data.pack import ImportOptions, import_data

CLASSES = ("angry", "happy", "sad")


@pytest.fixture
def source(write_pictures: Callable[..., Path]) -> Path:
    """Eight pictures of each of three classes, without splits."""
    return write_pictures({f"{name}/{i}.png": 10 * k + i for k, name in enumerate(CLASSES) for i in range(8)})


@pytest.fixture
def before(source: Path, tmp_path: Path) -> Dataset:
    """The source as it is imported without corrections."""
    return import_data(source, tmp_path / "before").dataset


def line(data: Dataset, row: int, action: str, new_label: str = "") -> Correction:
    """A correction of a row of `data`."""
    return Correction(
        row=row,
        source=str(data.column("source")[row]),
        sha256=str(data.column("sha256")[row]),
        label=data.info.labels[data.label[row]],
        suggested="sad",
        action=action,
        new_label=new_label,
    )


def saved(tmp_path: Path, *lines: Correction) -> Path:
    corrections.write(tmp_path / "corrections.csv", lines)
    return tmp_path / "corrections.csv"


def imported(source: Path, out: Path, file: Path) -> Dataset:
    return import_data(source, out, options=ImportOptions(corrections=file)).dataset


def digest_of(folder: Path) -> str:
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(folder.rglob("*.png")))).hexdigest()


def test_labels_change_and_pictures_go_at_the_import_and_the_source_stays(
    source: Path, before: Dataset, tmp_path: Path
) -> None:
    untouched = digest_of(source)
    lines = (
        line(before, 0, "relabel"),
        line(before, 5, "relabel", "happiness"),
        line(before, 9, "drop"),
        line(before, 3, ""),
    )
    after = imported(source, tmp_path / "after", saved(tmp_path, *lines))
    kept = np.delete(np.arange(24), 9)
    expected = before.label[kept].copy()
    expected[0], expected[5] = 2, 1
    np.testing.assert_array_equal(after.label, expected)
    np.testing.assert_array_equal(after.images, before.images[kept])
    np.testing.assert_array_equal(after.column("row"), np.arange(23))
    assert after.column("sha256").tolist() == before.column("sha256")[kept].tolist()
    assert [flag for flag in after.column("flags").tolist() if flag] == ["relabelled from angry"] * 2
    assert digest_of(source) == untouched


def test_the_split_is_drawn_as_if_nothing_had_been_corrected(source: Path, before: Dataset, tmp_path: Path) -> None:
    every = [line(before, row, "relabel", "happy") for row in range(8)]
    after = imported(source, tmp_path / "after", saved(tmp_path, *every))
    np.testing.assert_array_equal(after.split, before.split)
    assert after.info.counts["train"]["angry"] == 0


def test_the_provenance_says_what_was_done(source: Path, before: Dataset, tmp_path: Path) -> None:
    file = saved(
        tmp_path, line(before, 0, "relabel"), line(before, 1, "drop"), line(before, 2, "keep"), line(before, 3, "")
    )
    after = imported(source, tmp_path / "after", file)
    assert "corrections.csv: 1 labels changed, 1 pictures left out, 1 not decided" in after.info.provenance["notes"]
    assert after.info.fingerprint != before.info.fingerprint


def test_a_packed_set_is_corrected_into_a_new_one(source: Path, before: Dataset, tmp_path: Path) -> None:
    file = saved(tmp_path, line(before, 0, "relabel"), line(before, 9, "drop"))
    assert before.path is not None
    assert run(["data", "import", str(before.path), "--out", str(tmp_path / "new"), "--corrections", str(file)]) == 0
    new, again = load(tmp_path / "new"), imported(source, tmp_path / "after", file)
    assert new.info.fingerprint == again.info.fingerprint
    assert new.info.provenance["parent"] == before.info.fingerprint
    assert new.info.provenance["rule"]["relabelled"] == 1
    assert load(before.path).info.fingerprint == before.info.fingerprint


def test_corrections_are_found_by_source_where_rows_have_moved(before: Dataset, tmp_path: Path) -> None:
    assert before.path is not None
    first, second = tmp_path / "first", tmp_path / "second"
    drop, relabel = line(before, 0, "drop"), line(before, 20, "relabel", "angry")
    out = ["--out", str(first), "--corrections", str(saved(tmp_path, drop))]
    assert run(["data", "import", str(before.path), *out]) == 0
    out = ["--out", str(second), "--corrections", str(saved(tmp_path, relabel))]
    assert run(["data", "import", str(first), *out]) == 0
    assert load(second).label[19] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, r"row 4 \(.*\): this set has other pixels there"),
        ({"source": "elsewhere/9.png"}, r"row 4 \(elsewhere/9.png\): this set has no such picture"),
        ({"label": "sad"}, r"row 4 .*: labelled 'angry' in this set, 'sad' in the file"),
        ({"new_label": "hapy"}, r"row 4: 'hapy'\n.*'happy'"),
        ({"row": 5}, r"row 5 .* stands there twice"),
    ],
)
def test_a_file_for_another_set_is_refused_by_its_row_and_nothing_is_written(
    source: Path, before: Dataset, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    good = line(before, 4, "relabel", "happy")
    others = [good] if "row" in change else [line(before, 3, "drop")]
    file = saved(tmp_path, *others, replace(good, **change))
    with pytest.raises(MienError, match=said):
        imported(source, tmp_path / "after", file)
    assert not (tmp_path / "after").exists()


def test_a_line_that_stands_there_twice_is_found_without_comparing_all(before: Dataset, tmp_path: Path) -> None:
    class Counting(int):
        """A place that counts how often it is compared."""

        compared = 0

        def __eq__(self, other: object) -> bool:
            Counting.compared += 1
            return int(self) == other

        __hash__ = int.__hash__

    rows = [*range(24), 23]
    lines = [replace(line(before, row, "keep"), row=Counting(row)) for row in rows]
    with pytest.raises(MienError, match=r"row 23 .* stands there twice"):
        locate(before.table, before.labels, lines, tmp_path / "c.csv")
    assert Counting.compared < len(rows)


def test_dropping_everything_is_refused(source: Path, before: Dataset, tmp_path: Path) -> None:
    file = saved(tmp_path, *(line(before, row, "drop") for row in range(24)))
    with pytest.raises(MienError, match="drops every picture"):
        imported(source, tmp_path / "after", file)


def test_a_set_is_not_corrected_in_place(before: Dataset, tmp_path: Path) -> None:
    file = saved(tmp_path, line(before, 0, "drop"))
    assert (
        run(["data", "import", str(before.path), "--out", str(before.path), "--corrections", str(file), "--force"]) == 2
    )


def test_decisions_of_earlier_rounds_that_an_audit_laid_aside_are_not_forgotten_in_silence(
    source: Path, before: Dataset, tmp_path: Path
) -> None:
    file = saved(tmp_path, line(before, 0, "relabel"), line(before, 9, "drop"))
    first = correct_packed(before.path, tmp_path / "first", file)
    file.rename(corrections.path_of_old(file))  # as an audit of the corrected set does with what was applied
    saved(tmp_path, line(before, 1, "relabel"))
    again = import_data(source, tmp_path / "again", options=ImportOptions(corrections=file))
    told = next(note for note in again.notes if note.startswith("corrections.csv"))
    assert "not applied: 2 decisions of earlier rounds, which fit as well and stand in corrections.csv.old" in told
    second = correct_packed(first.dataset.path, tmp_path / "second", file)
    assert "not applied" not in second.notes[0], "they were applied to this set"
    corrections.path_of_old(file).write_text("my notes")
    assert imported(source, tmp_path / "third", file).label[1] == 2


@pytest.mark.parametrize("name", ["my-decisions.csv", "corrections.csv", "corrections.csv.old"])
def test_a_corrections_file_does_not_go_with_the_set_that_it_replaces(
    name: str, source: Path, before: Dataset, tmp_path: Path
) -> None:
    old = import_data(source, tmp_path / "old").dataset
    (old.path / "audit").mkdir()
    file = saved(tmp_path, line(before, 0, "drop")).rename(old.path / "audit" / name)
    decided = file.read_bytes()
    if name.startswith("corrections.csv"):  # kept where an audit writes it
        assert len(correct_packed(before.path, old.path, file, force=True).dataset) == 23
    else:
        with pytest.raises(MienError, match=f"{name} lies in .*, which --force would delete"):
            correct_packed(before.path, old.path, file, force=True)
    assert file.read_bytes() == decided
