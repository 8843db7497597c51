"""One step: how far it moves the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train.checkpoint import Progress
from mien.train.machine import Machine
from mien.train.prepare import prepare

RATE = 0.01


@pytest.mark.parametrize("limit", [0.05, 1000.0, None])
def test_gradients_are_clipped_to_the_norm_of_the_recipe_and_smaller_ones_left_alone(
    bar_set: Dataset, small, tmp_path: Path, limit: float | None
) -> None:
    plain = {"learning_rate": RATE, "momentum": 0, "nesterov": False}
    recipe = small(optimiser=plain | ({} if limit is None else {"clip_norm": limit}), schedule={"name": "constant"})
    parts, learner = prepare(bar_set, recipe, RunDir(tmp_path), Machine(recipe.train))
    stage = parts.stages.at(learner, Progress())
    before = [p.detach().clone() for p in learner.model.parameters()]
    result = stage.step(learner, next(stage.batches.epoch(0)))
    moved = [p.detach() - b for p, b in zip(learner.model.parameters(), before, strict=True)]
    length = torch.cat([m.flatten() for m in moved]).norm().item()
    assert 0.1 < result.gradient_norm < 100
    assert length == pytest.approx(RATE * min(result.gradient_norm, limit or result.gradient_norm), rel=1e-3)
