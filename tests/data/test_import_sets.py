"""Importing the layouts of RAF-DB, AffectNet, CK+, KDEF and JAFFE, each built here as its authors hand it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8, canonical
from mien.data.dataset import Dataset
from mien.data.export import export_data
from mien.data.formats import recognise
from mien.data.pack import ImportOptions, import_data

Write = Callable[..., Path]

# As the authors' readme files number them; the tests spell them out again, so that no table can go wrong alone.
RAF = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
POSED = {"AN": "angry", "DI": "disgust", "HA": "happy", "NE": "neutral", "SA": "sad", "SU": "surprise"}
CKPLUS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


def words(data: Dataset) -> dict[str, str]:
    """The class of each picture by its source."""
    names = [data.labels.names[i] for i in data.label]
    return dict(zip(data.column("source").tolist(), names, strict=True))


def same(names: tuple[str, ...]) -> list[int | None]:
    """FER+'s id of each name, by meaning."""
    return [FERPLUS8.index(name) for name in names]


# RAF-DB


def raf(write: Write, *, folder: str = "Image/aligned", ending: str = "_aligned", labels: int = 7) -> Path:
    """Two pictures of each class in train and one in test, listed as RAF-DB does."""
    lines, files = [], {}
    for number in range(1, labels + 1):
        for split, name in (("train", number), ("train", number + 100), ("test", number)):
            width = 5 if split == "train" else 4
            lines.append(f"{split}_{name:0{width}d}.jpg {number}")
            files[f"{folder}/{split}_{name:0{width}d}{ending}.jpg"] = np.full((8, 8), 10 * number, np.uint8)
    root = write(files, "raf")
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def test_raf_db_takes_aligned_faces_by_its_list_and_names_its_numbers(write_pictures: Write, tmp_path: Path) -> None:
    root = raf(write_pictures)
    imported = import_data(root, tmp_path / "packed")
    data = imported.dataset
    assert recognise(root).name == recognise(root / "EmoLabel/list_patition_label.txt").name == "raf-db"
    assert data.labels is FER2013
    assert {word: int(data.images[i].mean()) for i, word in enumerate(words(imported.dataset).values())} == {
        canonical(name): 10 * number for number, name in enumerate(RAF, start=1)
    }
    assert data.info.counts["test"] == dict.fromkeys(FER2013.names, 1)
    assert data.info.counts["val"] == dict.fromkeys(FER2013.names, 1)
    assert words(imported.dataset)["aligned/train_00004_aligned.jpg"] == "happy"


@pytest.mark.parametrize("folder", ["Image/original", "."])
def test_raf_db_without_aligned_faces_takes_the_photographs_and_says_so(
    folder: str, write_pictures: Write, tmp_path: Path
) -> None:
    root = raf(write_pictures, folder=folder, ending="")
    imported = import_data(root, tmp_path / "packed")
    assert len(imported.dataset) == 21
    assert any("whole photographs" in note for note in imported.notes)


def test_raf_dbs_compound_set_has_its_own_names(write_pictures: Write, tmp_path: Path) -> None:
    data = import_data(raf(write_pictures, labels=11), tmp_path / "packed").dataset
    assert data.labels.names[0] == "happily surprised"
    assert data.labels.names[10] == "disgustedly surprised"
    assert len(data.labels) == 11


def test_raf_db_in_numbered_class_folders_is_known_by_its_file_names(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"DATASET/train/{n}/train_{n:05d}_aligned.jpg": n for n in range(1, 8)}
    files |= {f"DATASET/test/{n}/test_{n:04d}_aligned.jpg": n + 10 for n in range(1, 8)}
    imported = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(test_as_val=True))
    assert imported.notes[0].startswith("read as raf-db")
    assert imported.dataset.info.counts["train"] == dict.fromkeys(FER2013.names, 1)
    assert words(imported.dataset)["DATASET/test/6/test_0006_aligned.jpg"] == "angry"


