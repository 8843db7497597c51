"""Dividing a set anew: shares are met, copies stay together, folds can be taken."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.cli.app import run
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.data.expand import changed_copies
from mien.data.redivide import FOLD, Division, assign, split_data, take_fold
from mien.data.regroup import is_grouped, write_groups
from mien.data.split import divide

labels_drawn = st.lists(st.integers(-1, 4), min_size=1, max_size=120).map(np.array)
shares_drawn = st.lists(st.floats(0.05, 1), min_size=1, max_size=5)


def groups_for(count: int, seed: int, *, share: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(count) < share, rng.integers(0, max(count // 6, 1), count), -1)


@pytest.fixture
def with_copies(tmp_path: Path) -> Dataset:
    """210 noisy pictures: 0 to 19 again, equal, as 100 to 119; 20 to 29 again, mirrored, as 120 to 129."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (210, 6, 6)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    images[100:120], images[120:130] = images[:20], images[20:30, :, ::-1]
    split = np.repeat(["train", "test"], [180, 30])
    source = [f"{i}.png" for i in range(210)]
    table = datasets.make_table(label=np.arange(210) % 7, split=split, source=source, images=images)
    return datasets.save(tmp_path / "set", images, table, datasets.describe("noise", FER2013, images, table))


@given(labels_drawn, shares_drawn, st.integers(0, 99))
def test_no_group_is_ever_parted(label: np.ndarray, shares: list[float], seed: int) -> None:
    group = groups_for(len(label), seed)
    part = divide(label, group, shares, seed=seed)
    assert ((part >= 0) & (part < len(shares))).all()
    for g in set(group[group >= 0].tolist()):
        assert len(set(part[group == g].tolist())) == 1


@given(labels_drawn, shares_drawn, st.integers(0, 99))
def test_without_groups_every_class_meets_its_shares_to_the_picture(
    label: np.ndarray, shares: list[float], seed: int
) -> None:
    part = divide(label, np.full(len(label), -1), shares, seed=seed)
    for c in set(label.tolist()):
        count = np.bincount(part[label == c], minlength=len(shares))
        exact = np.array(shares) / sum(shares) * count.sum()
        # Beyond rounding, a share is only cut so that no part of a class stays empty.
        assert (count <= np.ceil(exact - 1e-6) + (exact < 1)).all()
        assert (count >= np.floor(exact + 1e-6)).all() or count.min() == 1
        assert count.min() > 0 or count.sum() < len(shares)


@settings(deadline=None)
@given(st.integers(0, 99))
def test_small_groups_leave_the_shares_of_a_large_set_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.choice(5, 3000, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    part = divide(label, groups_for(3000, seed, share=0.2), (0.1, 0.1, 0.8), seed=seed)
    for c in range(5):
        count = np.bincount(part[label == c], minlength=3)
        assert np.abs(count - np.array([0.1, 0.1, 0.8]) * count.sum()).max() <= 3


def test_a_huge_group_goes_where_it_fits() -> None:
    group = np.where(np.arange(1000) < 400, 0, -1)
    part = divide(np.zeros(1000, int), group, (0.1, 0.9), seed=0)
    assert set(part[:400].tolist()) == {1}
    assert (part == 0).sum() == 100


def test_the_draw_repeats_with_its_seed_and_changes_with_another() -> None:
    label, group = np.arange(500) % 3, groups_for(500, 1)
    parts = [divide(label, group, (0.5, 0.5), seed=seed) for seed in (0, 0, 1)]
    assert (parts[0] == parts[1]).all()
    assert (parts[0] != parts[2]).any()


@pytest.mark.parametrize("shares", [(0.5, 0), (1, -0.1)])
def test_a_share_that_is_none_is_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(MienError, match="more than 0"):
        divide(np.zeros(3, int), np.full(3, -1), shares, seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"val": 0}, "val 0 and test 0.0 leave nothing for train"),
        ({"val": 1.0}, "val 1.0 and test 0.0 leave nothing for train"),
        ({"val": 0.6, "test": 0.4}, "val 0.6 and test 0.4 leave nothing for train"),
        ({"test": -1}, "val 0.1 and test -1 leave nothing for train"),
        ({"folds": 1}, "1 folds: at least 2 are needed"),
        ({"folds": 5, "test": 1.0}, "test 1.0 leaves nothing for the folds"),
        ({"folds": 5, "test": -0.1}, "test -0.1 leaves nothing for the folds"),
        ({"keep_test": True, "test": 0.1}, "test cannot be both kept and drawn anew"),
    ],
)
def test_a_division_that_leaves_nothing_is_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(MienError, match=f"^{re.escape(message)}\n"):
        Division(**wrong)


