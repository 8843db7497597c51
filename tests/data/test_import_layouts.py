"""What in and around class folders is not what it seems: splits, people, sets of mien, folders without pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.data.export import export_data
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]
FOUR = ("angry", "happy", "surprise", "neutral")


def test_several_folders_may_speak_of_one_split(write_pictures: Write, tmp_path: Path) -> None:
    splits = ("FER2013Train", "FER2013TrainAug", "FER2013Valid", "FER2013Test")
    root = write_pictures({f"{split}/{c}/{i}.png": i for i, split in enumerate(splits) for c in ("cat", "dog")})
    imported = import_data(root, tmp_path / "packed")
    two, one = {"cat": 2, "dog": 2}, {"cat": 1, "dog": 1}
    assert imported.dataset.info.counts == {"train": two, "val": one, "test": one}


def test_classes_that_speak_of_splits_and_hold_different_folders_stay_classes(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({"test_bench/a/0.png": 0, "test_drive/b/1.png": 1, "train_ride/c/2.png": 2})
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("test_bench", "test_drive", "train_ride")


@pytest.mark.parametrize("strange", ["Suprise", "outtakes"])
def test_one_folder_of_another_name_does_not_make_people_classes(
    strange: str, write_pictures: Write, tmp_path: Path
) -> None:
    files = {f"studio{i}/{c}/{i}.png": i for i in range(3) for c in ("angry", "happy", "neutral")}
    root = write_pictures(files | {"studio0/contempt/c.png": 8, f"studio2/{strange}/x.png": 9})
    imported = import_data(root, tmp_path / "packed")
    assert set(imported.dataset.labels.names) == {"angry", "contempt", "happy", "neutral", strange}
    assert any(note.startswith("classes are the folders at level 2") for note in imported.notes)


def test_expressions_below_folders_that_are_the_classes_are_told(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{c}/{below}/0.png": 0 for c, below in (("alert", "happy"), ("tired", "eyes shut"))})
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.labels.names == ("alert", "tired")
    assert "WARNING: folders below level 1 are called like expressions: happy" in imported.notes


def test_a_misspelt_class_names_the_expression_that_is_meant(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{c}/{i}.png": i for c in ("angry", "happy", "Suprise", "neutral") for i in range(3)})
    imported = import_data(root, tmp_path / "plain")
    assert any("'Suprise'" in note and "did you mean 'surprise'?" in note for note in imported.notes)
    imported = import_data(root, tmp_path / "mapped", options=ImportOptions(labels="fer2013"))
    said = "class 'Suprise' has no counterpart in the chosen label set: did you mean 'surprise'?"
    assert [item.reason for item in imported.rejects.items] == [said] * 3


@pytest.mark.parametrize("kind", ["packed", "export"])
def test_what_mien_has_written_inside_a_source_is_no_class(
    kind: str, bar_set: Dataset, write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{c}/{i}.png": i for c in FOUR for i in range(2)})
    if kind == "packed":
        shutil.copytree(bar_set.path, root / "mine")
        (root / "mine/show").mkdir()
        shutil.copy(root / "happy/0.png", root / "mine/show/counts.png")
    else:
        export_data(bar_set, root / "mine", "folders")
    imported = import_data(root, tmp_path / "packed")
    assert set(imported.dataset.labels.names) == set(FOUR)
    assert "1 sets that mien has written were left out: mine" in imported.notes
    if kind == "export":
        assert len(import_data(root / "mine", tmp_path / "again").dataset) == len(bar_set)


def test_class_folders_without_a_picture_are_told_with_the_endings_in_them(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{split}/{c}/0.png": 0 for split in ("train", "val") for c in ("happy", "sad")})
    for name in ("train/angry/a.SVG", "train/angry/deep/b.psd", "train/fear/c", "train/neutral/.hidden", "notes/d.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    wanted = "train/angry (.psd, .svg), train/fear (no ending), train/neutral (no files)"
    assert f"folders beside the classes without a picture: {wanted}" in import_data(root, tmp_path / "packed").notes


def test_jpeg_files_as_browsers_of_windows_save_them_are_pictures(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"happy/0.png": 0, "angry/1.jpg": 1})
    (root / "angry/1.jpg").rename(root / "angry/1.jfif")
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("angry", "happy")


def test_an_import_of_one_class_is_warned_of(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"images/0.png": 0, "images/1.png": 1})
    assert "WARNING: all labels are of one class, 'images'" in import_data(root, tmp_path / "one").notes
    (root / "other").mkdir()
    (root / "images/1.png").rename(root / "other/1.png")
    assert not any("of one class" in note for note in import_data(root, tmp_path / "two").notes)


def test_what_is_near_a_data_set_is_told_where_none_is_recognised(
    write_csv: Write, write_pictures: Write, tmp_path: Path
) -> None:
    for name in ("further", "zipped", "linked", "around", "flat"):
        (tmp_path / name).mkdir()
    (tmp_path / "further/fer2013").mkdir()
    write_csv([(0, 1, "Training"), (1, 2, "PublicTest")]).rename(tmp_path / "further/fer2013/fer2013.csv")
    import_data(tmp_path / "further/fer2013", tmp_path / "around/packed")
    (tmp_path / "flat/answers.csv").write_text("file,label\n0.png,happy\n")
    (tmp_path / "zipped/fer.zip").touch()
    faces = write_pictures({"happy/0.png": 0, "sad/1.png": 1})
    for name in ("happy", "sad"):
        (tmp_path / "linked" / name).symlink_to(faces / name)
    ways_out = {
        "further": r"further/fer2013 looks like fer2013: import that",
        "zipped": r"unpack fer\.zip first",
        "zipped/fer.zip": r"unpack fer\.zip first",
        "linked": "links to folders are not followed: happy, sad",
        "flat": r"flat/answers\.csv looks like table: import that",
        "around": r"around/packed is a packed data set: use that",
    }
    for name, way_out in ways_out.items():
        with pytest.raises(MienError, match=f"no known data format\n  → .*{way_out}$"):
            import_data(tmp_path / name, tmp_path / "packed")