def test_a_list_whose_pictures_are_elsewhere_is_refused_with_where_was_looked(tmp_path: Path) -> None:
    (tmp_path / "list_patition_label.txt").write_text("train_00001.jpg 5\n")
    with pytest.raises(MienError, match=r"train_00001_aligned\.jpg, were not found\n.*Image/aligned"):
        import_data(tmp_path, tmp_path / "packed")


def test_a_listed_picture_that_is_missing_is_rejected(write_pictures: Write, tmp_path: Path) -> None:
    root = raf(write_pictures)
    (root / "Image/aligned/train_00107_aligned.jpg").unlink()
    rejected = import_data(root, tmp_path / "packed").rejects.items
    assert [(item.source, item.reason) for item in rejected] == [("aligned/train_00107_aligned.jpg", "no such file")]


def test_a_missing_first_picture_does_not_hide_the_others_of_raf_db(write_pictures: Write, tmp_path: Path) -> None:
    root = raf(write_pictures)
    (root / "Image/aligned/train_00001_aligned.jpg").unlink()
    imported = import_data(root, tmp_path / "packed")
    assert [(item.row, item.reason) for item in imported.rejects.items] == [(0, "no such file")]


def test_a_code_of_raf_db_in_raised_digits_is_no_number(write_pictures: Write, tmp_path: Path) -> None:
    root = raf(write_pictures)
    with (root / "EmoLabel/list_patition_label.txt").open("a", encoding="utf-8") as file:
        file.write("train_00001.jpg ²\n")
    rejected = import_data(root, tmp_path / "packed").rejects.items
    assert [item.reason for item in rejected] == ["label '²' is none of 6, 3, 2, 4, 5, 1, 7"]


# AffectNet, old tables


def affectnet_row(file: str, label: int, box: tuple[int, int, int, int]) -> str:
    return f"{file},{','.join(map(str, box))},1.5;2.5;3.5,{label},-0.1,0.2"


HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


