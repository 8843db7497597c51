"""The learning-rate range test: the rates it goes through, where it stops, and what it suggests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.train.rate_range import judge, range_test, rates_of, smooth


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


def test_a_loss_that_only_rises_suggests_nothing() -> None:
    rates = np.geomspace(1e-2, 10, 60)
    with pytest.raises(MienError, match=r"never fell between rates of 0\.01 and 10") as caught:
        judge(rates, np.linspace(2, 9, 60) ** 2)
    assert caught.value.hint == "begin lower: --low"


def test_a_loss_that_falls_to_the_end_of_the_range_is_told_so() -> None:
    rates, losses = np.geomspace(1e-5, 1e-2, 60), np.linspace(4, 3, 60)
    assert judge(rates, losses, ended=True).still_falling
    # Where it ended since a step gave no number, higher rates are no better.
    assert not judge(rates, losses).still_falling
    assert not judge(rates, (np.linspace(-1, 1, 60) - 0.2) ** 2, ended=True).still_falling


def test_the_rest_of_muon_keeps_its_proportion_in_what_is_suggested(small) -> None:
    muon = {"name": "muon", "learning_rate": 0.01, "rest": "sgd", "rest_learning_rate": 0.2}
    assert rates_of(small(optimiser=muon), 0.03) == {
        "optimiser.learning_rate": 0.03,
        "optimiser.rest_learning_rate": pytest.approx(0.6),
    }
    assert rates_of(small(), 0.03) == {"optimiser.learning_rate": 0.03}


SMALL = ["model.options={ widths = '8,8' , blocks = '0,0' }", "data.crop=20", "train.batch_size=20", "train.device=cpu"]


def test_the_command_takes_a_low_of_nothing_at_its_word(bar_set: Dataset, tmp_path: Path, capsys) -> None:
    words = [part for s in SMALL for part in ("--set", s)]
    out = tmp_path / "r"
    assert cli(["lr", str(bar_set.path), "-r", "mien-s", *words, "--low", "0", "--steps", "20", "-o", str(out)]) == 2
    assert "a range test from 0 to" in capsys.readouterr().err
    assert not out.exists()


def test_the_command_says_what_to_set_and_only_the_first_process_does(
    bar_set: Dataset, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*SMALL, "optimiser.rest=sgd", "optimiser.rest_learning_rate=0.12"]
    words = ["lr", str(bar_set.path), "-r", "mien-s", *(part for s in settings for part in ("--set", s))]
    words += ["--low", "1e-4", "--high", "2e-2", "--steps", "30", "-o", str(tmp_path / "r")]
    monkeypatch.setenv("RANK", "1")
    assert cli(words) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "r").exists()
    monkeypatch.delenv("RANK")
    assert cli([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rate, rest = (told["settings"][f"optimiser.{key}"] for key in ("learning_rate", "rest_learning_rate"))
    assert rate == told["suggestion"]
    assert rest == pytest.approx(10 * rate)
    assert cli(words) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert f"--setoptimiser.rest_learning_rate={rest:.2g}" in shown


def test_the_rate_grows_by_one_factor_however_long_an_epoch_is(bar_set: Dataset, small) -> None:
    found = range_test(bar_set, small(train={"batch_size": 2}), low=1e-7, high=1e-6, steps=20)
    assert found.rates == pytest.approx(np.geomspace(1e-7, 1e-6, 20))
    # 1e145 over 19 steps would be 1e458 over the 60 of an epoch, more than a float holds.
    wide = range_test(bar_set, small(train={"batch_size": 2}), low=1e-150, high=1e-5, steps=20)
    assert wide.rates[-1] == pytest.approx(1e-5)
