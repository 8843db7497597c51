"""The real FER2013, where it is at hand: every format tells the same pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.core.labels import FER2013
from mien.data.dataset import Dataset, describe, make_table, save
from mien.data.export import export_data
from mien.data.pack import import_data

COUNT = 600


@pytest.fixture(scope="module")
def real_part(real_data: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Every 21st real picture, with its votes, packed."""
    rows = np.arange(0, len(real_data["pixels"]), len(real_data["pixels"]) // COUNT)[:COUNT]
    images = real_data["pixels"][rows].reshape(-1, 48, 48)
    usage = real_data["usage"][rows]
    first = real_data["usage"][0]  # the file begins with Training
    split = np.where(usage == first, "train", "val")
    label, votes = real_data["emotion"][rows], real_data["ferplus"][rows]
    table = make_table(label=label, split=split, source=[str(i) for i in rows], images=images, votes=votes)
    folder = tmp_path_factory.mktemp("real") / "packed"
    return save(folder, images, table, describe("real", FER2013, images, table))


@pytest.mark.parametrize("form", ["fer2013", "folders", "list", "table"])
def test_every_format_brings_the_same_real_pictures(form: str, real_part: Dataset, tmp_path: Path) -> None:
    export_data(real_part, tmp_path / "out", form)
    imported = import_data(tmp_path / "out", tmp_path / "back")
    assert sorted(seen(imported.dataset)) == sorted(seen(real_part))
    share = next(note for note in imported.notes if "agree for" in note)
    assert "WARNING" not in share


def seen(data: Dataset) -> list[tuple[str, int, str, tuple[int, ...]]]:
    """Pixels' hash, label, split and votes of each picture."""
    rows = zip(data.column("sha256"), data.label.tolist(), data.split.tolist(), data.votes.tolist(), strict=True)
    return [(sha, label, split, tuple(votes)) for sha, label, split, votes in rows]
