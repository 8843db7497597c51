"""A small model file, which knows nothing, and pictures of bars, for the tests of what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.core.labels import FER2013, FERPLUS8
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.models.classifier import build_classifier
from mien.models.store import save_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An untrained mien-s of 24 px and two heads, its logits made large so that it is far too sure."""
    spec = ModelSpec(
        architecture="mien-s",
        options={"widths": "8,8,8,8"},
        height=24,
        width=24,
        normalise=Normalise(kind="symmetric"),
        heads=(Head(name="fer2013", labels=FER2013.names), Head(name="ferplus8", labels=FERPLUS8.names)),
    )
    torch.manual_seed(0)
    state = build_classifier(spec).state_dict()
    state |= {name: 100 * tensor for name, tensor in state.items() if name.startswith("heads.") and "weight" in name}
    path = tmp_path / "net.safetensors"
    save_weights(path, state, spec)
    return path


@pytest.fixture
def packed(tmp_path: Path) -> Dataset:
    """480 noisy pictures of 24 px with a bright bar whose height is the class, with votes; 120 of them are val."""
    rng = np.random.default_rng(0)
    label = np.arange(480) % len(FER2013)
    images = rng.integers(60, 120, (480, 24, 24)).astype(np.uint8)
    for picture, row in zip(images, label, strict=True):
        picture[3 * row : 3 * row + 3] += 100
    votes = np.zeros((480, 10), np.int64)
    votes[np.arange(480), np.array([4, 5, 6, 1, 3, 2, 0])[label]] = 10
    split = np.where(np.arange(480) % 4 == 3, "val", "train")
    source = [f"bar{i:04d}" for i in range(480)]
    table = dataset.make_table(label=label, split=split, source=source, images=images, votes=votes)
    return dataset.save(tmp_path / "packed", images, table, dataset.describe("bars", FER2013, images, table))
