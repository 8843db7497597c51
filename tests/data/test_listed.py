"""Which lists and tables of a folder are taken, and which pictures they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]
FER2013 = ImportOptions(labels="fer2013")


def labels_of(data: Dataset) -> dict[str, int]:
    """Class id by source file."""
    return dict(zip(data.column("source").tolist(), data.label.tolist(), strict=True))


@pytest.fixture
def contest(write_pictures: Write) -> Path:
    """Six pictures: four in train.csv with labels, two in test.csv without."""
    root = write_pictures({f"images/{i}.png": i for i in range(6)})
    (root / "train.csv").write_text("id,class_num\n0,0\n1,1\n2,2\n3,3\n")
    (root / "test.csv").write_text("id\n4\n5\n")
    return root


@pytest.mark.parametrize("name", ["submission.csv", "sampleSubmission.csv", "my_predictions.csv", "answers.csv"])
def test_answers_of_a_model_are_left_out_of_a_folder_by_their_name(name: str, contest: Path, tmp_path: Path) -> None:
    (contest / name).write_text("id,label\n4,6\n5,6\n")
    imported = import_data(contest, tmp_path / "packed", options=FER2013)
    assert labels_of(imported.dataset) == {"0": 0, "1": 1, "2": 2, "3": 3, "4": -1, "5": -1}
    assert any(note.startswith("left out as answers") and name in note for note in imported.notes)
    asked = import_data(contest / name, tmp_path / "asked", options=FER2013)
    assert labels_of(asked.dataset) == {"4": 6, "5": 6}


def test_a_list_labels_test_only_where_it_covers_more_than_test(contest: Path, tmp_path: Path) -> None:
    (contest / "out.csv").write_text("id,label\n4,6\n5,6\n")
    imported = import_data(contest, tmp_path / "answers", options=FER2013)
    assert labels_of(imported.dataset) == {"0": 0, "1": 1, "2": 2, "3": 3, "4": -1, "5": -1}
    assert "out.csv left out: it labels pictures of test alone, as the answers of a model do" in imported.notes
    (contest / "out.csv").write_text("id,label\n0,0\n4,6\n5,6\n")
    imported = import_data(contest, tmp_path / "truth", options=FER2013)
    assert labels_of(imported.dataset) == {"0": 0, "1": 1, "2": 2, "3": 3, "4": 6, "5": 6}
    assert "2 entries that say the split take their label or person from out.csv" in imported.notes


def test_a_folder_of_answers_and_class_folders_is_read_by_its_folders(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{split}/{c}/0.png": 0 for split in ("train", "test") for c in ("happy", "sad")})
    (root / "predictions.csv").write_text("file,label,probability\ntest/happy/0.png,sad,.5\ntest/sad/0.png,sad,.6\n")
    imported = import_data(root, tmp_path / "packed")
    assert imported.notes[0].startswith("read as folders")
    assert len(imported.dataset) == 4


@pytest.mark.parametrize("form", ["list", "table"])
def test_pictures_in_no_list_or_table_are_counted(form: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0, "images/1.png": 1, "images/2.png": 2})
    if form == "list":
        (root / "val_list.txt").write_text("images/0.png 0\n./images/1.png 1\n")
    else:
        (root / "val.csv").write_text("file,label\nimages/0.png,0\n./images/1.png,1\n")
    said = "1 pictures in the folder are in no list or table: left out"
    assert said in import_data(root, tmp_path / "packed").notes
    alone = import_data(next(root.glob("val*")), tmp_path / "alone")
    assert said not in alone.notes


def test_class_folders_that_a_table_does_not_cover_bring_a_warning(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures(
        {f"{split}/{c}/{i}.png": i for split in ("train", "test") for c in ("happy", "sad") for i in (1, 2)}
    )
    (root / "t.csv").write_text("file,label\ntest/happy/1.png,happy\ntest/happy/2.png,happy\ntest/sad/1.png,sad\n")
    (warning,) = (note for note in import_data(root, tmp_path / "a").notes if "in no list" in note)
    assert warning.startswith("WARNING: 5 pictures")
    assert warning.endswith("all in folders happy, sad among them; --format folders reads class folders")
    rest = ("train/happy/1.png,happy", "train/sad/1.png,sad")
    (root / "t.csv").write_text("file,label\ntest/happy/1.png,happy\ntest/sad/1.png,sad\n" + "\n".join(rest) + "\n")
    assert "4 pictures in the folder are in no list or table: left out" in import_data(root, tmp_path / "b").notes


def test_bare_names_in_a_list_are_looked_for_anywhere(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0, "images/1.png": 1, "a/2.png": 2, "b/2.png": 2})
    (root / "train_list.txt").write_text("0.png happy\n1.png sad\n2.png sad\n")
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.column("source").tolist() == ["0.png", "1.png"]
    assert "2 pictures found by their names alone, whatever the folder" in imported.notes
    assert [item.reason for item in imported.rejects.items] == ["2 files have this name: say in which folder"]


def test_of_several_files_of_a_name_the_one_with_the_longest_end_of_the_path_is_meant(
    write_pictures: Write, picture: Write, tmp_path: Path
) -> None:
    files = ("train/happy/0.png", "train/sad/0.png", "test/sad/0.png")
    root = write_pictures({name: i for i, name in enumerate(files)})
    rows = [*(f"/content/drive/fer/{name}" for name in files), "/content/happy/fear/0.png"]
    (root / "val.csv").write_text("file,label\n" + "".join(f"{row},{i}\n" for i, row in enumerate(rows)))
    imported = import_data(root, tmp_path / "packed")
    assert (imported.dataset.images == [picture(i) for i in range(3)]).all()
    assert "3 pictures found by the ends of their paths" in imported.notes
    assert [item.reason for item in imported.rejects.items] == ["3 files have this name: say in which folder"]


def test_names_without_suffix_are_found_whatever_the_case_of_the_suffix(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/001.JPG": 0, "images/002.png": 1})
    (root / "val.csv").write_text("file,label\nimages/001,a\nimages/002,b\n")
    assert len(import_data(root, tmp_path / "packed").dataset) == 2


def test_where_no_file_is_found_the_hint_says_where_paths_count_from(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0})
    (root / "val_list.txt").write_text("faces/1.png happy\n")
    with pytest.raises(MienError, match=r"no such file\n.*paths count from the folder of their list"):
        import_data(root, tmp_path / "packed")
    (root / "val_list.txt").write_text("images/0.png happy\n")
    (root / "images/0.png").write_bytes(b"none")
    with pytest.raises(MienError, match="check that these files are pictures"):
        import_data(root, tmp_path / "packed")


def test_a_table_may_end_in_tsv(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0, "images/1.png": 1})
    (root / "labels.TSV").write_text("file\tlabel\nimages/0.png\tcat, or lion\nimages/1.png\tdog\n")
    imported = import_data(root, tmp_path / "packed")
    assert imported.notes[0].startswith("read as table")
    assert imported.dataset.labels.names == ("cat, or lion", "dog")


def test_a_file_called_as_one_of_names_is_a_list_where_it_lists_pictures(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0, "images/1.png": 1})
    (root / "labels.txt").write_text("images/0.png happy\nimages/1.png sad\n")
    imported = import_data(root, tmp_path / "packed")
    assert imported.notes[0].startswith("read as list")
    assert imported.dataset.labels.names == ("happy", "sad")
    (root / "classes.txt").write_text("sad\nhappy\n")
    assert import_data(root, tmp_path / "named").dataset.labels.names == ("sad", "happy")
