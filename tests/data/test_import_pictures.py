"""Importing picture files of any size, colour and kind, damaged ones among them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.picture import decode
from mien.data.formats import pictures, recognise
from mien.data.formats.base import Shape
from mien.data.pack import ImportOptions, import_data
from mien.data.rejects import Rejects

Write = Callable[..., Path]


def test_broken_pictures_are_rejected_by_file_and_the_rest_stays(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": 1, "train/cat/c.png": 2, "val/cat/d.png": 3})
    whole = (root / "train/cat/a.png").read_bytes()
    (root / "train/cat/b.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/cat/e.png").write_bytes(b"no picture")
    imported = import_data(root, tmp_path / "packed")
    assert len(imported.dataset) == 3
    with (tmp_path / "packed/rejects.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["train/cat/b.png", "train/cat/e.png"]
    assert rows[0]["reason"].startswith("damaged or unreadable")
    assert rows[1]["reason"] == "not a picture that can be read"
    with pytest.raises(MienError, match=r"train/cat/b\.png: damaged"):
        import_data(root, tmp_path / "strict", options=ImportOptions(strict=True))


def test_colour_stays_colour_and_its_pixels_are_kept(write_pictures: Write, tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    root = write_pictures({"train/cat/a.png": colour, "val/cat/b.png": np.full((5, 6), 9, np.uint8)})
    data = import_data(root, tmp_path / "packed").dataset
    assert data.images.shape == (2, 5, 6, 3)
    assert (data.images[0] == colour).all()
    assert (data.images[1] == 9).all()


def test_colour_files_without_colour_are_stored_grey_and_that_is_said(write_pictures: Write, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (5, 6), dtype=np.uint8)
    files = {"train/cat/a.png": np.repeat(grey[..., None], 3, axis=2), "val/cat/b.png": grey}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.info.channels == 1
    assert (imported.dataset.images == grey).all()
    assert imported.dataset.column("sha256").tolist() == [hashlib.sha256(grey.tobytes()).hexdigest()] * 2
    assert any("stored as grey" in note for note in imported.notes)
    assert sorted(p.name for p in (tmp_path / "packed").iterdir()) == ["dataset.json", "images.npy", "manifest.parquet"]


@pytest.mark.parametrize(("wish", "channels"), [("grey", 1), ("colour", 3)])
def test_grey_or_colour_can_be_demanded(wish: str, channels: int, write_pictures: Write, tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    root = write_pictures({"train/cat/a.png": colour, "val/cat/b.png": np.full((5, 5), 9, np.uint8)})
    data = import_data(root, tmp_path / "packed", options=ImportOptions(colour=wish)).dataset
    assert data.info.channels == channels
    assert data.column("sha256").tolist() == [hashlib.sha256(image.tobytes()).hexdigest() for image in data.images]


def test_pictures_of_one_size_keep_it_even_when_not_square(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{s}/cat/{s}.png": np.full((7, 5), 9, np.uint8) for s in ("train", "val")})
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.images.shape == (2, 7, 5)
    assert not any("resized" in note for note in imported.notes)


def test_pictures_of_many_sizes_become_squares_of_a_median_side(write_pictures: Write, tmp_path: Path) -> None:
    sizes = {"a": (20, 30), "b": (20, 20), "c": (50, 40)}
    exact = np.random.default_rng(1).integers(0, 256, (20, 20), dtype=np.uint8)
    files = {f"train/cat/{n}.png": np.full(size, 9, np.uint8) for n, size in sizes.items()} | {"val/cat/v.png": exact}
    imported = import_data(write_pictures(files), tmp_path / "packed")
    assert imported.dataset.images.shape == (4, 20, 20)
    assert (imported.dataset.images[3] == exact).all()  # of that size already: untouched
    told = "those that are not square by their centre square (by the files: 20×20: 2, 30×20: 1, 40×50: 1)"
    assert f"the sizes differ: all resized to 20×20, {told}" in imported.notes


def test_a_picture_that_is_refused_has_no_say_in_the_size(
    write_pictures: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pictures({"train/cat/a.png": 1, "val/cat/b.png": 2, "train/cat/big.png": np.zeros((9, 9), np.uint8)})
    monkeypatch.setattr("mien.core.picture.MAX_PIXELS", 80)
    monkeypatch.setattr(pictures, "decode", lambda path: decode(path, max_pixels=80))
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.images.shape == (2, 4, 4)
    assert [item.source for item in imported.rejects.items] == ["train/cat/big.png"]


def test_pictures_that_agree_on_a_huge_size_are_made_small_and_that_is_said(
    write_pictures: Write, tmp_path: Path
) -> None:
    root = write_pictures({f"{s}/cat/{s}.png": np.full((800, 1100), 9, np.uint8) for s in ("train", "val")})
    imported = import_data(root, tmp_path / "packed")
    assert imported.dataset.images.shape == (2, 224, 224)
    assert any("--size keeps more of such large pictures, up to 1024" in note for note in imported.notes)
    assert "all pictures resized from 1100×800 to 224×224, centre square" in imported.notes


def test_pictures_of_a_few_pixels_are_kept_and_that_is_said(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({f"{s}/cat/{s}.png": np.full((1, 1), 9, np.uint8) for s in ("train", "val")})
    assert "the pictures have only 1×1 px: little to learn from" in import_data(root, tmp_path / "packed").notes


def test_few_large_pictures_are_decoded_at_once(write_pictures: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_pictures({f"cat/{i}.png": i for i in range(7)})
    reading = recognise(root).read(root)
    monkeypatch.setattr(pictures, "_BYTES_AT_ONCE", 40)
    shape = Shape(4, 4, 1)
    assert [len(block.entries) for block in reading.blocks(shape, Rejects())] == [2, 2, 2, 1]


@pytest.mark.parametrize("strict", [True, False])
def test_when_nothing_can_be_read_the_first_fault_is_told(strict: bool, write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"cat/a.png": 1, "dog/b.png": 2})
    for name in ("cat/a.png", "dog/b.png"):
        (root / name).write_bytes(b"no picture")
    with pytest.raises(MienError, match=r"the first of 2: cat/a\.png: not a picture that can be read"):
        import_data(root, tmp_path / "packed", options=ImportOptions(strict=strict))


def test_a_rotated_photo_counts_with_its_upright_size(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": np.full((8, 4), 9, np.uint8), "val/cat/b.png": 1})
    (root / "val/cat/b.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((4, 8), 9, np.uint8)).save(root / "val/cat/b.jpg", exif=exif)
    assert import_data(root, tmp_path / "packed").dataset.images.shape == (2, 8, 4)


def test_an_animated_and_a_palette_file_are_taken_like_others(write_pictures: Write, tmp_path: Path) -> None:
    root = write_pictures({"train/cat/a.png": np.full((4, 4), 9, np.uint8), "val/cat/b.png": 1})
    frames = [Image.new("P", (4, 4), shade) for shade in (3, 200)]
    frames[0].save(root / "train/cat/c.gif", save_all=True, append_images=frames[1:])
    assert len(import_data(root, tmp_path / "packed").dataset) == 3


@pytest.mark.parametrize(
    ("labels", "names", "cause"),
    [
        ("fer2013", None, "class 'cat' has no counterpart"),
        (None, "0 lion\n1 tiger\n", "label 'cat' is none of 0, 1"),
    ],
)
def test_when_nothing_is_usable_what_was_left_out_is_not_the_cause(
    labels: str | None, names: str | None, cause: str, write_pictures: Write, tmp_path: Path
) -> None:
    files = {f"data/{s}/{c}/{i}.png": i for s in ("train", "val") for c in ("cat", "dog") for i in range(5)}
    root = write_pictures(files | {"preview/x.png": 99})
    if names:
        (root / "labels.txt").write_text(names)
    with pytest.raises(MienError, match=rf"no usable picture; the first of 20: data/train/cat/0\.png: {cause}"):
        import_data(root, tmp_path / "packed", options=ImportOptions(labels=labels))