def test_folds_leave_no_share_to_val_and_so_any_to_test() -> None:
    rows, split, fold = assign(np.zeros(100, int), np.full(100, -1), np.full(100, "train"), Division(folds=5, test=0.6))
    assert len(rows) == 100
    assert (split == "test").sum() == 60
    assert np.bincount(fold[fold >= 0]).tolist() == [8] * 5


def test_train_val_and_test_are_drawn_in_their_shares() -> None:
    label = np.arange(1000) % 4
    rows, split, _ = assign(label, np.full(1000, -1), np.full(1000, "train"), Division(val=0.1, test=0.2))
    assert rows.tolist() == list(range(1000))
    assert {name: int((split == name).sum()) for name in ("train", "val", "test")} == {
        "train": 700,
        "val": 100,
        "test": 200,
    }


def test_a_test_split_that_is_kept_loses_nothing_and_its_copies_leave_the_rest() -> None:
    group = np.full(100, -1)
    group[[3, 95]] = 0
    split = np.repeat(["train", "test"], [90, 10])
    rows, new, _ = assign(np.zeros(100, int), group, split, Division(val=0.1, keep_test=True))
    assert 3 not in rows
    assert (new[rows >= 90] == "test").all()
    assert (new == "test").sum() == 10


@pytest.mark.parametrize(
    ("division", "kept"),
    [(Division(), True), (Division(folds=5), True), (Division(keep_test=False), False), (Division(test=0.2), False)],
)
def test_a_test_split_is_kept_unless_told_otherwise(division: Division, kept: bool) -> None:
    split = np.repeat(["train", "test"], [90, 10])
    _, new, _ = assign(np.zeros(100, int), np.full(100, -1), split, division)
    assert np.array_equal(new == "test", split == "test") is kept


def test_there_must_be_a_test_split_to_keep() -> None:
    with pytest.raises(MienError, match="no test split to keep"):
        assign(np.zeros(5, int), np.full(5, -1), np.full(5, "train"), Division(keep_test=True))


def test_a_packed_set_is_divided_with_its_copies_on_one_side(with_copies: Dataset, tmp_path: Path) -> None:
    out = split_data(with_copies, tmp_path / "new", Division(val=0.3, test=0.2, seed=1))
    group, split = out.column("group"), out.split
    assert (group[:20] == group[100:120]).all()
    assert (split[:30] == split[100:130]).all()
    assert (out.images == with_copies.images).all()
    assert out.info.provenance["parent"] == with_copies.info.fingerprint
    assert out.info.provenance["rule"]["seed"] == 1
    assert is_grouped(out)


def test_copies_may_be_parted_on_demand(with_copies: Dataset, tmp_path: Path) -> None:
    out = split_data(with_copies, tmp_path / "new", Division(val=0.5, apart=True))
    assert (out.split[:30] != out.split[100:130]).any()
    assert not is_grouped(out)


def test_people_are_kept_on_one_side_and_with_them_their_copies(with_copies: Dataset, tmp_path: Path) -> None:
    people = [f"p{i // 7}" for i in range(len(with_copies))]
    table = with_copies.table.append_column("subject", [people])
    named = datasets.save(tmp_path / "named", with_copies.images, table, with_copies.info)
    out = split_data(named, tmp_path / "new", Division(val=0.4, keep_test=False))
    for person in set(people):
        assert len(set(out.split[out.column("subject") == person].tolist())) == 1
    assert (out.split[:30] == out.split[100:130]).all()


