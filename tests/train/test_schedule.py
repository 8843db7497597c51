"""The learning rate over time."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.recipe import Recipe, TrainConfig
from mien.core.recipe_keys import AverageConfig, ScheduleConfig
from mien.train.schedule import Plateau, ends_cycle, factor, rate_factor


def curve(config: ScheduleConfig, epochs: int = 20) -> np.ndarray:
    return np.array([factor(config, t, epochs) for t in np.linspace(0, epochs, 401)])


def test_one_cycle_starts_at_a_25th_peaks_after_the_warm_up_and_ends_at_the_floor() -> None:
    rates = curve(ScheduleConfig(name="one-cycle", warmup_epochs=2))
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.argmax() == 40
    assert rates[40] == pytest.approx(1)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_warm_up_is_linear_before_other_schedules() -> None:
    config = ScheduleConfig(name="cosine", warmup_epochs=4)
    assert factor(config, 1, 20) == pytest.approx(0.25)
    assert factor(config, 3, 20) == pytest.approx(0.75)
    assert factor(config, 0, 20) > 0


@pytest.mark.parametrize("name", ["cosine", "one-cycle", "cosine-restarts", "exponential", "step"])
def test_no_decay_goes_below_the_floor(name: str) -> None:
    config = ScheduleConfig(name=name, floor=0.05, gamma=0.5, step_epochs=2)
    rates = curve(config)[1:] if name == "one-cycle" else curve(config)
    assert rates.min() >= 0.04
    if name != "cosine-restarts":  # its end is the beginning of a cycle
        assert rates[-1] == pytest.approx(0.05)


def test_exponential_and_step_decay_by_gamma() -> None:
    assert factor(ScheduleConfig(name="exponential", gamma=0.9), 3, 20) == pytest.approx(0.9**3)
    step = ScheduleConfig(name="step", gamma=0.1, step_epochs=5)
    assert [factor(step, t, 20) for t in (0, 4.9, 5, 10)] == pytest.approx([1, 1, 0.1, 0.01])


def test_plateau_lowers_the_rate_after_its_patience_and_not_below_the_floor() -> None:
    plateau = Plateau(ScheduleConfig(name="plateau", gamma=0.1, patience_epochs=2, floor=0.05))
    seen = []
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8):
        plateau.update(loss)
        seen.append(plateau.factor)
    assert seen[:4] == [1, 1, 1, 1]
    assert seen[4] == pytest.approx(0.1)
    assert seen[-1] == pytest.approx(0.05)


def test_warm_restarts_follow_the_paper_cycle_by_cycle() -> None:
    config = ScheduleConfig(name="cosine-restarts", cycle_epochs=2, cycle_growth=2, floor=0.1)
    # T₀ = 2, T_mult = 2: cycles of 2, 4 and 8 epochs; η = η_min + ½(1 − η_min)(1 + cos(π·T_cur/T_i)).
    for start, length in ((0, 2), (2, 4), (6, 8)):
        for part in (0.0, 0.25, 0.5, 0.75):
            expected = 0.1 + 0.45 * (1 + np.cos(np.pi * part))
            assert factor(config, start + part * length, 14) == pytest.approx(expected)
    assert [epoch for epoch in range(1, 15) if ends_cycle(config, epoch)] == [2, 6, 14]


def test_cycles_begin_after_the_warm_up() -> None:
    config = ScheduleConfig(name="cosine-restarts", cycle_epochs=3, warmup_epochs=1)
    assert factor(config, 0.5, 10) == pytest.approx(0.5)
    assert factor(config, 1, 10) == factor(config, 4, 10) == 1
    assert [epoch for epoch in range(1, 11) if ends_cycle(config, epoch)] == [4, 7, 10]


def test_from_its_first_epoch_on_swa_can_hold_the_rate() -> None:
    recipe = Recipe(
        schedule=ScheduleConfig(name="cosine"),
        average=AverageConfig(swa_from_epoch=7, swa_rate=0.05),
        train=TrainConfig(epochs=10),
    )
    assert rate_factor(recipe, 5.9) == factor(recipe.schedule, 5.9, 10)
    assert rate_factor(recipe, 6.0) == rate_factor(recipe, 9.9) == 0.05


def test_the_rate_of_swa_is_constant_whatever_a_plateau_has_made_of_the_schedules() -> None:
    recipe = Recipe(
        schedule=ScheduleConfig(name="plateau"),
        average=AverageConfig(swa_from_epoch=2, swa_rate=0.5),
        train=TrainConfig(epochs=8),
    )
    assert rate_factor(recipe, 0.5, plateau=0.1) == 0.1
    assert rate_factor(recipe, 1.0, plateau=0.1) == rate_factor(recipe, 7.5, plateau=0.01) == 0.5
