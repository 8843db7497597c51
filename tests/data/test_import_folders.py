"""Importing class folders in the layouts that people have."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]
SEVEN = ("Anger", "disgust", "FEAR", "happiness", "Sad", "surprised", "neutral")


def names_of(data: object) -> dict[str, str]:
    """Class name by source file."""
    labels = data.labels.names
    return {s: labels[i] for s, i in zip(data.column("source").tolist(), data.label.tolist(), strict=True)}


def test_the_seven_expressions_get_fer2013_ids_whatever_their_spelling_and_order(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{name}/{i}.png": i for i, name in enumerate(SEVEN)})
    data = import_data(root, tmp_path / "packed").dataset
    assert data.labels is FER2013
    by_file = dict(zip(data.column("source").tolist(), data.label.tolist(), strict=True))
    assert [by_file[f"{name}/{i}.png"] for i, name in enumerate(SEVEN)] == list(range(7))


def test_the_eight_of_ferplus_get_its_ids(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{name}/a.png": i for i, name in enumerate((*SEVEN, "contempt"))})
    assert import_data(root, tmp_path / "packed").dataset.labels is FERPLUS8


@pytest.mark.parametrize(
    ("splits", "wanted"),
    [
        (("train", "val", "test"), {"train", "val", "test"}),
        (("Training", "PublicTest", "PrivateTest"), {"train", "val", "test"}),
        (("TRAIN", "Valid"), {"train", "val"}),
        (("training", "validation"), {"train", "val"}),
    ],
)
@pytest.mark.parametrize(
    "layout", ["{split}/{label}/{i}.png", "images/{split}/{label}/{i}.png", "{label}/{split}/{i}.png"]
)
def test_split_folders_are_known_in_any_case_and_place(
    layout: str, splits: tuple[str, ...], wanted: set[str], write_pictures: Write, tmp_path: Path
) -> None:
    files = {
        layout.format(split=split, label=label, i=i): i for i, split in enumerate(splits) for label in ("cat", "dog")
    }
    data = import_data(write_pictures(files), tmp_path / "packed").dataset
    assert set(data.split.tolist()) == wanted
    assert data.labels.names == ("cat", "dog")
    for source, split in zip(data.column("source").tolist(), data.split.tolist(), strict=True):
        assert (
            dict(zip(splits, ("train", "val", "test"), strict=False))[next(s for s in splits if s in source)] == split
        )


def test_a_class_may_be_called_train(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{name}/{i}.png": i for name in ("bus", "car", "train") for i in range(5)})
    data = import_data(root, tmp_path / "packed").dataset
    assert data.labels.names == ("bus", "car", "train")
    assert data.info.counts["val"] == {"bus": 1, "car": 1, "train": 1}


def test_pictures_in_folders_below_a_class_belong_to_it(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"cat/p1/a.png": 1, "cat/p2/a.png": 2, "dog/a.png": 3, "dog/p9/x/b.png": 4})
    assert names_of(import_data(root, tmp_path / "packed").dataset) == {
        "cat/p1/a.png": "cat",
        "cat/p2/a.png": "cat",
        "dog/a.png": "dog",
        "dog/p9/x/b.png": "dog",
    }


def test_names_that_speak_of_a_split_are_splits(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"{split}/{label}/{i}.png": i for i, split in enumerate(("training_set", "test_set")) for label in "ab"}
    data = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(test_as_val=True)).dataset
    assert data.info.counts == {"train": {"a": 1, "b": 1}, "val": {"a": 1, "b": 1}}


def test_classes_that_speak_of_splits_stay_classes(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{name}/{i}.png": i for name in ("test_bench", "test_drive", "train") for i in range(3)})
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("test_bench", "test_drive", "train")


def test_a_folder_beside_splits_is_none_of_them(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": 1, "val/cat/b.png": 2, "old_train/cat/c.png": 3})
    imported = import_data(root, tmp_path / "packed")
    assert [item.reason for item in imported.rejects.items] == ["unknown split 'old_train'"]


@pytest.mark.parametrize(
    ("around", "stray"), [("FER/train", "docs/figure.png"), ("data", "preview/x.png"), ("data", "data/cover.png")]
)
def test_a_stray_picture_does_not_make_the_folders_around_the_classes_classes(
    around: str, stray: str, write_pictures: Write, tmp_path: Path
) -> None:
    files = {f"{around}/{label}/{i}.png": i for label in ("happy", "sad") for i in range(5)} | {stray: 99}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.labels.names == ("happy", "sad")
    assert len(imported.dataset) == 10
    assert [item.source for item in imported.rejects.items] == [stray]
    level = around.count("/") + 2
    assert f"classes are the folders at level {level}: happy, sad" in imported.notes


@pytest.mark.parametrize("layout", ["archive/{split}/{split}/{label}/{i}.png", "{split}/S{i}/{label}/{i}.png"])
def test_splits_named_twice_and_people_around_expressions_are_no_classes(
    layout: str, write_pictures: Write, tmp_path: Path
) -> None:
    splits = ("train", "val")
    files = {layout.format(split=s, label=c, i=i): i for i, s in enumerate(splits) for c in ("happy", "sad")}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.info.counts == {split: {"happy": 1, "sad": 1} for split in splits}
    assert any(note.endswith("happy, sad") for note in imported.notes)


def test_folders_in_the_only_class_are_no_classes(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"happy/{person}/{i}.png": i for person in ("p1", "p2") for i in range(2)})
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("happy",)


def test_a_class_with_nearly_all_pictures_stays_a_class(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"happy/{person}/{i}.png": i for person in ("p1", "p2") for i in range(10)} | {"sad/a.png": 99}
    assert import_data(write_pictures(files), tmp_path / "packed").dataset.labels.names == ("happy", "sad")


def test_a_folder_that_cannot_be_read_is_no_missing_class(
    write_pictures: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pictures({"happy/a.png": 1, "sad/b.png": 2, "fear/c.png": 3})
    scandir = os.scandir

    def guarded(path: str) -> object:
        if str(path).endswith("sad"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # permissions mean nothing to root
    with pytest.raises(MienError, match=r"sad: cannot be read \(Permission denied\)"):
        import_data(root, tmp_path / "packed")


def test_linked_folders_are_counted_in_a_note(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"happy/a.png": 1, "sad/b.png": 2})
    (root / "fear").symlink_to(write_pictures({"c.png": 3}, "elsewhere"))
    imported = import_data(root, tmp_path / "packed")
    assert "1 links to folders were not followed: fear" in imported.notes


def test_accents_typed_in_two_ways_are_one_class(write_pictures: Write, tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "fröhlich") for form in ("NFC", "NFD")]
    root = write_pictures({f"train/{names[0]}/a.png": 1, f"val/{names[1]}/b.png": 2})
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.labels.names == ("fröhlich",)
    assert not any("mean the same" in note for note in imported.notes)


def test_class_folders_called_in_circled_or_raised_digits_are_names(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"①/a.png": 1, "²/b.png": 2})
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("²", "①")


def test_names_that_are_no_text_are_kept_with_escapes(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/happy/a.png": 1, "train/b/c.png": 2, "train/b/d.png": 3})
    try:
        (root / "train/b/c.png").rename(root / "train/b" / os.fsdecode(b"c\xff.png"))
        (root / "train/b").rename(root / "train" / os.fsdecode(b"b\xe4"))
    except OSError:
        pytest.skip("names of files are always text here")
    (root / os.fsdecode(b"train/b\xe4") / "broken.png").write_bytes(b"none")
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.labels.names == (r"b\udce4", "happy")
    assert r"train/b\udce4/c\udcff.png" in imported.dataset.column("source").tolist()
    assert [item.source for item in imported.rejects.items] == [r"train/b\udce4/broken.png"]


def test_other_names_are_sorted_and_numbers_by_value(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{name}/a.png": i for i, name in enumerate(("10", "9", "2", "b", "a"))})
    assert import_data(root, tmp_path / "packed").dataset.labels.names == ("2", "9", "10", "a", "b")


def test_two_spellings_of_one_expression_become_one_class_and_that_is_said(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({"train/anger/a.png": 1, "val/angry/b.png": 2, "train/Joy/c.png": 3, "val/joy/d.png": 4})
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.labels.names == ("Joy", "anger")
    assert [note for note in imported.notes if "mean the same" in note] == ["anger and angry mean the same: one class"]


def test_numbered_folders_take_their_names_from_a_names_file(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"train/{i}/{i}.png": i for i in (1, 2, 3)} | {"val/2/v.png": 9})
    (tmp_path / "names.txt").write_text("1 surprise\n2 fear\n3 disgust\n")
    data = import_data(root, tmp_path / "packed", options=ImportOptions(names=tmp_path / "names.txt")).dataset
    assert data.labels.names == ("surprise", "fear", "disgust")
    assert names_of(data)["val/2/v.png"] == "fear"


def test_a_labels_file_in_the_folder_fixes_the_order_of_classes(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": 1, "train/dog/b.png": 2, "val/dog/c.png": 3})
    (root / "labels.txt").write_text("dog\ncat\n")
    data = import_data(root, tmp_path / "packed").dataset
    assert data.labels.names == ("dog", "cat")
    assert names_of(data)["val/dog/c.png"] == "dog"


def test_train_and_test_alone_leave_test_untouched_and_take_val_from_train(
    write_pictures: Write, tmp_path: Path
) -> None:
    files = {f"train/{c}/{i}.png": i for c in ("cat", "dog") for i in range(10)} | {"test/cat/t.png": 77}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.info.counts == {
        "train": {"cat": 8, "dog": 8},
        "val": {"cat": 2, "dog": 2},
        "test": {"cat": 1, "dog": 0},
    }
    assert any("no validation split was given" in note for note in imported.notes)


def test_test_can_be_used_for_validation_when_asked(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"train/{c}/{i}.png": i for c in ("cat", "dog") for i in range(4)} | {"test/cat/t.png": 77}
    data = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(test_as_val=True)).dataset
    assert data.info.counts == {"train": {"cat": 4, "dog": 4}, "val": {"cat": 1, "dog": 0}}


def test_what_has_no_label_cannot_validate_and_stays_test(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"train/{c}/{i}.png": i for c in ("cat", "dog") for i in range(5)} | {"test/x.png": 77, "test/y.png": 78}
    imported = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(test_as_val=True))
    assert imported.dataset.info.counts == {
        "train": {"cat": 4, "dog": 4},
        "val": {"cat": 1, "dog": 1},
        "test": {"cat": 0, "dog": 0, "(no label)": 2},
    }
    assert "2 test pictures have no label: they stay test" in imported.notes


def test_kaggles_fer2013_folders_keep_the_official_split_of_their_file_names(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures(
        {
            "train/cat/Training_1.png": 1,
            "train/dog/Training_2.png": 2,
            "test/cat/PublicTest_3.png": 3,
            "test/dog/PrivateTest_4.png": 4,
        }
    )
    data = import_data(root, tmp_path / "packed").dataset
    assert data.split.tolist() == ["train", "train", "val", "test"]


def test_a_split_folder_without_classes_is_an_unlabelled_test_set(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": 1, "val/dog/b.png": 2, "test/x.png": 3, "test/y.png": 4})
    data = import_data(root, tmp_path / "packed").dataset
    assert data.label[data.split == "test"].tolist() == [-1, -1]


def test_hidden_and_other_files_are_passed_over(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": 1, "val/cat/b.PNG": 2, "loose.png": 5, "__MACOSX/cat/._a.png": 6})
    (root / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "train" / "cat" / "notes.txt").write_text("x")
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.column("source").tolist() == ["train/cat/a.png", "val/cat/b.PNG"]
    assert any("1 pictures outside any folder were left out" in note for note in imported.notes)


def test_an_empty_folder_is_refused_with_the_known_formats(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MienError, match="no known data format\n  → the folder is empty"):
        import_data(tmp_path / "empty", tmp_path / "packed")
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(MienError, match="no known data format\n  → known formats: raf-db"):
        import_data(tmp_path / "empty", tmp_path / "packed")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no such file or folder"):
        import_data(tmp_path / "gone", tmp_path / "packed")


def test_a_packed_set_is_not_imported_again(write_pictures: Write, tmp_path: Path) -> None:
    import_data(write_pictures({"train/cat/a.png": 1, "val/cat/b.png": 2}), tmp_path / "packed")
    with pytest.raises(MienError, match="already a packed data set"):
        import_data(tmp_path / "packed", tmp_path / "again")


def test_votes_join_folders_by_file_name_and_never_by_order(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/happy/fer2.png": 1, "val/sad/fer1.png": 2})
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    (root / "fer2013new.csv").write_text(
        header + "PublicTest,fer1.png,0,0,0,9,1,0,0,0,0,0\nTraining,fer2.png,1,9,0,0,0,0,0,0,0,0\n"
    )
    data = import_data(root, tmp_path / "packed").dataset
    assert data.votes.tolist() == [[1, 9, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 9, 1, 0, 0, 0, 0, 0]]
    (root / "train/happy/other.png").write_bytes((root / "train/happy/fer2.png").read_bytes())
    with pytest.raises(MienError, match=r"no votes for train/happy/other\.png"):
        import_data(root, tmp_path / "again")


VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def test_a_row_of_votes_goes_to_one_picture_only(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/happy/0.png": 1, "train/sad/0.png": 2})
    (root / "fer2013new.csv").write_text(VOTES + "Training,0.png,0,9,0,0,1,0,0,0,0,0\n")
    with pytest.raises(MienError, match=r"row 0 \(from 0\) would go to train/happy/0\.png and to train/sad/0\.png"):
        import_data(root, tmp_path / "packed")


def test_a_name_in_two_rows_of_votes_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/happy/0.png": 1, "train/sad/1.png": 2})
    rows = [f"Training,{name}.png,0,9,0,0,1,0,0,0,0,0\n" for name in (0, 1, 0)]
    (root / "fer2013new.csv").write_text(VOTES + "".join(rows))
    with pytest.raises(MienError, match=r"2 rows are called 0\.png\n.*--no-votes"):
        import_data(root, tmp_path / "packed")


@pytest.mark.parametrize(
    "small", ["bored/s{i}/{i}.png", "bored/{i}.png", "bored/train/s{i}/{i}.png"], ids=["like it", "flat", "with splits"]
)
def test_a_large_class_of_any_name_is_no_wrapper(small: str, write_pictures: Write, tmp_path: Path) -> None:
    large = "engaged/train/s{i}/{i}_{j}.png" if "train" in small else "engaged/s{i}/{i}_{j}.png"
    files = {large.format(i=i, j=j): 10 * i + j for i in range(3) for j in range(10)}
    files |= {small.format(i=i): 90 + i for i in range(2)}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.labels.names == ("bored", "engaged")
    assert not imported.rejects


def test_a_folder_around_splits_is_a_wrapper_whatever_the_classes_are_called(
    write_pictures: Write, tmp_path: Path
) -> None:
    files = {f"data/{s}/{c}/{i}.png": i for s in ("train", "val") for c in ("cat", "dog") for i in range(5)}
    imported = import_data(write_pictures(files | {"preview/x.png": 99}), tmp_path / "packed")
    assert imported.dataset.labels.names == ("cat", "dog")
    assert [item.source for item in imported.rejects.items] == ["preview/x.png"]


def test_votes_that_are_found_and_do_not_fit_can_be_left_alone(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/happy/a.png": 1, "train/sad/b.png": 2})
    (root / "fer2013new.csv").write_text(VOTES + "Training,0.png,0,9,0,0,1,0,0,0,0,0\n")
    with pytest.raises(MienError, match=r"no votes for train/happy/a\.png\n.*--no-votes"):
        import_data(root, tmp_path / "packed")


@pytest.mark.parametrize("here", [".", "train/.."])
def test_a_folder_without_a_name_of_its_own_is_called_as_it_is(
    here: str, write_pictures: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_pictures({"train/happy/a.png": 1, "train/sad/b.png": 2}, "mine"))
    info = import_data(Path(here), tmp_path / "packed").dataset.info
    assert info.name == "mine"
    assert info.provenance["source"] == "mine"
