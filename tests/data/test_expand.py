"""`mien data expand`: originals stay, copies differ, and nobody ends up on two sides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mien.cli.app import run
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset, load
from mien.data.expand import Expansion, expand_data
from mien.data.redivide import Division, split_data

SIDE = 6
# Rows of the small set below: group, weight.
GROUPS, WEIGHTS = [-1, 4, 4, -1, -1, -1], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]


def brighter(images: np.ndarray, rows: np.ndarray, copy: int) -> np.ndarray:
    """A change that says which picture and which copy it was asked for."""
    return (images + 100 + 10 * copy + rows.reshape(-1, 1, 1)).astype(np.uint8)


@pytest.fixture
def small(tmp_path: Path) -> Dataset:
    """Six pictures: five in train, two of them copies of each other and one of weight 0, and one in val."""
    images = np.random.default_rng(0).integers(0, 50, (6, SIDE, SIDE), dtype=np.uint8)
    extra = {
        "group": np.array(GROUPS, np.int64),
        "weight": np.array(WEIGHTS, np.float32),
        "flags": pa.array(["", "blurred", "", "", "", ""]),
        "subject": ["a", "b", "b", "c", "d", "e"],
    }
    table = dataset.make_table(
        label=np.array([0, 1, 1, 2, 3, 0]),
        split=np.array(["train"] * 5 + ["val"]),
        source=[f"f.csv#{i}" for i in range(6)],
        images=images,
        votes=np.eye(10, dtype=np.int64)[:6] * 10,
        extra=extra,
    )
    return dataset.save(tmp_path / "small", images, table, dataset.describe("small", FER2013, images, table))


@pytest.fixture
def expanded(small: Dataset, tmp_path: Path) -> Dataset:
    """Two copies of each training picture of the small set."""
    expansion = Expansion(brighter, 2, {"how": "brighter"}, np.array(GROUPS))
    return expand_data(small, tmp_path / "out", expansion)


def test_originals_come_first_as_they_were_and_only_training_pictures_get_copies(
    small: Dataset, expanded: Dataset
) -> None:
    assert len(expanded) == 6 + 2 * 4
    assert (expanded.images[:6] == small.images).all()
    for name in ("source", "sha256", "label", "split", "weight", "flags", "subject", "votes_happiness"):
        assert expanded.column(name)[:6].tolist() == small.column(name).tolist()
    assert set(expanded.split[6:].tolist()) == {"train"}
    assert expanded.column("parent_row").tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 4, 0, 1, 2, 4]
    assert expanded.column("row").tolist() == list(range(14))


def test_copies_are_changed_and_keep_label_votes_and_person_of_their_parent(small: Dataset, expanded: Dataset) -> None:
    parents = expanded.column("parent_row")[6:]
    number = np.repeat([1, 2], 4)
    expected = small.images[parents] + (100 + 10 * number + parents).reshape(-1, 1, 1).astype(np.uint8)
    assert (expanded.images[6:] == expected).all()
    assert expanded.label[6:].tolist() == small.label[parents].tolist()
    assert expanded.votes is not None
    assert small.votes is not None
    assert (expanded.votes[6:] == small.votes[parents]).all()
    assert expanded.subject is not None
    assert expanded.subject[6:].tolist() == ["a", "b", "b", "d"] * 2
    assert expanded.column("source")[6:8].tolist() == ["f.csv#0+1", "f.csv#1+1"]
    assert expanded.column("flags")[6:10].tolist() == ["copy", "blurred,copy", "copy", "copy"]
    again = dataset.make_table(
        label=expanded.label, split=expanded.split, source=[""] * 14, images=np.asarray(expanded.images)
    )
    assert expanded.column("sha256").tolist() == again.column("sha256").to_pylist()


def test_a_family_is_one_group_and_no_split_parts_it(expanded: Dataset, tmp_path: Path) -> None:
    group, parent = expanded.column("group"), expanded.column("parent_row")
    assert group[[3, 5]].tolist() == [-1, -1]
    assert set(group[(parent == 1) | (parent == 2)].tolist()) == {4}
    assert len({*group[parent == 0].tolist(), *group[parent == 4].tolist(), 4}) == 3
    divided = split_data(expanded, tmp_path / "split", Division(val=0.4))
    row = divided.column("parent_row")
    families = expanded.column("group")[row]
    for family in set(families.tolist()) - {-1}:
        assert len(set(divided.split[families == family].tolist())) == 1


def test_the_provenance_names_the_parent_and_the_rule(small: Dataset, expanded: Dataset) -> None:
    provenance = expanded.info.provenance
    assert provenance["parent"] == small.info.fingerprint
    assert provenance["rule"] == {"verb": "expand", "how": "brighter", "copies": 2}
    assert expanded.info.counts["train"]["disgust"] == 6
    assert expanded.info.fingerprint != small.info.fingerprint


def test_wrong_use_is_refused_before_anything_is_written(small: Dataset) -> None:
    with pytest.raises(MienError, match="0 copies"):
        Expansion(brighter, 0, {}, np.array(GROUPS))
    expansion = Expansion(brighter, 1, {}, np.array(GROUPS))
    assert small.path is not None
    with pytest.raises(MienError, match="into itself"):
        expand_data(small, small.path, expansion, force=True)
    taken = Path(shutil.copytree(small.path, small.path.with_name("taken")))
    with pytest.raises(MienError, match="--force"):
        expand_data(small, taken, expansion)


def test_an_expansion_that_breaks_off_leaves_nothing(small: Dataset, tmp_path: Path) -> None:
    def fails(images: np.ndarray, rows: np.ndarray, copy: int) -> np.ndarray:
        if copy == 2:
            raise KeyboardInterrupt
        return brighter(images, rows, copy)

    with pytest.raises(KeyboardInterrupt):
        expand_data(small, tmp_path / "out", Expansion(fails, 2, {}, np.array(GROUPS)))
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_progress_counts_originals_and_copies(small: Dataset, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    expansion = Expansion(brighter, 3, {}, np.array(GROUPS))
    expand_data(small, tmp_path / "out", expansion, progress=lambda done, total: told.append((done, total)))
    assert told == [(6, 18), (10, 18), (14, 18), (18, 18)]


# The command, with a real recipe


def expand(data: Dataset, out: Path, *flags: str) -> int:
    return run(["data", "expand", str(data.path), "--out", str(out), "--recipe", "mien-m", *flags])


def test_the_command_changes_pictures_by_the_recipe_and_repeats_with_its_seed(bar_set: Dataset, tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert expand(bar_set, tmp_path / name, "--copies", "2", "--seed", seed) == 0
    first, again, other = (load(tmp_path / name) for name in "abc")
    assert len(first) == 160 + 2 * 120
    assert (first.images == again.images).all()
    assert (first.images[:160] == other.images[:160]).all()
    assert (first.images[160:] != other.images[160:]).mean() > 0.5
    assert (first.images[160:280] != first.images[280:]).mean() > 0.5
    rule = first.info.provenance["rule"]
    assert rule["recipe"] == "mien-m"
    assert rule["augment"]["rotation_degrees"] == 15
    assert not {"padding", "random_erasing_area", "mixup_alpha"} & rule["augment"].keys()
    assert rule["seed"] == 0


def test_a_plain_flip_mirrors_pixel_by_pixel_in_grey_and_colour(bar_set: Dataset, tmp_path: Path) -> None:
    grey = np.asarray(bar_set.images[:8])
    for images in (grey, np.stack([grey, grey // 2, 255 - grey], axis=3)):
        table = dataset.make_table(
            label=np.arange(8) % 7, split=np.array(["train"] * 8), source=[str(i) for i in range(8)], images=images
        )
        described = dataset.describe("flips", FER2013, images, table)
        data = dataset.save(tmp_path / f"in{images.ndim}", images, table, described)
        recipe = tmp_path / "flip.toml"
        recipe.write_text('[augment]\nflip = "alternate"\n')
        out = tmp_path / f"out{images.ndim}"
        assert run(["data", "expand", str(data.path), "--out", str(out), "--recipe", str(recipe), "-n", "2"]) == 0
        made = np.asarray(load(out).images)
        first, second = made[8:16], made[16:]
        for i in range(8):
            pair = [first[i], second[i]]
            assert any(np.array_equal(x, images[i]) for x in pair)
            assert any(np.array_equal(x, images[i][:, ::-1]) for x in pair)


def test_the_command_says_what_it_wrote_and_what_it_left_to_training(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--set", "augment.random_crop=true", "--set", "data.crop=20")
    assert expand(bar_set, tmp_path / "a", *flags) == 0
    out = capsys.readouterr().out
    assert "wrote 280 pictures" in out
    assert "160 as they were and 120 changed copies of training pictures" in out
    assert "augment.random_crop is left to training" in out
    assert expand(bar_set, tmp_path / "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)["added"] == 120


def test_a_recipe_that_changes_nothing_is_refused(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["data", "expand", str(bar_set.path), "--out", str(tmp_path / "x"), "--recipe", "emotion-net"]
    assert run(arguments) == 2
    assert "[augment] changes nothing" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("flags", "said"), [(["--copies", "0"], "--copies"), ([], "not a packed data set")])
def test_wrong_use_is_told_before_copies_are_looked_for(
    flags: list[str],
    said: str,
    bar_set: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mien.cli.data_expand.groups", None)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine.txt").write_text("x")
    assert expand(bar_set, tmp_path / "taken", *flags) == 2
    assert said in capsys.readouterr().err
