"""Importing the CSV family of FER2013."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER5, FER2013
from mien.data.formats import fercsv
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]
GOOD = [(0, 1, "Training"), (3, 2, "PublicTest"), (6, 3, "PrivateTest")]


def rejected(packed: Path) -> list[tuple[str, str]]:
    """Source and reason of every reject."""
    with (packed / "rejects.csv").open(newline="", encoding="utf-8") as file:
        return [(row["source"], row["reason"]) for row in csv.DictReader(file)]


def test_a_fer2013_csv_keeps_pixels_labels_and_splits(write_csv: Write, picture: Write, tmp_path: Path) -> None:
    imported = import_data(write_csv(GOOD), tmp_path / "packed")
    data = imported.dataset
    assert (data.images == np.stack([picture(1), picture(2), picture(3)])).all()
    assert data.label.tolist() == [0, 3, 6]
    assert data.split.tolist() == ["train", "val", "test"]
    assert data.labels is FER2013
    assert data.column("source").tolist() == ["fer2013.csv#0", "fer2013.csv#1", "fer2013.csv#2"]
    assert not (tmp_path / "packed" / "rejects.csv").exists()
    assert imported.notes[0].startswith("read as fer2013")


def test_icml_face_data_with_spaces_in_its_header_is_the_same_data(write_csv: Write, tmp_path: Path, as_text: Write,
                                                                   picture: Write) -> None:  # fmt: skip
    plain = import_data(write_csv(GOOD), tmp_path / "a").dataset
    lines = [f"{label}, {usage}, {as_text(picture(seed))}" for label, seed, usage in GOOD]
    other = tmp_path / "icml_face_data.csv"
    other.write_text("emotion, Usage, pixels\n" + "\n".join(lines) + "\n")
    icml = import_data(other, tmp_path / "b")
    assert icml.notes[0].startswith("read as icml")
    assert icml.dataset.info.fingerprint == plain.info.fingerprint


def test_quotes_windows_lines_byte_order_mark_and_blank_lines_change_nothing(write_csv: Write, tmp_path: Path) -> None:
    plain = import_data(write_csv(GOOD), tmp_path / "a").dataset
    text = (tmp_path / "fer2013.csv").read_text()
    quoted = "\r\n\r\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())
    (tmp_path / "quoted.csv").write_bytes(b"\xef\xbb\xbf" + quoted.encode() + b"\r\n")
    again = import_data(tmp_path / "quoted.csv", tmp_path / "b").dataset
    assert again.info.fingerprint == plain.info.fingerprint


def test_the_contest_files_tell_the_split_by_name_and_test_has_no_labels(
    tmp_path: Path, as_text: Write, picture: Write
) -> None:
    train = "".join(f'"{i % 7}","{as_text(picture(i))}"\n' for i in range(14))
    (tmp_path / "train.csv").write_text('"emotion","pixels"\n' + train)
    (tmp_path / "test.csv").write_text("pixels\n" + "".join(f"{as_text(picture(100 + i))}\n" for i in range(3)))
    imported = import_data(tmp_path, tmp_path / "packed")
    data = imported.dataset
    assert data.label[data.split == "test"].tolist() == [-1, -1, -1]
    assert (data.images[14:] == np.stack([picture(100 + i) for i in range(3)])).all()
    assert data.info.counts["test"] == dict.fromkeys(FER2013.names, 0) | {"(no label)": 3}
    # Two of each class: one of each goes to val, and that is said.
    assert data.info.counts["val"] == dict.fromkeys(FER2013.names, 1)
    assert any("20% of each class of train, seed 0 (test is as it came)" in note for note in imported.notes)


def test_a_file_without_usage_and_split_in_its_name_is_divided(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv([(i % 2, i, "") for i in range(40)])
    text = "\n".join(line.rpartition(",")[0] for line in source.read_text().splitlines())
    (tmp_path / "faces.csv").write_text(text + "\n")
    data = import_data(tmp_path / "faces.csv", tmp_path / "packed").dataset
    assert data.info.counts["val"]["angry"] == data.info.counts["val"]["disgust"] == 4


BAD_PIXELS = {
    "too few": ("1 2 3", "3 pixels instead of 16"),
    "too many": (" ".join(["1"] * 17), "17 pixels instead of 16"),
    "beyond 255": (" ".join(["1"] * 15 + ["256"]), "pixel 15 is 256, beyond 0–255"),
    "negative": (" ".join(["-1"] + ["1"] * 15), "pixel 0 is '-1', not a whole number from 0 to 255"),
    "not a number": (" ".join(["1"] * 7 + ["nan"] + ["1"] * 8), "pixel 7 is 'nan', not a whole number from 0 to 255"),
    "none": ("", "no pixels"),
}


@pytest.mark.parametrize("fault", BAD_PIXELS)
def test_bad_pixels_are_rejected_with_a_reason_and_the_rest_stays(fault: str, write_csv: Write, tmp_path: Path) -> None:
    cell, reason = BAD_PIXELS[fault]
    imported = import_data(write_csv([GOOD[0], (1, cell, "Training"), *GOOD[1:]]), tmp_path / "packed")
    assert imported.dataset.label.tolist() == [0, 3, 6]
    assert rejected(tmp_path / "packed") == [("fer2013.csv#1", reason)]
    assert imported.rejects.counts() == {"damaged": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((7, 9, "Training"), "label '7' is none of 0, 1, 2, 3, 4, 5, 6"),
        ((-1, 9, "Training"), "label '-1' is none of 0, 1, 2, 3, 4, 5, 6"),
        (("", 9, "Training"), "no label"),
        ((0, 9, "Holdout"), "unknown split 'Holdout'"),
        ((0, 9, "Training,more"), "4 columns instead of 3"),
    ],
)
def test_bad_labels_splits_and_columns_are_rejected(
    row: tuple[object, int, str], reason: str, write_csv: Write, tmp_path: Path
) -> None:
    imported = import_data(write_csv([row, *GOOD]), tmp_path / "packed")
    assert len(imported.dataset) == 3
    assert rejected(tmp_path / "packed") == [("fer2013.csv#0", reason)]


def test_a_row_with_too_few_columns_is_rejected(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv(GOOD)
    with source.open("a") as file:
        file.write("5\n5,1 2\n")
    import_data(source, tmp_path / "packed")
    assert [reason for _, reason in rejected(tmp_path / "packed")] == [f"{n} columns instead of 3" for n in (1, 2)]


def test_a_row_without_end_is_one_reject_and_never_held_as_a_whole(
    write_csv: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fercsv, "_LONGEST_ROW", 50)
    source = write_csv([(0, "1 2 3 4", "Training"), (0, "1 " * 60 + "1", "Training"), (1, "5 6 7 8", "PublicTest")])
    imported = import_data(source, tmp_path / "out")
    assert imported.dataset.images.reshape(2, 4).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert [(item.row, item.reason) for item in imported.rejects.items] == [(1, "a row of more than 50 bytes")]


def test_semicolons_between_cells_change_nothing(write_csv: Write, tmp_path: Path) -> None:
    plain = import_data(write_csv(GOOD), tmp_path / "a").dataset
    text = write_csv(GOOD).read_text().replace(",", ";")
    (tmp_path / "other.csv").write_text(text)
    assert import_data(tmp_path / "other.csv", tmp_path / "b").dataset.info.fingerprint == plain.info.fingerprint


@pytest.mark.parametrize("name", ["fer2013.csv", "ckextended.csv"])
def test_utf_16_is_refused_by_name(name: str, write_csv: Write, tmp_path: Path) -> None:
    source = write_csv(GOOD, name)
    source.write_text(source.read_text(), encoding="utf-16")
    with pytest.raises(MienError, match=r"written in UTF-16\n.*UTF-8"):
        import_data(source, tmp_path / "packed")


def test_a_column_called_label_holds_the_labels_also_of_a_test_file(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("label,pixels\n3,1 2 3 4\n6,5 6 7 8\n")
    data = import_data(tmp_path / "test.csv", tmp_path / "packed").dataset
    assert data.label.tolist() == [3, 6]


def test_a_file_without_a_column_of_labels_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("emotion,pixels\n" + "3,1 2 3 4\n" * 4)
    (tmp_path / "test.csv").write_text("feeling,pixels\n3,1 2 3 4\n")
    imported = import_data(tmp_path, tmp_path / "packed")
    assert "test.csv: no column called emotion or label, so none of its pictures has a label" in imported.notes


def test_two_columns_of_labels_are_refused(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv(GOOD)
    source.write_text(source.read_text().replace("Usage", "emotion"))
    with pytest.raises(MienError, match="the column 'emotion' twice"):
        import_data(source, tmp_path / "packed")


def test_a_csv_that_is_none_of_the_known_ones_is_told_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n1;2\n")
    with pytest.raises(MienError, match=r"no known data format \(its columns are x, y\)"):
        import_data(tmp_path / "a.csv", tmp_path / "packed")


def test_rows_without_the_line_of_names_above_them_say_so_in_short(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv(GOOD)
    source.write_text(source.read_text().split("\n", 1)[1])
    with pytest.raises(MienError, match=r"its first line holds data .*\n.*emotion,pixels,Usage") as caught:
        import_data(source, tmp_path / "packed")
    assert len(str(caught.value)) < 400


def test_strict_stops_at_the_first_fault_and_leaves_nothing(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv([GOOD[0], (1, "1 2 3", "Training")])
    with pytest.raises(MienError, match=r"fer2013\.csv#1: 3 pixels instead of 16"):
        import_data(source, tmp_path / "packed", options=ImportOptions(strict=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fer2013.csv"]


def test_a_smaller_label_set_leaves_classes_out_by_name_also_when_strict(write_csv: Write, tmp_path: Path) -> None:
    options = ImportOptions(labels="fer5", strict=True)
    imported = import_data(write_csv([*GOOD, (1, 4, "Training")]), tmp_path / "packed", options=options)
    data = imported.dataset
    assert data.labels is FER5
    assert [FER5.names[i] for i in data.label] == ["happy", "neutral"]
    assert imported.rejects.counts() == {"left out": 2}
    assert rejected(tmp_path / "packed")[0][1] == "class 'angry' has no counterpart in the chosen label set"


def test_a_labels_file_beside_the_csv_names_its_ids(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0 cat\n1 dog\n")
    data = import_data(write_csv([(1, 1, "Training"), (0, 2, "PublicTest")]), tmp_path / "packed").dataset
    assert data.labels.names == ("cat", "dog")
    assert data.label.tolist() == [1, 0]


def test_ids_written_as_decimals_are_still_ids(write_csv: Write, tmp_path: Path) -> None:
    data = import_data(write_csv([("3.0", 1, "Training"), ("03", 2, "PublicTest")]), tmp_path / "packed").dataset
    assert data.label.tolist() == [3, 3]


def test_pictures_are_resized_when_asked_and_that_is_said(write_csv: Write, tmp_path: Path) -> None:
    imported = import_data(write_csv(GOOD), tmp_path / "packed", options=ImportOptions(size=8))
    assert imported.dataset.images.shape == (3, 8, 8)
    assert "all pictures resized from 4×4 to 8×8" in imported.notes


def test_a_file_without_any_square_row_is_refused(write_csv: Write, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no row holds a square picture"):
        import_data(write_csv([(0, "1 2 3", "Training")]), tmp_path / "packed")


def test_a_file_with_no_usable_row_names_the_first_fault(write_csv: Write, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"no usable picture; the first of 2: fer2013\.csv#0: label '9'"):
        import_data(write_csv([(9, 1, "Training"), (8, 2, "Training")]), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_many_blocks_keep_the_order_of_rows(
    write_csv: Write, tmp_path: Path, picture: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fercsv, "ROWS_AT_ONCE", 5)
    done: list[tuple[int, int | None]] = []
    source = write_csv([(i % 7, i, "Training" if i % 3 else "PublicTest") for i in range(83)])
    data = import_data(source, tmp_path / "packed", progress=lambda n, total: done.append((n, total))).dataset
    assert (data.images == np.stack([picture(i) for i in range(83)])).all()
    assert data.label.tolist() == [i % 7 for i in range(83)]
    assert [n for n, _ in done] == [*range(5, 83, 5), 83]


def test_an_interrupted_import_leaves_nothing_behind(write_csv: Write, tmp_path: Path) -> None:
    def interrupt(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_data(write_csv(GOOD), tmp_path / "packed", progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["fer2013.csv"]


def test_an_existing_set_is_replaced_only_when_forced(write_csv: Write, tmp_path: Path) -> None:
    import_data(write_csv(GOOD), tmp_path / "packed")
    shorter = write_csv(GOOD[:2], "other.csv")
    with pytest.raises(MienError, match="--force"):
        import_data(shorter, tmp_path / "packed")
    assert len(import_data(shorter, tmp_path / "packed", force=True).dataset) == 2


def test_a_folder_that_is_no_packed_set_is_never_replaced(write_csv: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(MienError, match="not a packed data set"):
        import_data(write_csv(GOOD), tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_ckextended_csv_has_fer2013s_columns_and_an_eighth_class(write_csv: Write, tmp_path: Path) -> None:
    rows = [(i % 8, i, ("Training", "PublicTest", "PrivateTest")[i // 8]) for i in range(24)]
    path = write_csv(rows, "ckextended.csv")
    imported = import_data(path, tmp_path / "packed")
    assert imported.notes[0].startswith("read as ckextended")
    assert not imported.rejects
    names = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
    assert imported.dataset.labels.names == names
    assert imported.dataset.info.counts["test"] == dict.fromkeys(names, 1)
    assert any("share people" in note for note in imported.notes)
