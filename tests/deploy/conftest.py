"""Fixtures of the tests of export and prediction; what they are made of is in deploy_toys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from deploy_toys import SIDE, Linear, make_spec, structured, write_run

from mien.core.labels import FER2013, LabelSet
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.deploy.export import export_run


@pytest.fixture
def linear(tmp_path: Path) -> Callable[..., Linear]:
    """Makes a `Linear` model in the test's folder."""

    def make(*label_sets: LabelSet, **spec: object) -> Linear:
        return Linear(tmp_path / "linear.onnx", label_sets or (FER2013,), **spec)

    return make


@pytest.fixture(scope="session")
def structured_set(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """84 structured pictures of the tiny model's size, sorted by class, every third one in val; packed."""
    images = structured(84, SIDE, SIDE, seed=2)
    label = np.repeat(np.arange(7), 12)
    split = np.where(np.arange(84) % 3 == 2, "val", "train")
    source = [f"faces/{i:03d}.png" for i in range(84)]
    table = dataset.make_table(label=label, split=split, source=source, images=images)
    info = dataset.describe("structured", FER2013, images, table)
    return dataset.save(tmp_path_factory.mktemp("structured") / "packed", images, table, info)


@pytest.fixture(scope="session")
def exported_run(tmp_path_factory: pytest.TempPathFactory, structured_set: Dataset) -> Path:
    """A run folder with an exported model; not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    write_run(run, make_spec(), data=structured_set)
    export_run(run)
    return run


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Pictures enough to calibrate on: 300, every third one in val."""
    images, count = structured(300, SIDE, SIDE, seed=2), np.arange(300)
    label, split = count // 3 % 7, np.where(count % 3 == 2, "val", "train")
    table = dataset.make_table(label=label, split=split, source=[f"{i}.png" for i in count], images=images)
    info = dataset.describe("structured", FER2013, images, table)
    return dataset.save(tmp_path_factory.mktemp("faces") / "packed", images, table, info)
