"""Fixtures that more than one part of the tests needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "fer2013_train_public.npz"


def bars(count: int, *, side: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures (n, side, side) of a bright bar whose height on the picture is the class: easy to learn."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % len(FER2013)
    images = rng.integers(60, 120, (count, side, side))
    for picture, row in zip(images, label, strict=True):
        picture[3 * row : 3 * row + 3] += 100
    return images.astype(np.uint8), label.astype(np.int64)


def write_bars(path: Path, *, count: int = 160, votes: bool = True) -> Dataset:
    """A packed set of bars: three quarters train, one quarter val, FER+ votes that agree with the labels."""
    images, label = bars(count)
    split = np.where(np.arange(count) % 4 == 3, "val", "train")
    table = None
    if votes:
        # FER2013's ids in the order of the vote columns: neutral, happiness, surprise, sadness, anger, disgust, fear.
        column = np.array([4, 5, 6, 1, 3, 2, 0])[label]
        table = np.eye(10, dtype=np.int64)[column] * 8 + np.eye(10, dtype=np.int64)[(column + 1) % 8] * 2
    source = [f"bar{i:04d}" for i in range(count)]
    manifest = dataset.make_table(label=label, split=split, source=source, images=images, votes=table)
    return dataset.save(path, images, manifest, dataset.describe("bars", FER2013, images, manifest))


@pytest.fixture(scope="session")
def bar_set(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """160 pictures of 24×24 px in seven classes with votes, packed; not to be changed."""
    return write_bars(tmp_path_factory.mktemp("bars") / "packed")


@pytest.fixture(scope="session")
def real_data() -> dict[str, np.ndarray]:
    """The real FER2013 arrays (pixels, emotion, usage, ferplus), where they are at hand."""
    if not REAL_DATA.is_file():
        pytest.skip("the real FER2013 is not here")
    with np.load(REAL_DATA, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("pixels", "emotion", "usage", "ferplus")}
