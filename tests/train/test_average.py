"""Averages against their definitions, and norms that fit averaged weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mien.core.recipe import Recipe, TrainConfig
from mien.core.recipe_keys import AverageConfig
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.models.dropout import Dropout
from mien.train import loop
from mien.train.average import Ema, Swa, make_average
from mien.train.machine import Machine
from mien.train.norms import estimate_norms
from mien.train.prepare import prepare
from mien.train.run import train


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def moved(model: nn.Module, by: float = 1.0) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p += by


def test_averages_follow_their_definition_for_weights_and_norm_statistics() -> None:
    model = net()
    ema = Ema(model, AverageConfig(ema_decay=0.5), epochs=10)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    moved(model)
    model[1].running_mean += 4
    model[1].num_batches_tracked += 3
    ema.after_step(model, time=0.0)
    keep = min(0.5, 2 / 11)
    torch.testing.assert_close(ema.state["0.weight"], start["0.weight"] + (1 - keep))
    torch.testing.assert_close(ema.state["1.running_mean"], start["1.running_mean"] + 4 * (1 - keep))
    assert ema.state["1.num_batches_tracked"] == 3


def test_the_decay_is_annealed_by_count_by_cosine_or_not_at_all() -> None:
    def keep(annealing: str, *, count: int, time: float) -> float:
        ema = Ema(net(), AverageConfig(ema_decay=0.99, ema_annealing=annealing), epochs=8)
        ema.count = count
        return ema.keep(time)

    assert keep("count", count=5, time=0) == pytest.approx(6 / 15)
    assert keep("count", count=10**6, time=0) == 0.99
    assert keep("none", count=1, time=0) == 0.99
    # BYOL, section 3.1: 1 − (1 − τ)·(cos(πk/K) + 1)/2.
    assert keep("cosine", count=1, time=0) == pytest.approx(0.99)
    assert keep("cosine", count=1, time=4) == pytest.approx(1 - 0.01 * (math.cos(math.pi / 2) + 1) / 2)
    assert keep("cosine", count=1, time=8) == pytest.approx(1)


def test_during_the_warm_up_the_average_is_the_net_to_the_bit_and_counts_no_step() -> None:
    model = net()
    ema = Ema(model, AverageConfig(ema_decay=0.9, ema_warmup_epochs=2), epochs=10)
    moved(model, 0.1)
    ema.after_step(model, time=1.9)
    assert torch.equal(ema.state["0.weight"], model[0].weight)
    assert ema.count == 0
    moved(model, 0.1)
    ema.after_step(model, time=2.0)
    assert not torch.equal(ema.state["0.weight"], model[0].weight)
    assert ema.count == 1


def test_swa_is_the_plain_mean_of_the_ends_of_its_epochs() -> None:
    model, swa, ends = net(), Swa(from_epoch=2), []
    for epoch in range(1, 5):
        moved(model, float(epoch))
        swa.after_step(model, time=epoch - 0.5)
        swa.after_epoch(model, epoch=epoch)
        ends.append(model[0].weight.detach().clone())
        assert bool(swa.state) == (epoch >= 2)
    torch.testing.assert_close(swa.state["0.weight"], torch.stack(ends[1:]).mean(0))
    assert swa.count == 3


def test_a_recipe_makes_the_average_that_it_names() -> None:
    assert make_average(net(), Recipe()) is None
    assert isinstance(make_average(net(), Recipe(average=AverageConfig(ema_decay=0.9))), Ema)
    assert isinstance(make_average(net(), Recipe(average=AverageConfig(swa_from_epoch=3))), Swa)


def test_norms_are_estimated_as_the_mean_over_batches_without_dropout_and_the_mode_is_put_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Dropout(0.5), nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    model[1].momentum = 0.3
    images = torch.randint(0, 256, (40, 1, 5, 5), dtype=torch.uint8).float()
    estimate_norms(model, images, Machine(TrainConfig(device="cpu", precision="fp32")), batch_size=16)
    # 40 pictures are two whole batches of 16; of each the mean and the unbiased variance.
    parts = images[:32].split(16)
    assert model[1].running_mean.item() == pytest.approx(torch.stack([p.mean() for p in parts]).mean().item())
    assert model[1].running_var.item() == pytest.approx(torch.stack([p.var() for p in parts]).mean().item(), rel=1e-5)
    assert model[1].momentum == 0.3
    assert all(module.training for module in model.modules())


def test_a_net_without_norms_is_left_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2)).eval()
    estimate_norms(model, torch.zeros(0), Machine(TrainConfig(device="cpu")), batch_size=4)
    assert not model.training


def test_norms_that_are_named_keep_their_statistics_and_single_pictures_are_taken_in_pairs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(25, 4), nn.BatchNorm1d(4)).train()
    images = torch.randint(0, 256, (40, 1, 5, 5), dtype=torch.uint8).float()
    machine = Machine(TrainConfig(device="cpu", precision="fp32"))
    estimate_norms(model, images, machine, batch_size=1, kept={"0"})
    assert model[0].running_mean.item() == 0
    assert model[0].num_batches_tracked == 0
    assert model[3].num_batches_tracked == 20


def test_norms_of_averages_are_estimated_on_so_many_pictures_as_the_recipe_says(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def counted(model: nn.Module, images: torch.Tensor, *more: Any, **keys: Any) -> None:
        counts.append(len(images))
        estimate_norms(model, images, *more, **keys)

    monkeypatch.setattr(loop, "estimate_norms", counted)
    recipe = small(train={"epochs": 2}, average={"swa_from_epoch": 2, "norm_pictures": 50})
    train(bar_set, recipe, tmp_path / "r", watched())
    assert counts == [50]  # in the second epoch
    more = small(average={"swa_from_epoch": 2})
    parts, _ = prepare(bar_set, more, RunDir(tmp_path / "s"), Machine(more.train))
    assert parts.norms is not None
    assert len(parts.norms) == len(bar_set.rows("train"))
