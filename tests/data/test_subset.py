"""Parts of a set: classes, splits, findings and copies left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.cli.app import run
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.data.subset import Rule, leaking, listed, relabel, representatives, subset_data


@pytest.fixture
def packed(tmp_path: Path) -> Dataset:
    """70 noisy pictures, ten a class; 60 to 64 are copies of 0 to 4, which are in train, and stand in val."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70, 6, 6)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    images[60:65] = images[:5]
    split = np.repeat(["train", "val"], [60, 10])
    source = [f"{i}.png" for i in range(70)]
    votes = rng.integers(0, 10, (70, 10))
    table = datasets.make_table(label=np.arange(70) % 7, split=split, source=source, images=images, votes=votes)
    return datasets.save(tmp_path / "set", images, table, datasets.describe("noise", FER2013, images, table))


def finding(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_class_that_is_dropped_takes_its_pictures_along(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(drop=("anger", "Disgust")))
    assert made.dataset.info.labels == FER2013.names[2:]
    assert made.left_out == {"classes anger, Disgust": 20}
    rows = made.dataset.column("parent_row")
    assert (made.dataset.label == packed.label[rows] - 2).all()
    assert (made.dataset.images == packed.images[rows]).all()
    assert (made.dataset.votes == packed.votes[rows]).all()
    assert made.dataset.column("row").tolist() == list(range(50))


def test_a_share_of_each_class_of_train_by_seed_and_all_of_the_rest(packed: Dataset, tmp_path: Path) -> None:
    half, again, other = (
        subset_data(packed, tmp_path / str(i), Rule(share=0.5, seed=seed)) for i, seed in enumerate((0, 0, 1))
    )
    train = half.dataset.split == "train"
    was = np.bincount(packed.label[packed.split == "train"])
    assert (np.bincount(half.dataset.label[train]) == [round(n * 0.5) for n in was]).all()
    assert (~train).sum() == 10
    assert half.left_out == {"all but 0.5 of each class of train": 60 - train.sum()}
    assert (half.dataset.images == again.dataset.images).all()
    assert half.dataset.column("parent_row").tolist() != other.dataset.column("parent_row").tolist()


def test_a_share_of_nothing_is_refused(packed: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="between 0 and 1"):
        subset_data(packed, tmp_path / "new", Rule(share=0.0))
    assert not (tmp_path / "new").exists()


def test_the_new_set_names_its_parent_and_the_rule(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(drop=("sad",), splits=("train",)))
    provenance = json.loads((tmp_path / "new" / "dataset.json").read_text())["provenance"]
    assert provenance["parent"] == packed.info.fingerprint
    assert provenance["rule"]["drop"] == ["sad"]
    assert provenance["rule"]["left_out"] == {"splits other than train": 10, "classes sad": 8}
    again = subset_data(made.dataset, tmp_path / "newer", Rule(drop=("happy",)))
    assert again.dataset.info.provenance["parent_provenance"]["parent"] == packed.info.fingerprint


def test_merged_classes_become_one_by_any_of_its_names(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(merge={"disgust": "Anger"}))
    assert made.dataset.info.labels == ("angry", "fear", "happy", "sad", "surprise", "neutral")
    assert (made.dataset.label == 0).sum() == 20
    assert len(made.dataset) == 70


def test_a_new_class_stands_where_the_first_of_its_parts_stood() -> None:
    labels, ids = relabel(FER2013, np.arange(-1, 7), drop=("surprise",), merge={"sad": "low", "fear": "low"})
    assert labels.names == ("angry", "disgust", "low", "happy", "neutral")
    assert ids.tolist() == [-1, 0, 1, 2, 3, 2, -1, 4]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(drop=("hapy",)), "did you mean 'happy'"),
        (Rule(merge={"no": "happy"}), "unknown class"),
        (Rule(drop=FER2013.names), "no class is left"),
        (Rule(drop=("sad",), merge={"fear": "sad"}), "dropped or merged itself"),
        (Rule(merge={"fear": "sad", "sad": "angry"}), "dropped or merged itself"),
        (Rule(splits=("test",)), "no picture in split 'test'"),
        (Rule(), "nothing to leave out"),
        (Rule(splits=("val",), drop=("angry",), without=(Path("missing.parquet"),)), "not a Parquet file"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_words(packed: Dataset, tmp_path: Path, rule: Rule, message: str) -> None:
    with pytest.raises(MienError, match=message):
        subset_data(packed, tmp_path / "new", rule)
    assert not (tmp_path / "new").exists()


def test_rows_of_a_finding_are_left_out(packed: Dataset, tmp_path: Path) -> None:
    path = finding(tmp_path / "blurred.parquet", row=[3, 5], source=["3.png", "5.png"])
    made = subset_data(packed, tmp_path / "new", Rule(without=(path,)))
    assert made.dataset.column("parent_row").tolist() == [i for i in range(70) if i not in (3, 5)]
    assert made.left_out == {"blurred.parquet": 2}


def test_sources_that_look_like_numbers_are_compared_as_text(packed: Dataset, tmp_path: Path) -> None:
    names = [f"{i:03}" for i in range(len(packed))]
    place = packed.table.column_names.index("source")
    numbered = replace(packed, table=packed.table.set_column(place, "source", [names]))
    (tmp_path / "bad.csv").write_text("row,source\n3,003\n41,041\n")
    assert np.flatnonzero(listed(numbered, tmp_path / "bad.csv")).tolist() == [3, 41]
    (tmp_path / "other.csv").write_text("row,source\n3,3\n")
    with pytest.raises(MienError, match="another set"):
        listed(numbered, tmp_path / "other.csv")


def test_a_list_without_rows_leaves_nothing_out_and_says_so(packed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("row,source\n")
    made = subset_data(packed, tmp_path / "new", Rule(without=(tmp_path / "none.csv",)))
    assert made.left_out == {"none.csv": 0}
    assert len(made.dataset) == len(packed)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"row": [70]}, "another set"),
        ({"row": [-1]}, "another set"),
        ({"row": [3], "source": ["4.png"]}, "another set"),
        ({"rows": [3]}, "no column `row`"),
        ({"row": ["3"]}, "no column `row`"),
    ],
)
def test_a_finding_about_another_set_is_refused(
    packed: Dataset, tmp_path: Path, columns: dict[str, object], message: str
) -> None:
    path = finding(tmp_path / "other.parquet", **columns)
    with pytest.raises(MienError, match=message):
        subset_data(packed, tmp_path / "new", Rule(without=(path,)))


