"""The pictures that `mien data show` draws: right numbers, right pictures, any kind of set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mien.core.labels import identify
from mien.data.dataset import Dataset, describe, make_table, save
from mien.data.sheet import write_counts, write_samples


def coloured(folder: Path, *, count: int = 30) -> Dataset:
    """Red squares of the class red, blue ones of the class blue, and a class without pictures."""
    label = np.arange(count) % 2
    images = np.zeros((count, 10, 10, 3), np.uint8)
    images[label == 0, ..., 0] = 255
    images[label == 1, ..., 2] = 255
    split = np.where(np.arange(count) % 3, "train", "test")
    labels = identify(("red", "blue", "$nobody$"))
    label[(split == "test") & (np.arange(count) > 20)] = -1
    table = make_table(label=label, split=split, source=[str(i) for i in range(count)], images=images)
    return save(folder / "packed", images, table, describe("coloured", labels, images, table))


def test_a_row_of_the_sheet_shows_its_own_class_and_an_empty_class_stays_white(tmp_path: Path) -> None:
    write_samples(coloured(tmp_path), tmp_path / "s.png", columns=4)
    with Image.open(tmp_path / "s.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    top, middle, bottom = np.array_split(pixels[:, pixels.shape[1] // 3 :], 3)
    red, blue = (abs(part - colour).max(-1) < 30 for part, colour in ((top, [255, 0, 0]), (middle, [0, 0, 255])))
    assert red.mean() > 0.3
    assert blue.mean() > 0.3
    assert (bottom.min(-1) > 200).mean() > 0.95


def test_the_chart_has_a_bar_for_each_class_and_one_for_pictures_without_label(tmp_path: Path) -> None:
    data = coloured(tmp_path)
    assert data.info.counts["test"]["(no label)"] == 3
    write_counts(data, tmp_path / "c.png")
    write_counts(data, tmp_path / "again.png")
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    with Image.open(tmp_path / "c.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    train = abs(pixels - [0x00, 0x72, 0xB2]).max(-1) < 8
    test = abs(pixels - [0x00, 0x9E, 0x73]).max(-1) < 8
    assert train.sum() > 1.5 * test.sum() > 0  # 20 and 10 pictures, in bars of one height
