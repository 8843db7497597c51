"""Exporting to each format and importing again loses nothing that the format can hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.core.errors import MienError
from mien.core.labels import FER5, FER2013, FERPLUS8, LabelSet, identify
from mien.data.dataset import Dataset, describe, load, make_table, save
from mien.data.export import export_data
from mien.data.formats import WRITTEN, recognise
from mien.data.pack import import_data

SPLITS = ("train", "val", "test")
GREY_SQUARE_ONLY = ("fer2013", "icml", "contest")
# What keeps the order of rows as a whole; the others keep it within each split (folders: within split and class).
KEEPS_ORDER = ("fer2013", "icml", "table")
LABEL_SETS = (
    FER2013,
    FERPLUS8,
    FER5,
    identify(("dog", "Cat", "2", "10")),
    identify(("1", "0")),
    identify(("a b", "ü")),
)


@st.composite
def drawn_sets(draw: st.DrawFn, *, grey_square: bool) -> tuple[np.ndarray, dict[str, object], LabelSet]:
    """Pixels, columns and labels: any size, grey or colour, some test pictures unlabelled, with or without votes."""
    count = draw(st.integers(3, 12))
    labels = draw(st.sampled_from(LABEL_SETS))
    height = draw(st.integers(2, 6))
    width = height if grey_square else draw(st.integers(2, 6))
    colour = not grey_square and draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    images = rng.integers(0, 256, (count, height, width, 3) if colour else (count, height, width), dtype=np.uint8)
    split = np.array(["train", "val", *draw(st.lists(st.sampled_from(SPLITS), min_size=count - 2, max_size=count - 2))])
    split = split[rng.permutation(count)]
    label = rng.integers(0, len(labels), count)
    label[(split == "test") & (rng.random(count) < 0.4)] = -1
    votes = rng.integers(0, 11, (count, 10)) if draw(st.booleans()) else None
    return images, {"label": label, "split": split, "votes": votes}, labels


def packed(folder: Path, images: np.ndarray, columns: dict[str, object], labels: LabelSet) -> Dataset:
    """A packed set of these arrays."""
    table = make_table(images=images, source=[f"s{i}" for i in range(len(images))], **columns)
    return save(folder, images, table, describe("drawn", labels, images, table))


def written_order(data: Dataset, form: str) -> np.ndarray:
    """The rows in the order in which a format keeps them."""
    if form in KEEPS_ORDER:
        return np.arange(len(data))
    by_split = np.array([SPLITS.index(s) for s in data.split])
    if form != "folders":
        return np.argsort(by_split, kind="stable")
    names = ["" if i < 0 else data.labels.names[i] for i in data.label]
    return np.array(sorted(range(len(data)), key=lambda i: (by_split[i], names[i], i)))


@pytest.mark.parametrize("form", [form.name for form in WRITTEN])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_lost(form: str, data: st.DataObject) -> None:
    drawn = data.draw(drawn_sets(grey_square=form in GREY_SQUARE_ONLY))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = packed(folder / "before", *drawn)
        export_data(before, folder / "out", form)
        assert recognise(folder / "out").name == form
        imported = import_data(folder / "out", folder / "after")
        after = imported.dataset
        order = written_order(before, form)
        assert not imported.rejects.items
        assert after.labels.names == before.labels.names
        np.testing.assert_array_equal(after.label, before.label[order])
        np.testing.assert_array_equal(after.split, before.split[order])
        np.testing.assert_array_equal(after.images, before.images[order])
        if before.votes is None:
            assert after.votes is None
        else:
            np.testing.assert_array_equal(after.votes, before.votes[order])


@pytest.mark.parametrize("form", ["fer2013", "icml"])
def test_a_csv_has_the_header_of_its_model(form: str, bar_set: Dataset, tmp_path: Path) -> None:
    export_data(bar_set, tmp_path / "out", form)
    name, header = {
        "fer2013": ("fer2013.csv", "emotion,pixels,Usage"),
        "icml": ("icml_face_data.csv", "emotion, Usage, pixels"),
    }[form]
    lines = (tmp_path / "out" / name).read_text().splitlines()
    assert lines[0] == header
    assert len(lines) == len(bar_set) + 1
    cells = lines[1].split(",")
    assert cells[0] == str(bar_set.label[0])
    assert cells[2 if form == "icml" else 1].split() == [str(v) for v in bar_set.images[0].reshape(-1)]


@pytest.mark.parametrize("form", GREY_SQUARE_ONLY)
@pytest.mark.parametrize("shape", [(4, 5, 5, 3), (4, 5, 6)])
def test_a_csv_refuses_colour_and_oblong_pictures(form: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    columns = {"label": np.zeros(4, int), "split": np.array(["train", "val"] * 2)}
    data = packed(tmp_path / "p", np.zeros(shape, np.uint8), columns, FER2013)
    with pytest.raises(MienError, match="square grey pictures only"):
        export_data(data, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "con:"])
def test_a_class_that_cannot_be_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    columns = {"label": np.zeros(2, int), "split": np.array(["train", "val"])}
    data = packed(tmp_path / "p", np.zeros((2, 4, 4), np.uint8), columns, identify((name, "b")))
    with pytest.raises(MienError, match="cannot be the name of a folder"):
        export_data(data, tmp_path / "out", "folders")


def test_an_export_replaces_an_earlier_one_only_when_forced_and_never_anything_else(
    bar_set: Dataset, tmp_path: Path
) -> None:
    export_data(bar_set, tmp_path / "out", "list")
    with pytest.raises(MienError, match="--force"):
        export_data(bar_set, tmp_path / "out", "table")
    export_data(bar_set, tmp_path / "out", "table", force=True)
    assert not (tmp_path / "out" / "train_list.txt").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(MienError, match="not written by mien"):
        export_data(bar_set, tmp_path / "mine", "list", force=True)


@pytest.mark.parametrize("form", [form.name for form in WRITTEN])
def test_a_forced_export_replaces_what_it_wrote_and_refuses_files_of_the_user(
    form: str, bar_set: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_data(bar_set, out, form)
    (out / ".DS_Store").write_text("of the desktop")
    export_data(bar_set, out, form, force=True)
    (out / "train").mkdir(exist_ok=True)
    for name in ("notes.txt", "train/more.png", ".git/HEAD"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        with pytest.raises(MienError, match=f"holds more than its export noted.*: {name}\n"):
            export_data(bar_set, out, form, force=True)
        assert (out / name).read_text() == "mine"
        (out / name).unlink()
    export_data(bar_set, out, form, force=True)


def test_a_forced_export_never_deletes_the_set_that_it_exports(bar_set: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_data(bar_set, out, "folders")
    inside = import_data(out, out / "packed").dataset
    with pytest.raises(MienError, match=r"packed lies in .*, which --force would delete"):
        export_data(inside, out, "folders", force=True)
    assert load(out / "packed").info.fingerprint == inside.info.fingerprint


def test_an_export_tells_how_far_it_is(bar_set: Dataset, tmp_path: Path) -> None:
    for form in ("fer2013", "folders", "tfrecord"):
        told: list[tuple[int, int | None]] = []
        export_data(bar_set, tmp_path / form, form, progress=lambda done, total, told=told: told.append((done, total)))
        assert told == sorted(told)
        assert all(done <= len(bar_set) == total for done, total in told)


def test_a_file_name_as_the_folder_of_an_export_is_questioned(bar_set: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="written as a folder"):
        export_data(bar_set, tmp_path / "fer2013.csv", "fer2013")
