"""Tiny trainings: a recipe, a watcher that can kill, and the comparison of a killed run with one never killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.models.store import read_weights
from mien.train.checkpoint import Progress
from mien.train.run import resume, train

TREE = {
    "model": {"name": "mien-s", "options": {"widths": "8,8,8,8"}},
    "data": {"crop": 20},
    "augment": {"flip": "random", "erase_pixels": 5, "erase_probability": 0.5},
    "optimiser": {"learning_rate": 0.1},
    "train": {"epochs": 4, "batch_size": 20, "precision": "fp32", "device": "cpu", "probe": 0},
}


class Watched:
    """Notes the epochs; stops the training after `steps` steps as a kill would, if asked to."""

    def __init__(self, steps: int | None = None) -> None:
        self.left, self.epochs = steps, 0

    def step(self, progress: Progress, *, waited: float) -> None:  # noqa: ARG002
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def epoch(self, row: dict[str, float | int]) -> None:  # noqa: ARG002
        self.epochs += 1


@pytest.fixture(scope="session")
def watched() -> type[Watched]:
    """The watcher's class."""
    return Watched


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    """A recipe of a few steps; tables given by name are merged into it, `phases` is a list of tables."""

    def build(**tables: object) -> Recipe:
        tree = {name: dict(table) for name, table in TREE.items()}
        for name, table in tables.items():
            tree[name] = tree.get(name, {}) | table if isinstance(table, dict) else table
        return recipes.build(tree, source="test")

    return build


@pytest.fixture
def same_after_a_kill(bar_set: Dataset, tmp_path: Path) -> Callable[..., Progress]:
    """Checks that a run killed after so many steps and resumed equals one never killed: figures and weights."""

    def check(recipe: Recipe, *steps: int, folders: tuple[str, ...] = ("weights",)) -> Progress:
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"checkpoint_minutes": 1e-9})})
        straight = train(bar_set, recipe, tmp_path / "straight", Watched())
        for count in steps:
            run = tmp_path / f"killed-{count}"
            with pytest.raises(KeyboardInterrupt):
                train(bar_set, recipe, run, Watched(count))
            resumed = resume(RunDir(run), bar_set, Watched())
            assert resumed.progress.rows == straight.progress.rows
            assert resumed.progress.position == straight.progress.position
            for name in ("history.csv", "health.csv"):
                assert (run / name).read_text() == (tmp_path / "straight" / name).read_text()
            for folder in folders:
                names = sorted(p.name for p in (tmp_path / "straight" / folder).glob("*.safetensors"))
                assert names
                assert names == sorted(p.name for p in (run / folder).glob("*.safetensors"))
                for name in names:
                    a, b = (read_weights(r / folder / name)[0] for r in (tmp_path / "straight", run))
                    assert all(torch.equal(a[key], b[key]) for key in a), name
        return straight.progress

    return check
