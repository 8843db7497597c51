"""Figures of a training's health, of nets and steps for which they are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mien.train.checkpoint import Progress
from mien.train.health import _layers, watched
from mien.train.step import StepResult


def test_units_that_are_zero_for_every_picture_are_counted_as_dead() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU())
    nn.init.ones_(net[0].weight)
    nn.init.ones_(net[2].weight)
    # Inputs are 0 to 2 in sum: one unit is alive for the largest alone, which counts as alive.
    net[0].bias = nn.Parameter(torch.tensor([-9.0, -1.9, -2.0, -3.0]))
    net[2].bias = nn.Parameter(torch.tensor([0.5, -9.0]))
    row: dict[str, float | int] = {}
    with _layers(net, row):
        net(torch.tensor([[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]]))
    assert (row["dead:1"], row["dead:3"]) == (0.75, 0.5)
    deviation = torch.tensor([0, 0.5, 2]).std(correction=0).item()
    assert row["spread:0"] == pytest.approx(deviation)
    net(torch.full((1, 2), 9.0))
    assert row["dead:1"] == 0.75  # nothing is noted after


def test_of_a_map_a_channel_is_dead_that_is_zero_at_every_place() -> None:
    row: dict[str, float | int] = {}
    maps = torch.full((2, 4, 3, 3), -1.0)
    maps[1, 2, 0, 1] = 0.1
    with _layers(net := nn.Sequential(nn.ReLU()), row):
        net(maps)
    assert row == {"dead:0": 0.75}


class Moves:
    """A step by which a net moves in a known way."""

    recipe: Any = SimpleNamespace(optimiser=SimpleNamespace(clip_norm=1.0))

    def __init__(self, *norms: float) -> None:
        self.norms = iter(norms)

    def __call__(self, learner: Any, _batch: object) -> StepResult:
        with torch.no_grad():
            learner.model.weight += torch.tensor([[0.0, 0.005, 0.0]])
        return StepResult(loss=2.5, gradient_norm=next(self.norms), learning_rate=0.1, input_seconds=0)


def test_the_last_step_of_an_epoch_is_held_against_the_length_of_the_weights() -> None:
    net = nn.Linear(3, 1, bias=False)
    net.weight = nn.Parameter(torch.tensor([[3.0, -0.005, 4.0]]))
    progress, step, learner = Progress(per_epoch=2), Moves(0.5, 1.5), SimpleNamespace(model=net)
    watched(step, learner, None, progress)  # type: ignore[arg-type]
    assert (progress.update_ratio, progress.clipped, progress.first_loss) == (0, 0, 2.5)
    progress.step = progress.position = 1
    watched(step, learner, None, progress)  # type: ignore[arg-type]
    assert progress.update_ratio == pytest.approx(0.001)  # .005 over 5
    assert progress.clipped == 1
