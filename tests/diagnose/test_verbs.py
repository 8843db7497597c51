"""`mien diagnose` and `mien doctor` on tiny trainings, and what a training notes of its health."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mien.cli.app import run as cli
from mien.core import recipe as recipes
from mien.core.files import write_json
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.diagnose.reading import compare_splits, evaluated_answers, stored_answers
from mien.evaluate.answerer import open_answerer
from mien.evaluate.evaluate import evaluate
from mien.evaluate.history import read_columns
from mien.train.doctor import _balance, _fitted
from mien.train.health import norm_shift
from mien.train.targets import targets

TINY = (
    *("model.name=mien-s", 'model.options={widths="8,8,8,8"}', "data.votes=false", "train.precision=fp32"),
    *("train.batch_size=20", "train.probe=40", "train.device=cpu", "data.crop=20", "schedule.warmup_epochs=0.5"),
)


def flags(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def trained(data: Dataset, out: Path, *settings: str) -> int:
    return cli(["train", str(data.path), "--recipe", "mien-s", "--out", str(out), *flags((*TINY, *settings))])


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_a_run_that_was_not_trained_is_told_so_and_the_file_is_written(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(bar_set, tmp_path / "r", "train.epochs=2", "optimiser.learning_rate=1e-7") == 0
    capsys.readouterr()
    assert cli(["diagnose", str(tmp_path / "r"), "--json"]) == 0
    said = told(capsys)
    assert said == json.loads((tmp_path / "r" / "diagnosis.json").read_text())
    assert "learning-rate-too-low" in [v["name"] for v in said["verdicts"]]  # type: ignore[attr-defined]
    assert cli(["diagnose", str(tmp_path / "r")]) == 0
    assert len(capsys.readouterr().out.splitlines()) < 10


def test_predictions_of_an_evaluation_are_those_that_would_be_made(bar_set: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "r"
    assert trained(bar_set, run, "train.epochs=1") == 0
    assert stored_answers(RunDir(run)) is None
    made = evaluated_answers(evaluate(open_answerer(run), bar_set), bar_set)
    assert cli(["eval", str(run), str(bar_set.path)]) == 0
    stored = stored_answers(RunDir(run))
    assert made is not None
    assert stored is not None
    assert stored.labels == made.labels
    assert np.array_equal(stored.ids, made.ids)
    assert np.allclose(stored.probabilities, made.probabilities, atol=1e-6)
    for other in (["--weights", "last"], ["--tta", "flip", "--out", str(RunDir(run).evaluation)]):
        assert cli(["eval", str(run), str(bar_set.path), *other]) == 0
        assert stored_answers(RunDir(run)) is None  # of other weights, or of other views, than the verdicts speak of


def test_predictions_for_other_data_than_the_runs_are_not_used(bar_set: Dataset, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "r")
    assert trained(bar_set, run.path, "train.epochs=1") == 0
    assert cli(["eval", str(run.path), str(bar_set.path)]) == 0
    facts = run.read_json(run.evaluation / "metrics.json")
    facts["dataset"]["fingerprint"] = "of another set"
    write_json(run.evaluation / "metrics.json", facts)
    assert stored_answers(run) is None


def test_a_divergence_is_kept_for_the_diagnosis(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(bar_set, tmp_path / "r", "train.epochs=3", "optimiser.learning_rate=1e12") == 2
    capsys.readouterr()
    assert cli(["diagnose", str(tmp_path / "r"), "--json"]) == 0
    assert told(capsys)["verdicts"][0]["name"] == "learning-rate-too-high"  # type: ignore[index]


def test_health_has_a_row_an_epoch_and_figures_in_their_range(bar_set: Dataset, tmp_path: Path) -> None:
    assert trained(bar_set, tmp_path / "r", "train.epochs=2", "optimiser.clip_norm=1e-6") == 0
    health = read_columns(tmp_path / "r" / "health.csv")
    assert health["epoch"].tolist() == [1, 2]
    assert health["clipped_share"].tolist() == [1, 1]
    assert (health["update_ratio"] > 0).all()
    dead = np.stack([v for name, v in health.items() if name.startswith("dead:")])
    assert ((dead >= 0) & (dead <= 1)).all()
    assert any(name.startswith("spread:") for name in health)


def test_no_run_and_a_damaged_history_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["diagnose", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_the_splits_of_the_bars_share_no_picture(bar_set: Dataset) -> None:
    splits = compare_splits(bar_set)
    assert splits.copied == 0
    assert (splits.val_count, splits.looked_at) == (40, (120, 40))
    assert max(map(abs, splits.shift)) < 0.5


def test_the_doctor_passes_a_recipe_that_learns(bar_set: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli(
        [
            "doctor",
            "mien-s",
            str(bar_set.path),
            "--json",
            *flags(("augment.erase_pixels=0", "augment.erase_probability=0", *TINY)),
        ]
    )
    said = told(capsys)
    checks = {c["name"]: c["passed"] for c in said["checks"]}  # type: ignore[attr-defined]
    assert checks["fits 64 pictures"]
    assert checks["first loss"]
    assert checks["leakage"]
    assert all(checks.values()), said["checks"]
    assert code == 0


def test_the_doctor_told_the_data_first_says_which_way_round(
    bar_set: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["doctor", str(bar_set.path), "mien-s"]) == 2
    assert f"mien doctor mien-s {bar_set.path}" in capsys.readouterr().err


def test_the_doctor_ends_with_1_when_a_check_fails(bar_set: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    settings = flags((*TINY, "data.train_on_val=true"))
    assert cli(["doctor", "mien-s", str(bar_set.path), "--json", *settings]) == 1
    failed = [c["name"] for c in told(capsys)["checks"] if not c["passed"]]  # type: ignore[attr-defined]
    assert "leakage" in failed


def unlabelled(data: Dataset, path: Path, without: np.ndarray) -> Dataset:
    """The set with votes alone for these pictures."""
    label = np.where(without, -1, data.label)
    table = data.table.set_column(data.table.column_names.index("label"), "label", [label.astype(np.int32)])
    info = datasets.describe("votes", data.labels, data.images, table)
    return datasets.save(path, np.asarray(data.images), table, info)


def test_the_doctor_passes_a_set_of_votes_alone(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = unlabelled(bar_set, tmp_path / "votes", np.ones(160, bool))
    cli(["doctor", "mien-s", str(data.path), "--json", *flags((*TINY, "data.votes=true"))])
    checks = {c["name"]: c for c in told(capsys)["checks"]}  # type: ignore[attr-defined]
    assert checks["first loss"]["passed"]
    assert f"guessing gives {np.log(8):.3f}" in checks["first loss"]["seen"]


def test_targets_are_what_an_epoch_shows_by_weight(bar_set: Dataset, tmp_path: Path) -> None:
    data = unlabelled(bar_set, tmp_path / "votes", np.arange(160) % 8 == 0)
    weight = np.where(np.arange(160) % 2, 2.0, 1.0).astype(np.float32)
    table = data.table.set_column(data.table.column_names.index("weight"), "weight", [weight])
    data = Dataset(data.images, table, data.info, data.path)
    rows = data.rows("train")
    voted = targets(data, recipes.read("mien-s"))
    assert voted.votes.sum() == weight[rows].sum()
    assert voted.labels.sum() == weight[rows][data.label[rows] >= 0].sum()
    plain = targets(data, recipes.read("mien-s", ["data.votes=false"]))
    assert (plain.labels.sum(), plain.votes.sum()) == (voted.labels.sum(), 0)
    longer = targets(data, recipes.read("mien-s", ["data.votes=false", "data.sampler=label-shuffling"]))
    assert len(longer.labels) > len(plain.labels)


def test_a_diagnosis_knows_the_targets_of_the_data(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = bar_set.table.column_names.index("weight")
    table = bar_set.table.set_column(weight, "weight", [np.full(160, 2, np.float32)])
    data = datasets.save(tmp_path / "weighed", np.asarray(bar_set.images), table, bar_set.info)
    assert trained(data, tmp_path / "r", "train.epochs=1") == 0
    capsys.readouterr()
    assert cli(["diagnose", str(tmp_path / "r"), "--json"]) == 0
    assert "first-loss" not in [v["name"] for v in told(capsys)["verdicts"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("counts", "passed"),
    [({"a": 900, "b": 900, "(no label)": 20}, True), ({"a": 900, "b": 20}, False), ({"(no label)": 9}, True)],
)
def test_balance_is_of_the_classes(counts: dict[str, int], passed: bool) -> None:
    counted: Any = SimpleNamespace(info=SimpleNamespace(counts={"train": counts}))
    assert _balance(counted, recipes.read("lenet5-fer")).passed == passed


@pytest.mark.parametrize(
    ("losses", "passed"), [([2.0] * 200, False), ([2.0] * 20 + [0.9] * 10, True), ([2.0, 0.1], False)]
)
def test_fitted_is_half_of_the_first_loss(losses: list[float], passed: bool) -> None:
    check = _fitted(losses, "", recipes.read("mien-s"))
    assert check.passed == passed
    assert bool(check.hint) != passed


def test_running_statistics_are_held_against_the_batch() -> None:
    norm = torch.nn.BatchNorm2d(3)
    pictures = torch.randn(64, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert norm_shift(pictures, norm) < 0.1
    assert norm_shift(pictures + 2, norm) == pytest.approx(2, abs=0.1)
    assert norm_shift(pictures * np.e, norm) == pytest.approx(1, abs=0.1)


def test_health_notes_the_norms_of_the_plain_weights(bar_set: Dataset, tmp_path: Path) -> None:
    assert trained(bar_set, tmp_path / "r", "train.epochs=1") == 0
    shift = read_columns(tmp_path / "r" / "health.csv")["norm_shift"]
    assert shift.shape == (1,)
    assert shift[0] > 0
