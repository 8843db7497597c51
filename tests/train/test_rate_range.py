"""The learning-rate range test: the rates it goes through, where it stops, and what it suggests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.train.rate_range import judge, range_test, smooth


def test_the_rate_grows_by_a_constant_factor_from_low_to_high(bar_set: Dataset, small) -> None:
    found = range_test(bar_set, small(), low=1e-6, high=1e-4, steps=25)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-6, 1e-4, 25), rtol=1e-6)
    # Steps that hardly move anything: the loss stays that of guessing with both heads.
    assert found.losses == pytest.approx(np.full(25, np.log(7) + np.log(8)), rel=0.02)


def test_it_stops_when_the_loss_rises_and_suggests_a_rate_that_learns(bar_set: Dataset, small) -> None:
    found = range_test(bar_set, small(), low=1e-4, high=1e4, steps=80)
    assert len(found.rates) < 80
    assert found.steepest <= found.suggestion <= found.lowest
    assert 1e-3 < found.suggestion < 10


def test_the_same_test_gives_the_same_numbers(bar_set: Dataset, small) -> None:
    one, two = (range_test(bar_set, small(), low=1e-3, high=1, steps=20) for _ in range(2))
    assert one.losses.tolist() == two.losses.tolist()


def test_a_curve_is_judged_by_its_steepest_fall_and_its_lowest_point() -> None:
    rates = np.geomspace(1e-4, 10, 101)
    x = np.log10(rates)
    # Falls around 1e-2, is lowest at 1, rises beyond.
    losses = 2 - 1.5 / (1 + np.exp(-4 * (x + 2))) + 2 * np.clip(x, 0, None) ** 2
    found = judge(rates, losses + 0.02 * np.random.default_rng(0).standard_normal(101))
    assert found.steepest == pytest.approx(1e-2, rel=0.6)
    assert 0.1 < found.lowest < 3
    assert found.suggestion == pytest.approx((found.steepest * found.lowest) ** 0.5)


def test_smoothing_keeps_a_constant_and_a_mean() -> None:
    assert smooth(np.full(50, 3.0)).tolist() == pytest.approx([3.0] * 50)
    noise = np.random.default_rng(0).standard_normal(200)
    assert smooth(noise).std() < noise.std() / 2


@pytest.mark.parametrize(("low", "high", "steps"), [(1, 0.1, 50), (0, 1, 50), (0.1, 1, 5)])
def test_a_range_that_is_none_is_refused(bar_set: Dataset, small, low: float, high: float, steps: int) -> None:
    with pytest.raises(MienError, match="range test from"):
        range_test(bar_set, small(), low=low, high=high, steps=steps)


def test_a_net_that_bears_none_of_the_rates_says_so(bar_set: Dataset, small) -> None:
    with pytest.raises(MienError, match="begin lower"):
        range_test(bar_set, small(), low=1e20, high=1e30, steps=20)


def test_the_command_writes_figures_steps_and_a_picture(bar_set: Dataset, tmp_path: Path, capsys) -> None:
    settings = ["model.options={ widths = '8,8' , blocks = '0,0' }", "data.crop=20", "train.batch_size=20"]
    words = [part for s in [*settings, "train.device=cpu"] for part in ("--set", s)]
    out = tmp_path / "range"
    assert cli(["lr", str(bar_set.path), "-r", "mien-s", *words, "--steps", "30", "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {p.name for p in out.iterdir()} == {"range.json", "range.csv", "range.png"}
    assert json.loads((out / "range.json").read_text())["suggestion"] == told["suggestion"]
    assert len((out / "range.csv").read_text().splitlines()) == len(told["losses"]) + 1
    assert (out / "range.png").read_bytes()[:4] == b"\x89PNG"