def test_a_file_that_is_no_parquet_is_refused(packed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("row\n1\n")
    with pytest.raises(MienError, match="not a Parquet file"):
        subset_data(packed, tmp_path / "new", Rule(without=(tmp_path / "a.parquet",)))


def test_leaking_pictures_leave_train_and_val_stays_whole(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(drop_leaks=True))
    assert made.left_out == {"train, copies in val or test": 5}
    assert made.dataset.column("parent_row").tolist() == list(range(5, 70))
    assert (made.dataset.column("group") == -1).all()


def test_leaks_are_looked_for_in_splits_that_are_not_kept(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(splits=("train",), drop_leaks=True))
    assert made.left_out == {"splits other than train": 10, "train, copies in val or test": 5}
    assert made.dataset.column("parent_row").tolist() == list(range(5, 60))
    bad = finding(tmp_path / "bad.parquet", row=[60, 61])
    made = subset_data(packed, tmp_path / "newer", Rule(splits=("train",), without=(bad,), drop_leaks=True))
    assert made.left_out["train, copies in val or test"] == 3


def test_one_of_each_group_stays_and_it_is_the_measured_one(packed: Dataset, tmp_path: Path) -> None:
    made = subset_data(packed, tmp_path / "new", Rule(one_per_group=True))
    assert made.dataset.column("parent_row").tolist() == list(range(5, 70))


def test_within_a_split_the_first_with_the_commonest_label_stays() -> None:
    group, label = np.array([0, 0, 0, -1, 1, 1]), np.array([2, 1, 1, 0, 5, 4])
    keep = representatives(group, label, np.full(6, "train"))
    assert np.flatnonzero(keep).tolist() == [1, 3, 5]


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=40), st.integers(0, 99))
def test_exactly_one_of_each_group_stays(groups: list[int], seed: int) -> None:
    rng, group = np.random.default_rng(seed), np.array(groups)
    split = rng.choice(["train", "val", "test"], len(group))
    keep = representatives(group, rng.integers(-1, 3, len(group)), split)
    assert keep[group < 0].all()
    assert sorted(group[keep & (group >= 0)].tolist()) == sorted(set(group[group >= 0].tolist()))