@pytest.fixture
def affectnet(write_pictures: Write) -> Path:
    """A picture of each of the eleven codes in training, two in validation; the face is a bright square."""
    picture = np.zeros((20, 30), np.uint8)
    picture[5:15, 10:20] = 200
    files = {f"Manually_Annotated_Images/{i}/{i}.png": picture for i in range(11)}
    root = write_pictures(files, "affectnet")
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir()
    rows = [affectnet_row(f"{i}/{i}.png", i, (10, 5, 10, 10)) for i in range(11)]
    (lists / "training.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    outside = [affectnet_row("3/3.png", 3, (25, -4, 10, 30)), affectnet_row("1/1.png", 1, (0, 0, 0, 0))]
    (lists / "validation.csv").write_text("\n".join([HEADER, *outside]) + "\n")
    (lists / "automatically_annotated.csv").write_text(f"{HEADER}\n{affectnet_row('2/2.png', 5, (0, 0, 9, 9))}\n")
    return root


def test_affectnets_tables_cut_the_face_name_the_codes_and_leave_out_what_is_none(
    affectnet: Path, tmp_path: Path
) -> None:
    imported = import_data(affectnet, tmp_path / "packed", options=ImportOptions(size=10))
    data = imported.dataset
    assert data.labels is FERPLUS8
    train = data.split == "train"
    assert data.label[train].tolist() == same(AFFECTNET)
    assert (data.images[train] == 200).all()
    assert data.label[~train].tolist() == same(("surprise", "happiness"))
    assert [item.reason for item in imported.rejects.items] == [
        "expression 8: none of the expressions",
        "expression 9: uncertain",
        "expression 10: no face",
    ]
    assert imported.rejects.counts() == {"left out": 3}


def test_a_face_box_is_cut_at_the_border_and_an_empty_one_takes_the_whole_picture(
    affectnet: Path, tmp_path: Path
) -> None:
    table = affectnet / "Manually_Annotated_file_lists/validation.csv"
    one = table.read_text().splitlines()
    for line, wanted in ((one[1], (20, 5)), (one[2], (20, 30))):
        table.write_text(f"{HEADER}\n{line}\n{line}\n")
        data = import_data(table, tmp_path / "packed", force=True).dataset
        assert data.images.shape[1:] == wanted


def test_a_missing_first_picture_does_not_hide_the_others_of_affectnet(affectnet: Path, tmp_path: Path) -> None:
    (affectnet / "Manually_Annotated_Images/0/0.png").unlink()
    imported = import_data(affectnet, tmp_path / "packed")
    missing = [(item.source, item.reason) for item in imported.rejects.items if item.kind != "left out"]
    assert missing == [("0/0.png", "no such file")]


def test_what_a_net_labelled_is_read_only_when_asked_for(affectnet: Path, tmp_path: Path) -> None:
    table = affectnet / "Manually_Annotated_file_lists/automatically_annotated.csv"
    data = import_data(table, tmp_path / "packed").dataset
    assert words(data) == {"2/2.png": "disgust"}


# AffectNet, newer files


@pytest.fixture
def affectnet_files(write_pictures: Write) -> Path:
    """Eight pictures of train_set and one of val_set, each with its npy file: text as handed out, or a number."""
    files = {f"train_set/images/{i}.jpg": i for i in range(12)} | {"val_set/images/7.jpg": 7}
    root = write_pictures(files, "files")
    for name in ("train_set", "val_set"):
        (root / name / "annotations").mkdir()
    for i in range(12):
        value = np.array(str(i % 8)) if i < 8 else np.int64(i % 8)
        np.save(root / f"train_set/annotations/{i}_exp.npy", value)
        np.save(root / f"train_set/annotations/{i}_val.npy", np.array("-0.5"))
    np.save(root / "val_set/annotations/7_exp.npy", np.array("7"))
    return root


def test_affectnets_npy_files_are_joined_by_number(affectnet_files: Path, tmp_path: Path) -> None:
    imported = import_data(affectnet_files, tmp_path / "packed")
    data = imported.dataset
    assert imported.notes[0].startswith("read as affectnet-npy")
    assert data.column("source").tolist()[9:] == [f"train_set/images/{i}.jpg" for i in (9, 10, 11)] + [
        "val_set/images/7.jpg"
    ]
    assert data.label.tolist() == [*same(AFFECTNET), *same(AFFECTNET[:4]), FERPLUS8.index("contempt")]
    assert data.split.tolist() == ["train"] * 12 + ["val"]
    part = import_data(affectnet_files / "train_set", tmp_path / "part").dataset
    assert part.info.counts["val"]["neutral"] == 1
    assert len(import_data(affectnet_files.parent, tmp_path / "above").dataset) == 13


def test_a_missing_damaged_or_pickled_npy_file_rejects_its_picture_only(affectnet_files: Path, tmp_path: Path) -> None:
    folder = affectnet_files / "train_set/annotations"
    (folder / "1_exp.npy").unlink()
    (folder / "2_exp.npy").write_bytes(b"\x93NUMPY")
    np.save(folder / "3_exp.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(folder / "4_exp.npy", np.array([1, 2]))
    np.save(folder / "5_exp.npy", np.array("12"))
    reasons = {item.source[-5:]: item.reason for item in import_data(affectnet_files, tmp_path / "p").rejects.items}
    assert reasons["1.jpg"] == "no annotations/1_exp.npy"
    assert "2_exp.npy cannot be read" in reasons["2.jpg"]
    assert "3_exp.npy cannot be read" in reasons["3.jpg"]
    assert reasons["4.jpg"] == "annotations/4_exp.npy holds 2 values, not one"
    assert "label '12' is none of" in reasons["5.jpg"]
    assert len(reasons) == 5


# CK+


@pytest.fixture
def ckplus(write_pictures: Write) -> Path:
    """Eight people with a labelled sequence of six frames each, one of them with a second one without label."""
    files, labels = {}, {}
    for code, person in enumerate(("S005", "S010", "S011", "S014", "S022", "S026", "S028"), start=1):
        for frame in range(1, 7):
            files[f"cohn-kanade-images/{person}/001/{person}_001_{frame:08d}.png"] = 10 * code + frame
        labels[f"Emotion/{person}/001/{person}_001_00000006_emotion.txt"] = f"   {code:.7e}\n"
    files |= {f"cohn-kanade-images/S005/002/S005_002_{frame:08d}.png": frame for frame in (1, 2)}
    root = write_pictures(files, "ck")
    for name, text in labels.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    return root


def test_ckplus_takes_the_peak_and_the_neutral_start_of_each_labelled_sequence(
    ckplus: Path, picture: Write, tmp_path: Path
) -> None:
    imported = import_data(ckplus, tmp_path / "packed")
    data = imported.dataset
    assert imported.notes[:2] == [
        "read as ckplus: CK+: sequences S005/001/*.png with Emotion/S005/001/*_emotion.txt",
        "7 sequences of 7 people; of each the last 3 frames take its label, the first is neutral; "
        "1 sequences have no label and are left out",
    ]
    assert data.labels is FERPLUS8
    expected = [FERPLUS8.index(name) for code in range(1, 8) for name in (CKPLUS[0], *[CKPLUS[code]] * 3)]
    assert data.label.tolist() == expected
    assert (data.images[:4] == np.stack([picture(seed) for seed in (11, 14, 15, 16)])).all()
    assert data.subject is not None
    assert data.subject.tolist()[:5] == ["S005"] * 4 + ["S010"]


def test_no_person_of_ckplus_is_in_train_and_val(ckplus: Path, tmp_path: Path) -> None:
    imported = import_data(ckplus, tmp_path / "packed", options=ImportOptions(val_fraction=0.3))
    data = imported.dataset
    assert data.subject is not None
    people = {split: set(data.subject[data.split == split].tolist()) for split in ("train", "val")}
    assert people["val"]
    assert not people["train"] & people["val"]
    assert any("no person in both" in note for note in imported.notes)


def test_the_emotion_files_may_lie_beside_the_pictures_folder(ckplus: Path, tmp_path: Path) -> None:
    data = import_data(ckplus / "cohn-kanade-images", tmp_path / "packed").dataset
    assert len(data) == 28


def test_a_damaged_emotion_file_rejects_the_peak_of_its_sequence(ckplus: Path, tmp_path: Path) -> None:
    next((ckplus / "Emotion/S005").rglob("*.txt")).write_text("three")
    imported = import_data(ckplus, tmp_path / "packed")
    assert {item.reason for item in imported.rejects.items} == {"label 'three' is none of 0, 5, 7, 6, 1, 3, 4, 2"}
    assert len(imported.rejects) == 3


def test_class_folders_of_ckplus_tell_people_apart_too(write_pictures: Write, tmp_path: Path) -> None:
    files = {f"CK+48/{word}/S{100 + i}_00{j}_00000017.png": i for i in range(6) for j, word in enumerate(RAF[:3])}
    imported = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(val_fraction=0.34))
    data = imported.dataset
    assert imported.notes[0].startswith("read as folders")
    assert data.subject is not None
    assert {who: set(data.split[data.subject == who]) for who in ("S100", "S105")}.keys() == {"S100", "S105"}
    assert all(len(set(data.split[data.subject == who].tolist())) == 1 for who in set(data.subject.tolist()))


# KDEF and JAFFE: both write fear in their own way.


def test_kdef_is_read_from_its_file_names_whatever_the_folders(write_pictures: Write, tmp_path: Path) -> None:
    codes = {"AF": "fear"} | POSED
    files = {
        f"KDEF/{who}/{who}{code}{angle}.JPG": np.zeros((9, 7), np.uint8)
        for who in ("AF01", "BF01", "AM31", "BM31", "AF02", "AM02")
        for code in codes
        for angle in ("S", "HL", "FR")
    }
    files["KDEF/AM31/AM31H.JPG"] = np.zeros((9, 7), np.uint8)
    imported = import_data(write_pictures(files), tmp_path / "packed")
    data = imported.dataset
    assert imported.notes[0].startswith("read as kdef")
    assert data.labels is FER2013
    found = words(imported.dataset)
    assert {code: found[f"KDEF/BM31/BM31{code}HL.JPG"] for code in codes} == codes
    assert data.subject is not None
    by_source = dict(zip(data.column("source").tolist(), data.subject.tolist(), strict=True))
    assert by_source["KDEF/AF01/AF01ANS.JPG"] == by_source["KDEF/BF01/BF01SUFR.JPG"] == "F01"
    assert "all angles are taken: full right 42, half left 42, straight 42" in imported.notes
    reject = imported.rejects.items[0]
    assert (reject.source, reject.reason) == ("KDEF/AM31/AM31H.JPG", "not named as in KDEF's files (AF01ANS.JPG)")


def test_jaffe_is_read_from_its_file_names_and_keeps_split_folders(write_pictures: Write, tmp_path: Path) -> None:
    codes = {"FE": "fear"} | POSED
    files = {
        f"{folder}/{who}.{code}{take}.{number}.tiff": number
        for folder, who in (("train", "KA"), ("test", "KL"))
        for number, code in enumerate(codes, start=100)
        for take in (1, 2)
    }
    imported = import_data(write_pictures(files), tmp_path / "packed", options=ImportOptions(test_as_val=True))
    data = imported.dataset
    assert imported.notes[0].startswith("read as jaffe")
    assert {source.split(".")[1][:2]: word for source, word in words(imported.dataset).items()} == codes
    assert data.subject is not None
    assert set(zip(data.subject.tolist(), data.split.tolist(), strict=True)) == {("KA", "train"), ("KL", "val")}


# What they share


@pytest.mark.parametrize("form", ["table", "tfrecord", "fer2013", "icml", "contest"])
def test_people_survive_an_export(form: str, ckplus: Path, tmp_path: Path) -> None:
    before = import_data(ckplus, tmp_path / "packed").dataset
    export_data(before, tmp_path / "out", form)
    after = import_data(tmp_path / "out", tmp_path / "again").dataset
    assert after.subject is not None
    order = np.arange(len(before)) if form in ("table", "fer2013", "icml") else np.argsort(before.split, kind="stable")
    assert after.subject.tolist() == before.subject[order].tolist()
    assert after.column("sha256").tolist() == before.column("sha256")[order].tolist()


def test_a_person_whose_name_would_cut_a_row_is_refused(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"a.png": 1, "b.png": 2})
    (root / "labels.csv").write_text('file,label,split,subject\na.png,sad,train,"Doe, Jo"\nb.png,sad,val,x\n')
    data = import_data(root, tmp_path / "packed").dataset
    with pytest.raises(MienError, match=r"cannot hold the person 'Doe, Jo'\n.*--to table"):
        export_data(data, tmp_path / "out", "fer2013")


