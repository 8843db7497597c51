"""Small data sets and models for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mien.core.files import write_text
from mien.core.labels import FER2013, FERPLUS8, LabelSet
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import Dataset, describe, make_table
from mien.evaluate.answerer import Answers, Pixels
from mien.models.classifier import Classifier, build_classifier

SEVEN, EIGHT = Head(name="fer2013", labels=FER2013.names), Head(name="ferplus8", labels=FERPLUS8.names)


class Table:
    """Answers looked up by the top left pixel of a picture, so that a test decides what a model says."""

    name = "table"

    def __init__(self, spec: ModelSpec, answers: dict[str, NDArray[np.float32]]) -> None:
        self.spec, self.answers = spec, answers

    def probabilities(self, images: Pixels) -> Answers:
        return {name: values[images[:, 0, 0]] for name, values in self.answers.items()}


@pytest.fixture
def spec_of() -> Callable[..., ModelSpec]:
    def build(*heads: Head, side: int = 4, crop: int | None = None, channels: int = 1) -> ModelSpec:
        norm = {"kind": "symmetric"}
        return ModelSpec.model_validate(
            {"architecture": "mien-s", "height": side, "width": side, "channels": channels, "crop": crop}
            | {"normalise": norm, "heads": [head.model_dump() for head in heads or (SEVEN, EIGHT)]}
        )

    return build


@pytest.fixture
def data_of() -> Callable[..., Dataset]:
    def build(
        images: Pixels,
        label: Sequence[int],
        *,
        labels: LabelSet = FER2013,
        split: str | Sequence[str] = "val",
        votes: NDArray[np.integer] | None = None,
    ) -> Dataset:
        splits = np.array([split] * len(images) if isinstance(split, str) else split)
        source = [f"{i}.png" for i in range(len(images))]
        table = make_table(label=np.array(label), split=splits, source=source, images=images, votes=votes)
        return Dataset(images, table, describe("tiny", labels, images, table))

    return build


@pytest.fixture
def table_of(spec_of: Callable[..., ModelSpec]) -> Callable[..., Table]:
    """An answerer that gives picture i row i of each head's array."""

    def build(**answers: NDArray[np.floating] | list[list[float]]) -> Table:
        known = {head.name: head for head in (SEVEN, EIGHT)}
        return Table(
            spec_of(*(known[name] for name in answers)), {n: np.asarray(a, np.float32) for n, a in answers.items()}
        )

    return build


@pytest.fixture
def net(spec_of: Callable[..., ModelSpec]) -> Callable[..., Classifier]:
    """A real net on 20-px pictures with weights large enough that its answers differ, and lived-in norms."""

    def build(*heads: Head, seed: int = 0, crop: int | None = 16, channels: int = 1) -> Classifier:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            classifier = build_classifier(spec_of(*heads, side=20, crop=crop, channels=channels))
            for head in classifier.heads:
                torch.nn.init.normal_(head.weight, std=2)
            classifier.train()(torch.randint(0, 256, (16, channels, 20, 20), dtype=torch.uint8))
        return classifier.eval()

    return build


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes most of the time of writing results: drawing. The files are there, and empty."""
    monkeypatch.setattr("mien.evaluate.plots.save", lambda _figure, path: write_text(path, ""))


@pytest.fixture
def pictures() -> Pixels:
    """Eleven grey pictures of 20 px, smooth enough that shifts matter and noise does not decide."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (11, 5, 5)).repeat(4, 1).repeat(4, 2)
    return (coarse * 0.8 + rng.integers(0, 51, (11, 20, 20))).astype(np.uint8)