def test_a_picture_leaks_only_to_what_is_kept() -> None:
    group, split = np.array([0, 0, 1, 1]), np.array(["train", "val", "train", "val"])
    keep = np.array([True, False, True, True])
    assert leaking(group, split, keep).tolist() == [False, False, True, False]


def test_the_parent_itself_is_never_overwritten(packed: Dataset) -> None:
    assert packed.path is not None
    with pytest.raises(MienError, match="is the set to derive from"):
        subset_data(packed, packed.path, Rule(drop=("sad",)), force=True)


def test_an_existing_folder_is_replaced_only_by_force(packed: Dataset, tmp_path: Path) -> None:
    subset_data(packed, tmp_path / "new", Rule(drop=("sad",)))
    with pytest.raises(MienError, match="--force"):
        subset_data(packed, tmp_path / "new", Rule(drop=("fear",)))
    made = subset_data(packed, tmp_path / "new", Rule(drop=("fear",)), force=True)
    assert "fear" not in made.dataset.info.labels


def test_the_verbs_do_it_from_the_command_line(
    packed: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = str(tmp_path / "new")
    arguments = ["data", "subset", str(packed.path), "--out", new, "--merge", "disgust=angry", "--drop-leaks", "--json"]
    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 65
    assert told["left_out"] == {"train, copies in val or test": 5}
    assert run(["data", "split", new, "--out", str(tmp_path / "folds"), "--folds", "4"]) == 0
    assert "folds 0 to 3" in capsys.readouterr().out
    assert run(["data", "group", str(packed.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == 5
    assert run(["data", "subset", str(packed.path), "--out", new, "--merge", "disgust"]) == 2
    assert "CLASS=OTHER" in capsys.readouterr().err


def test_lists_of_one_name_are_counted_together(packed: Dataset, tmp_path: Path) -> None:
    lists = tmp_path / "w1" / "bad.csv", tmp_path / "w2" / "bad.csv"
    for path, rows in zip(lists, ("3", "4\n5"), strict=True):
        path.parent.mkdir()
        path.write_text(f"row\n{rows}\n")
    made = subset_data(packed, tmp_path / "new", Rule(without=lists))
    assert len(made.dataset) == 67
    assert made.left_out == made.dataset.info.provenance["rule"]["left_out"] == {"bad.csv": 3}


def test_a_list_does_not_go_with_the_set_that_is_replaced(packed: Dataset, tmp_path: Path) -> None:
    subset_data(packed, tmp_path / "new", Rule(drop=("sad",)))
    (tmp_path / "new" / "audit" / "findings").mkdir(parents=True)
    path = finding(tmp_path / "new" / "audit" / "findings" / "blurred.parquet", row=[3])
    with pytest.raises(MienError, match=r"blurred.parquet lies in"):
        subset_data(packed, tmp_path / "new", Rule(without=(path,)), force=True)
    assert path.is_file()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule(one_per_group=True), "set exists"),
        (Rule(drop_leaks=True, without=(Path("gone.parquet"),)), "not a Parquet file"),
        (Rule(drop_leaks=True, splits=("test",)), "no picture in split 'test'"),
    ],
)
def test_what_cannot_be_is_told_before_copies_are_looked_for(
    packed: Dataset, tmp_path: Path, rule: Rule, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.data.subset.groups", lambda *_, **__: pytest.fail("looked for copies"))
    other = tmp_path / "other" / "set"
    shutil.copytree(packed.path, other)
    with pytest.raises(MienError, match=said):
        subset_data(packed, other if "exists" in said else tmp_path / "new", rule)