def test_folds_cover_everything_once_and_each_can_be_val(with_copies: Dataset, tmp_path: Path) -> None:
    out = split_data(with_copies, tmp_path / "new", Division(folds=3, test=0.2))
    folds = out.column(FOLD)
    assert ((folds == -1) == (out.split == "test")).all()
    assert ((folds == 0) == (out.split == "val")).all()
    taken = [take_fold(out, fold) for fold in range(3)]
    covered = np.concatenate([one.rows("val") for one in taken])
    assert sorted(covered.tolist()) == np.flatnonzero(folds >= 0).tolist()
    for one in taken:
        assert not set(one.column("group")[one.rows("train")]) & set(one.column("group")[one.rows("val")]) - {-1}
        assert (one.split == "test").tolist() == (folds == -1).tolist()
    assert len({one.info.fingerprint for one in taken}) == 3
    assert taken[1].info.provenance["parent"] == out.info.fingerprint


def test_a_fold_that_is_not_there_is_refused(with_copies: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no folds"):
        take_fold(with_copies, 0)
    out = split_data(with_copies, tmp_path / "new", Division(folds=3))
    with pytest.raises(MienError, match="no fold 3"):
        take_fold(out, 3)
    with pytest.raises(MienError, match="no fold -1"):
        take_fold(out, -1)


def test_dividing_again_without_folds_leaves_none(with_copies: Dataset, tmp_path: Path) -> None:
    out = split_data(with_copies, tmp_path / "a", Division(folds=3))
    again = split_data(out, tmp_path / "b", Division(val=0.2))
    with pytest.raises(MienError, match="no folds"):
        take_fold(again, 0)


def test_grouping_in_place_changes_the_groups_only(with_copies: Dataset) -> None:
    assert not is_grouped(with_copies)
    grouped = write_groups(with_copies)
    assert is_grouped(grouped)
    assert grouped.info.fingerprint == with_copies.info.fingerprint
    assert (grouped.column("group")[:30] == grouped.column("group")[100:130]).all()
    assert (grouped.column("group") >= 0).sum() == 60
    other = [name for name in with_copies.table.column_names if name != "group"]
    assert grouped.table.select(other).equals(with_copies.table.select(other))


def test_a_set_that_is_known_to_have_no_copies_counts_as_grouped(bar_set: Dataset, tmp_path: Path) -> None:
    copy = datasets.save(
        tmp_path / "bars", bar_set.images[:7], bar_set.table.slice(0, 7), bar_set.info.model_copy(update={"count": 7})
    )
    grouped = write_groups(copy)
    assert (grouped.column("group") == -1).all()
    assert is_grouped(grouped)


# People who are in test and elsewhere, too

SIX = np.array([f"p{i % 6}" for i in range(60)])
TESTED = np.repeat(["train", "test"], [48, 12])


@pytest.fixture
def six_people(tmp_path: Path) -> Dataset:
    """48 noisy pictures in train and 12 in test of the same six people, none a copy."""
    images = np.random.default_rng(0).integers(0, 256, (60, 24, 24), dtype=np.uint8)
    source, people = [f"{i}.png" for i in range(60)], {"subject": SIX.tolist()}
    table = datasets.make_table(label=np.arange(60) % 2, split=TESTED, source=source, images=images, extra=people)
    return datasets.save(tmp_path / "six", images, table, datasets.describe("six", FER2013, images, table))


@pytest.mark.parametrize("apart", [False, True])
def test_people_in_test_do_not_empty_the_rest_unasked(six_people: Dataset, tmp_path: Path, apart: bool) -> None:
    with pytest.raises(MienError, match=r"48 pictures outside test show people who are in test") as caught:
        split_data(six_people, tmp_path / "new", Division(apart=apart))
    assert "--test .1" in (caught.value.hint or "")
    assert "--no-keep-test" in (caught.value.hint or "")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("division", [Division(test=0.2, val=0.2), Division(keep_test=False, val=0.2)])
def test_another_test_or_none_keeps_all_pictures_and_everybody_on_one_side(
    division: Division, six_people: Dataset, tmp_path: Path
) -> None:
    out = split_data(six_people, tmp_path / "new", division)
    assert len(out) == 60
    for person in set(SIX.tolist()):
        assert len(set(out.split[out.column("subject") == person].tolist())) == 1


def test_a_test_that_is_kept_on_demand_leaves_its_people_out_unless_these_are_all(
    six_people: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match="nothing is left to divide"):
        split_data(six_people, tmp_path / "new", Division(keep_test=True))
    group = np.full(60, -1)
    group[[1, 59]] = 0  # p1 in train is a copy of p5 in test
    rows, _, _ = assign(
        *(np.zeros(60, int), group, TESTED, Division(val=0.3, keep_test=True)),
        subject=np.where(TESTED == "test", "p0", SIX),
    )
    assert rows.tolist() == [i for i in range(60) if i >= 48 or i % 6 not in (0, 1)]


@pytest.mark.parametrize(
    ("division", "empty"), [(Division(test=0.1), "val"), (Division(keep_test=False, folds=7), r"fold \d")]
)
def test_a_part_that_is_smaller_than_any_person_is_told(division: Division, empty: str, six_people: Dataset) -> None:
    with pytest.raises(MienError, match=f"no picture comes to {empty}: groups of copies or people are larger"):
        assign(six_people.label, np.full(60, -1), six_people.split, division, subject=six_people.subject)


def test_a_set_of_test_alone_leaves_nothing_to_divide() -> None:
    with pytest.raises(MienError, match="nothing is left to divide"):
        assign(np.zeros(5, int), np.full(5, -1), np.full(5, "test"), Division())


def test_copies_and_people_of_test_are_counted_apart(
    six_people: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = ["p0"] * 3 + [f"a{i}" for i in range(3, 40)] + [""] + [f"a{i}" for i in range(41, 48)] + ["p0"] * 12
    group = np.full(60, -1)
    group[[40, 50]] = 0
    table = six_people.table.drop_columns(["subject", "group"])
    table = table.append_column("subject", [people]).append_column("group", [group])
    info = six_people.info.model_copy(update={"provenance": {"groups": {}}})
    datasets.save(tmp_path / "a", six_people.images, table, info)
    assert run(["data", "split", str(tmp_path / "a"), "-o", str(tmp_path / "b"), "--keep-test"]) == 0
    said = capsys.readouterr().out
    assert "· 1 copies of pictures in test left out" in said
    assert "· 3 pictures of people who are in test left out" in said
    assert "test is as it was" in said


def test_a_place_that_is_taken_is_told_before_copies_are_looked_for(
    with_copies: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.data.redivide.groups", None)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine.txt").write_text("x")
    with pytest.raises(MienError, match="not a packed data set"):
        split_data(with_copies, tmp_path / "taken", Division())
    assert with_copies.path is not None
    with pytest.raises(MienError, match="choose another --out"):
        split_data(with_copies, with_copies.path, Division(), force=True)


# Changed copies, as `mien data expand` makes them


@pytest.fixture
def expanded(tmp_path: Path) -> Dataset:
    """40 noisy pictures in four folds, −1 for none; the 30 outside of fold 0 have a changed copy each, behind them."""
    images = np.random.default_rng(0).integers(0, 256, (70, 24, 24), dtype=np.uint8)
    row = np.concatenate([np.arange(40), np.arange(10, 40)])
    extra = {
        "fold": row // 10,
        "group": np.where(row < 10, -1, row),
        "flags": [""] * 40 + ["copy"] * 15 + ["x,copy"] * 15,
    }
    table = datasets.make_table(
        label=row % 2,
        split=np.where(row < 10, "val", "train"),
        source=[str(i) for i in range(70)],
        images=images,
        extra=extra,
    )
    info = datasets.describe("expanded", FER2013, images, table, groups={})
    return datasets.save(tmp_path / "expanded", images, table, info)


def test_a_fold_is_validated_on_pictures_as_they_were(expanded: Dataset) -> None:
    taken = take_fold(expanded, 1)
    assert taken.rows("val").tolist() == list(range(10, 20))
    assert taken.rows("train").tolist() == [*range(10), *range(20, 40), *range(50, 70)]
    assert "copy" in taken.info.counts
    assert len(taken) == len(expanded)


@pytest.mark.parametrize("division", [Division(val=0.3, test=0.3), Division(folds=3)])
def test_changed_copies_come_to_train_only(division: Division, expanded: Dataset, tmp_path: Path) -> None:
    out = split_data(expanded, tmp_path / "new", division)
    changed = changed_copies(out)
    assert (~changed).sum() == 40
    assert set(out.split[changed].tolist()) == {"train"}
    assert out.info.provenance["left_out"] == {"copies": 0, "people": 0, "changed": 70 - len(out)}
    assert len(out) < 70