def test_sets_without_people_have_no_column_of_them(affectnet: Path, tmp_path: Path) -> None:
    assert import_data(affectnet, tmp_path / "packed").dataset.subject is None


def test_the_layouts_of_other_sets_are_only_read(ckplus: Path, tmp_path: Path) -> None:
    data = import_data(ckplus, tmp_path / "packed").dataset
    with pytest.raises(MienError, match="'raf-db' is only read"):
        export_data(data, tmp_path / "out", "raf-db")


@pytest.mark.parametrize("form", ["raf-db", "affectnet", "affectnet-npy", "ckextended", "ckplus", "kdef", "jaffe"])
def test_a_layout_forced_onto_something_else_says_so(form: str, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"happy/a.png": 1, "sad/b.png": 2})
    with pytest.raises(MienError, match=f"not of the format '{form}'"):
        import_data(root, tmp_path / "packed", options=ImportOptions(format=form))


def test_headers_are_surveyed_before_pictures_are_read_and_both_are_told(ckplus: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    import_data(
        ckplus,
        tmp_path / "packed",
        progress=lambda done, total: told.append(("pictures", done, total)),
        surveying=lambda done, total: told.append(("headers", done, total)),
    )
    assert told == [("headers", 28, 28), ("pictures", 28, 28)]
