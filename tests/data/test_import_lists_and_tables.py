"""Importing list files as PaddleClas uses, and CSV tables with a file and a label column."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]


@pytest.fixture
def paddle(write_pictures: Write) -> Path:
    """Four pictures, one with a space in its name, in train_list.txt and val_list.txt with labels.txt."""
    root = write_pictures({"images/1.png": 1, "images/a b.png": 2, "images/3.png": 3, "images/4.png": 4})
    (root / "train_list.txt").write_text("images/4.png 0\nimages/a b.png 6\n")
    (root / "val_list.txt").write_text("images/1.png\t3\nimages/3.png 3\n")
    (root / "labels.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(FER2013.names)))
    return root


def test_lists_keep_their_order_and_tell_the_split(paddle: Path, picture: Write, tmp_path: Path) -> None:
    imported = import_data(paddle, tmp_path / "packed")
    data = imported.dataset
    assert imported.notes[0].startswith("read as list")
    assert (data.images == np.stack([picture(i) for i in (4, 2, 1, 3)])).all()
    assert data.label.tolist() == [0, 6, 3, 3]
    assert data.split.tolist() == ["train", "train", "val", "val"]
    assert data.labels is FER2013


def test_one_list_can_be_imported_alone(paddle: Path, tmp_path: Path) -> None:
    data = import_data(paddle / "val_list.txt", tmp_path / "packed").dataset
    assert data.split.tolist() == ["val", "val"]


def test_a_test_list_may_have_no_labels(paddle: Path, tmp_path: Path) -> None:
    (paddle / "test_list.txt").write_text("images/1.png\nimages/a b.png\n")
    data = import_data(paddle, tmp_path / "packed").dataset
    assert data.label.tolist() == [0, 6, 3, 3, -1, -1]


def test_a_listed_file_that_is_missing_and_a_label_out_of_range_are_rejected(paddle: Path, tmp_path: Path) -> None:
    with (paddle / "train_list.txt").open("a") as file:
        file.write("images/gone.png 1\nimages/1.png 7\nimages/3.png\n")
    import_data(paddle, tmp_path / "packed")
    with (tmp_path / "packed/rejects.csv").open(newline="", encoding="utf-8") as file:
        reasons = {row["source"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == {
        "images/gone.png": "no such file",
        "images/1.png": "label '7' is none of 0, 1, 2, 3, 4, 5, 6",
        "images/3.png": "no label",
    }


def test_numbers_without_names_stay_numbers_until_a_label_set_names_them(paddle: Path, tmp_path: Path) -> None:
    (paddle / "labels.txt").unlink()
    assert import_data(paddle, tmp_path / "a").dataset.labels.names == ("0", "3", "6")
    named = import_data(paddle, tmp_path / "b", options=ImportOptions(labels="fer2013")).dataset
    assert named.labels is FER2013
    assert named.label.tolist() == [0, 6, 3, 3]


def test_votes_in_a_lists_order_are_joined_by_order_and_that_is_said(paddle: Path, tmp_path: Path) -> None:
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    rows = [f"{usage},,{i},0,0,0,0,0,0,0,0,0\n" for i, usage in enumerate(["Training"] * 2 + ["PublicTest"] * 2)]
    (tmp_path / "votes.csv").write_text(header + "".join(rows))
    options = ImportOptions(votes=tmp_path / "votes.csv")
    imported = import_data(paddle, tmp_path / "packed", options=options)
    assert imported.dataset.votes[:, 0].tolist() == [0, 1, 2, 3]
    assert "votes joined by the order of rows" in imported.notes
    (tmp_path / "votes.csv").write_text(header + "".join(reversed(rows)))
    with pytest.raises(MienError, match=r"row 0 \(from 0\) is PublicTest, but that picture is Training"):
        import_data(paddle, tmp_path / "again", options=options)


@pytest.mark.parametrize(
    "header", ["id,class_num", "file,label", "pth,label", "Image_Path, Emotion", "filename,class_id"]
)
def test_tables_are_known_by_the_usual_names_of_columns(
    header: str, write_pictures: Write, picture: Write, tmp_path: Path
) -> None:
    root = write_pictures({"a.png": 1, "sub/b.png": 2})
    (root / "table.csv").write_text(f"{header}\nsub/b.png,3\na.png,0\n")
    imported = import_data(root / "table.csv", tmp_path / "packed", options=ImportOptions(labels="fer2013"))
    assert imported.notes[0].startswith("read as table")
    assert (imported.dataset.images == np.stack([picture(2), picture(1)])).all()
    assert imported.dataset.label.tolist() == [3, 0]


def test_a_table_may_name_classes_and_splits_and_have_other_columns(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    rows = [("0", "Happy", "Training", "x"), ("1", "anger", "PublicTest", "y"), ("2", "joy", "PrivateTest", "a, b")]
    text = "".join(f'{i}.png,{c},{s},"{o}"\n' for i, c, s, o in rows)
    (root / "table.csv").write_text("file,label,usage,note\n" + text)
    imported = import_data(root, tmp_path / "packed", options=ImportOptions(labels="fer2013"))
    assert imported.dataset.label.tolist() == [3, 0, 3]
    assert imported.dataset.split.tolist() == ["train", "val", "test"]


def test_a_table_may_name_files_without_suffix_or_folder(write_pictures: Write, picture: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/x/7.png": 1, "8.png": 2, "images/twice.png": 3, "other/twice.png": 4})
    (root / "train.csv").write_text("id,class_num\n7,0\n8,1\ntwice,1\n")
    imported = import_data(root, tmp_path / "packed", options=ImportOptions(labels="fer2013"))
    assert (imported.dataset.images == np.stack([picture(1), picture(2)])).all()
    assert [(item.source, item.reason) for item in imported.rejects.items] == [
        ("twice", "2 files have this name: say in which folder")
    ]


def test_several_tables_tell_the_split_by_their_names_and_test_may_lack_labels(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{i}.png": i for i in range(3)})
    (root / "train.csv").write_text("id,class_num\n0.png,0\n")
    (root / "valid.csv").write_text("id,class_num\n1.png,1\n")
    (root / "test.csv").write_text("id\n2.png\n")
    data = import_data(root, tmp_path / "packed").dataset
    assert data.split.tolist() == ["train", "val", "test"]
    assert data.label.tolist() == [0, 1, -1]


def test_bare_numbers_in_a_table_bring_a_hint(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "t.csv").write_text("id,class_num\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4)))
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.labels.names == ("0", "1")
    assert any("--names FILE or --labels fer2013" in note for note in imported.notes)


def test_a_names_file_of_plain_lines_numbers_from_zero(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "t.csv").write_text("id,class_num\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4)))
    (root / "classes.txt").write_text("two words\nother\n")
    data = import_data(root, tmp_path / "packed").dataset
    assert data.labels.names == ("two words", "other")
    assert sorted(data.label.tolist()) == [0, 0, 1, 1]


def test_a_raised_digit_in_a_names_file_is_part_of_a_name(paddle: Path, tmp_path: Path) -> None:
    (paddle / "labels.txt").write_text("0 cat\n² angry\n", encoding="utf-8")
    assert import_data(paddle, tmp_path / "packed").dataset.labels.names == ("0 cat", "² angry")


@pytest.mark.parametrize(
    ("text", "fault"), [("", "no class names"), ("0 cat\n0 dog\n", "0 stands for 'cat' and for 'dog'")]
)
def test_a_faulty_names_file_is_refused(text: str, fault: str, paddle: Path, tmp_path: Path) -> None:
    (paddle / "labels.txt").write_text(text)
    with pytest.raises(MienError, match=fault):
        import_data(paddle, tmp_path / "packed")


@pytest.mark.parametrize("form", ["fer2013", "icml", "contest", "tfrecord", "folders", "table"])
def test_a_format_can_be_forced_and_says_when_it_does_not_fit(form: str, paddle: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=f"not of the format '{form}'"):
        import_data(paddle / "train_list.txt", tmp_path / "packed", options=ImportOptions(format=form))


def test_an_unknown_format_brings_the_nearest_name(paddle: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="did you mean 'folders'"):
        import_data(paddle, tmp_path / "packed", options=ImportOptions(format="folder"))


def test_a_list_of_all_pictures_gives_way_to_those_that_say_the_split(paddle: Path, tmp_path: Path) -> None:
    both = [(paddle / name).read_text() for name in ("train_list.txt", "val_list.txt")]
    (paddle / "trainval_list.txt").write_text("".join(both))
    imported = import_data(paddle, tmp_path / "packed")
    assert sorted(imported.dataset.column("source").tolist()) == [f"images/{n}.png" for n in ("1", "3", "4", "a b")]
    assert imported.dataset.split.tolist() == ["train", "train", "val", "val"]
    assert any(note.startswith("4 entries left out") for note in imported.notes)


def test_a_table_of_all_pictures_keeps_those_that_no_other_names(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "all.csv").write_text("file,label\n" + "".join(f"{i}.png,cat\n" for i in range(4)))
    (root / "train.csv").write_text("file,label\n0.png,cat\n1.png,cat\n")
    (root / "val.csv").write_text("file,label\n2.png,cat\n")
    data = import_data(root, tmp_path / "packed").dataset
    splits = dict(zip(data.column("source").tolist(), data.split.tolist(), strict=True))
    assert splits == {"0.png": "train", "1.png": "train", "2.png": "val", "3.png": "train"}
    assert len(data) == 4


def test_a_table_that_repeats_another_adds_nothing(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(2)})
    (root / "labels.csv").write_text("file,label,split\n0.png,cat,train\n1.png,cat,val\n")
    (root / "val.csv").write_text("file,label\n1.png,cat\n")
    assert import_data(root, tmp_path / "packed").dataset.split.tolist() == ["train", "val"]


def test_lists_that_contradict_each_other_are_kept_with_a_warning(paddle: Path, tmp_path: Path) -> None:
    (paddle / "test_list.txt").write_text("images/1.png 3\n")
    imported = import_data(paddle, tmp_path / "packed")
    assert imported.dataset.split.tolist() == ["train", "train", "val", "val", "test"]
    assert "WARNING: 1 pictures stand in several lists with different splits or labels" in imported.notes


def test_numbers_written_as_floats_are_the_numbers(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "t.csv").write_text("file,label\n0.png,1.0\n1.png,1\n2.png,0.0\n3.png,0\n")
    assert import_data(root, tmp_path / "a").dataset.labels.names == ("0", "1")
    named = import_data(root, tmp_path / "b", options=ImportOptions(labels="fer2013")).dataset
    assert named.labels is FER2013
    assert sorted(named.label.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize("labels", [None, "fer2013"])
def test_minus_one_among_numbers_is_no_label(labels: str | None, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "t.csv").write_text("file,label,split\n0.png,0,train\n1.png,1,val\n2.png,-1,test\n3.png,-1.0,train\n")
    imported = import_data(root, tmp_path / "packed", options=ImportOptions(labels=labels))
    assert imported.dataset.label.tolist() == [0, 1, -1]
    assert [(item.source, item.reason) for item in imported.rejects.items] == [("3.png", "no label")]


@pytest.mark.parametrize("form", ["list", "table"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\0.png", "a NUL byte in the file name"),
        ("x" * 300 + ".png", "file name too long"),
        ("x/../../..", "no such file"),
    ],
)
def test_a_name_that_no_file_can_have_is_a_reject(
    form: str, name: str, reason: str, write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{i}.png": i for i in range(2)})
    if form == "list":
        (root / "val_list.txt").write_text(f"0.png a\n{name} a\n1.png b\n")
    else:
        (root / "val.csv").write_text(f"file,label\n0.png,a\n{name},a\n1.png,b\n")
    imported = import_data(root, tmp_path / "packed")
    assert len(imported.dataset) == 2
    assert [(item.source, item.reason) for item in imported.rejects.items] == [(name, reason)]


@pytest.mark.parametrize("cell", ["/", "."])
def test_a_cell_without_a_file_name_is_a_reject(cell: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"0.png": 0})
    (root / "val.csv").write_text(f"file,label\n0.png,a\n{cell},a\n")
    imported = import_data(root, tmp_path / "packed")
    assert [item.reason for item in imported.rejects.items] == ["no file name"]


def test_a_pipe_that_is_called_like_a_list_is_passed_over(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"happy/0.png": 0, "sad/1.png": 1})
    for name in ("list.txt", "table.csv", "fer2013.csv"):
        os.mkfifo(root / name)
    assert import_data(root, tmp_path / "packed").notes[0].startswith("read as folders")


@pytest.mark.parametrize("form", ["list", "table"])
def test_paths_as_windows_writes_them_are_found(form: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/a/0.png": 0, "images/b/1.png": 1})
    if form == "list":
        (root / "val_list.txt").write_text("images\\a\\0.png cat\nimages\\b\\1.png dog\n")
    else:
        (root / "val.csv").write_text("file,label\nimages\\a\\0.png,cat\nimages\\b\\1,dog\n")
    assert len(import_data(root, tmp_path / "packed").dataset) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_spreadsheets_write_is_read(encoding: str, separator: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"ä.png": 0, "b.png": 1})
    text = "file,label\nä.png,fröhlich\nb.png,müde\n".replace(",", separator)
    (root / "val.csv").write_text(text, encoding=encoding)
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("fröhlich", "müde")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_is_read_in_either_unicode(encoding: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"ä.png": 0})
    (root / "val_list.txt").write_text("ä.png müde\n", encoding=encoding)
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("müde",)


def test_a_list_in_another_encoding_is_told(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"happy/ä.png": 0})
    (root / "val_list.txt").write_text("happy/ä.png müde\n", encoding="latin-1")
    with pytest.raises(MienError, match=r"val_list\.txt: neither UTF-8 nor UTF-16"):
        import_data(root, tmp_path / "packed")


def test_another_encoding_is_told(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"a.png": 0})
    (root / "val.csv").write_text("file,label\na.png,fröhlich\n", encoding="latin-1")
    with pytest.raises(MienError, match=r"val\.csv: neither UTF-8 nor UTF-16 .*\n.*save it as CSV in UTF-8"):
        import_data(root, tmp_path / "packed")


def test_a_column_that_stands_twice_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"a.png": 0})
    (root / "val.csv").write_text("file,label,label\na.png,cat,dog\n")
    with pytest.raises(MienError, match="the column 'label' twice"):
        import_data(root, tmp_path / "packed")


def test_thumbnails_in_hidden_folders_do_not_make_names_ambiguous(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/a.png": 0, ".thumbnails/a.png": 1})
    (root / "val.csv").write_text("file,label\na,cat\n")
    assert len(import_data(root, tmp_path / "packed").dataset) == 1


def test_a_blank_label_of_a_test_picture_leaves_the_other_numbers_numbers(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{i}.png": i for i in range(24)})
    rows = [f"{i}.png,{i % 7},train" for i in range(21)] + [f"{i}.png,,test" for i in range(21, 24)]
    (root / "t.csv").write_text("file,label,split\n" + "\n".join(rows) + "\n")
    assert any("--labels fer2013" in note for note in import_data(root, tmp_path / "a").notes)
    named = import_data(root, tmp_path / "b", options=ImportOptions(labels="fer2013")).dataset
    assert named.label.tolist() == [*(i % 7 for i in range(21)), -1, -1, -1]


def test_labels_of_which_none_can_be_used_are_an_error_though_test_has_none(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "t.csv").write_text("file,label,split\n0.png,cat,train\n1.png,dog,train\n2.png,,test\n3.png,,test\n")
    wanted = r"none of its labels can be used; the first of 2: 0\.png: class 'cat' has no counterpart"
    with pytest.raises(MienError, match=wanted):
        import_data(root, tmp_path / "packed", options=ImportOptions(labels="fer2013"))
    assert not (tmp_path / "packed").exists()


def test_a_list_that_says_the_split_takes_label_and_person_from_one_that_does_not(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{i}.png": i for i in range(4)})
    (root / "all.csv").write_text("file,label,subject\n" + "".join(f"{i}.png,{'cd'[i % 2]},p{i}\n" for i in range(4)))
    (root / "train.csv").write_text("file,label\n0.png,c\n1.png,d\n")
    (root / "test.csv").write_text("file\n2.png\n3.png\n")
    imported = import_data(root, tmp_path / "packed")
    data = imported.dataset
    found = zip(data.column("source"), data.label.tolist(), data.column("subject"), strict=True)
    assert sorted(found) == [(f"{i}.png", i % 2, f"p{i}") for i in range(4)]
    assert set(data.split[data.label >= 0].tolist()) >= {"train", "test"}
    assert "4 entries that say the split take their label or person from all.csv" in imported.notes


def test_labels_that_lists_without_splits_do_not_agree_on_are_not_lost(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{i}.png": i for i in range(3)})
    (root / "a.csv").write_text("file,label\n0.png,cat\n1.png,cat\n")
    (root / "b.csv").write_text("file,label\n0.png,dog\n2.png,dog\n")
    (root / "test.csv").write_text("file\n0.png\n")
    imported = import_data(root, tmp_path / "packed")
    assert sorted(imported.dataset.column("source").tolist()) == ["0.png", "0.png", "0.png", "1.png", "2.png"]
    assert any(note.startswith("WARNING: 1 pictures stand in several lists") for note in imported.notes)


def test_a_missing_file_is_not_replaced_by_another_of_its_name(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/0.png": 0, "test/1.png": 1})
    (root / "t.csv").write_text("file,label\ntrain/0.png,sad\ntrain/1.png,happy\ntest/1.png,sad\n")
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.column("source").tolist() == ["train/0.png", "test/1.png"]
    assert [(item.source, item.reason) for item in imported.rejects.items] == [("train/1.png", "no such file")]
    assert not any("by their names" in note for note in imported.notes)


def test_a_table_of_another_place_finds_its_pictures_by_name_and_says_so(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"x/0.png": 0, "y/1.png": 1})
    (root / "val.csv").write_text("file,label\nC:\\faces\\0.png,sad\n/home/me/1.png,happy\n")
    imported = import_data(root, tmp_path / "packed")
    assert len(imported.dataset) == 2
    assert "2 pictures found by their names alone, whatever the folder" in imported.notes


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_separator_inside_quotes_of_the_header_is_part_of_a_name(
    separator: str, write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({"0.png": 0, "1.png": 1})
    lines = [["file", '"note, long"', "label"], ["0.png", '"a, b"', "cat"], ["1.png", "c", "dog"]]
    (root / "val.csv").write_text("".join(separator.join(cells) + "\n" for cells in lines))
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("cat", "dog")
