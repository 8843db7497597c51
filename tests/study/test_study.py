"""Studies: data rules, paired differences, and a real ladder of tiny trainings that resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.data.dataset import VOTE_COLUMNS, Dataset
from mien.study import ladder as ladders
from mien.study import report
from mien.study import run as runs
from mien.study.compare import paired
from mien.study.ladder import DataRule
from mien.study.rules import ruled, zoom
from mien.study.run import _compared as compared
from mien.study.run import study

LADDER = """
recipe = "demo"
set = [
    "model.options.widths=8,8,8,8", "data.crop=20", "train.epochs=2", "train.batch_size=20", "train.probe=0",
    "train.precision=fp32", "train.device=cpu", "average.ema_decay=0", "average.snapshots=2",
]
seeds = 2

[[steps]]
name = "base"

[[steps]]
name = "ensemble"
snapshots = 2

[[steps]]
name = "small"
from = "base"
data = { per_class = 4, times = 3, val = "train" }
"""


def test_no_rule_is_no_new_set(bar_set: Dataset, tmp_path: Path) -> None:
    assert ruled(bar_set, DataRule(), tmp_path) is bar_set
    assert not list(tmp_path.iterdir())


def test_a_small_set_has_so_many_of_each_class_so_often_and_val_is_train(bar_set: Dataset, tmp_path: Path) -> None:
    made = ruled(bar_set, DataRule(per_class=4, times=3, val="train"), tmp_path)
    train, val = made.rows("train"), made.rows("val")
    assert np.bincount(made.label[train]).tolist() == [12] * 7
    assert made.column("sha256")[train].tolist() == made.column("sha256")[val].tolist()
    assert set(np.unique(made.column("sha256"), return_counts=True)[1]) == {6}
    parents = made.column("parent_row")
    assert (made.images[:] == bar_set.images[parents]).all()
    assert set(bar_set.split[parents]) == {"train"}
    again = ruled(bar_set, DataRule(per_class=4, times=3, val="train"), tmp_path)
    assert again.info.fingerprint == made.info.fingerprint


def test_dropped_classes_are_gone_from_both_splits(bar_set: Dataset, tmp_path: Path) -> None:
    made = ruled(bar_set, DataRule(drop=("angry", "disgust")), tmp_path)
    assert made.labels.names == bar_set.labels.names[2:]
    assert len(made) == int((bar_set.label > 1).sum())
    assert made.info.counts["val"].keys() == set(made.labels.names)


def test_zoom_changes_the_named_split_only_and_its_hashes(bar_set: Dataset, tmp_path: Path) -> None:
    made = ruled(bar_set, DataRule(zoom_train=0.75), tmp_path)
    parent = bar_set.images[made.column("parent_row")]
    same = (made.images == parent).all(axis=(1, 2))
    assert (same == (made.split == "val")).all()
    assert len(set(made.column("sha256")) & set(bar_set.column("sha256"))) == int((made.split == "val").sum())


def test_zoom_enlarges_the_middle() -> None:
    picture = np.zeros((8, 8), np.uint8)
    picture[2:6, 2:6] = 200
    assert (zoom(picture, 0.5)[2:6, 2:6] >= 200).all()
    assert zoom(picture, 0.5).mean() > 2 * picture.mean()
    assert zoom(picture, 1) is picture


def test_too_few_pictures_are_named(bar_set: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="per_class = 100 asks for more"):
        ruled(bar_set, DataRule(per_class=100), tmp_path)


def test_the_difference_is_paired_with_a_t_interval() -> None:
    found = paired({0: 0.62, 1: 0.66, 2: 0.61}, {0: 0.60, 1: 0.63, 2: 0.60, 3: 0.1})
    assert found is not None
    assert found.mean == pytest.approx(0.02)
    # 4.3027 is Student's t for 95 % and two degrees of freedom; the standard error is 0.01 / √3.
    assert found.high == pytest.approx(0.02 + 4.3027 * 0.01 / 3**0.5, abs=1e-5)
    assert found.low == pytest.approx(0.04 - found.high)
    assert found.pairs == 3


def test_one_pair_has_no_interval_and_no_pair_no_difference() -> None:
    one = paired({0: 0.5}, {0: 0.4})
    assert one is not None
    assert one.low is None
    assert paired({0: 0.5}, {1: 0.4}) is None


def run_of(seed: int, *, last: float, best: float | None = None) -> dict[str, float]:
    row = {"seed": seed, "last_val_accuracy": last, "truth": last}
    return row if best is None else row | {"best_val_accuracy": best}


def test_steps_are_compared_by_a_figure_that_both_have() -> None:
    before = {"name": "a", "before": None, "runs": [run_of(0, last=0.5, best=0.9)]}
    trained = {"name": "b", "before": "a", "runs": [run_of(0, last=0.7, best=0.8)]}
    ensemble = {"name": "c", "before": "a", "runs": [run_of(0, last=0.6)]}
    figure = "best_val_accuracy"
    assert compared(trained, before, figure)["difference"]["mean"] == pytest.approx(-0.1)
    shown = compared(ensemble, before, figure)
    assert shown["difference"]["mean"] == pytest.approx(0.1)
    assert shown["compared_by"] == "last_val_accuracy"
    after = compared({**trained, "before": "c"}, ensemble, figure)
    assert after["difference"]["mean"] == pytest.approx(0.1)
    assert "compared_by" not in compared(after, before, figure)
    cell = report.cells({**shown, "claim": "", "seconds": 0, "parameters": 1}, [])[1]
    assert cell == "+10.0 vs a, val, last epoch"


@pytest.mark.parametrize("name", ["ladder.json", "study.json"])
@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_file_of_a_study_is_named(bar_set: Dataset, tmp_path: Path, name: str, text: str) -> None:
    ladder = ladders.build({"recipe": "demo", "set": ["data.crop=20"], "steps": [{"name": "a"}]}, source="l")
    runs._begin(tmp_path, ladder, (), bar_set)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MienError, match=rf"{name}: damaged") as error:
        study(bar_set, ladder, tmp_path, never)
    assert "delete it" in (error.value.hint or "")


def never(*_: object, **__: object) -> Any:
    raise AssertionError("trained")


def test_a_set_with_votes_only_is_refused_before_a_training(
    bar_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlabelled = replace(bar_set)
    monkeypatch.setitem(unlabelled.__dict__, "label", np.full_like(bar_set.label, -1))
    ladder = ladders.build({"recipe": "demo", "steps": [{"name": "a"}]}, source="l")
    with pytest.raises(MienError, match="no picture of val has a label"):
        study(unlabelled, ladder, tmp_path / "out", never)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"set": ["model.options.wdie=true"]}, "wdie"),
        ({"data": {"drop": ["contempt"]}}, "contempt"),
        ({"data": {"per_class": 500}}, "per_class = 500 asks for more"),
        ({"data": {"drop": ["disgust"]}, "set": ["loss.class_weights.disgust=10"]}, "disgust"),
        ({"set": ["optimiser.rates.convv=2"]}, "convv"),
    ],
)
def test_a_step_that_does_not_fit_the_data_is_named_before_anything_trains(
    bar_set: Dataset, tmp_path: Path, step: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = {"recipe": "demo", "set": ["data.crop=20"], "steps": [{"name": "plain"}, {"name": "bad", **step}]}
    with pytest.raises(MienError, match=f"^step bad: .*{message}"):
        study(bar_set, ladders.build(tree, source="l"), tmp_path / "out", never)
    (tmp_path / "l.toml").write_text(tomli_w.dumps(tree), encoding="utf-8")
    assert cli(["study", str(bar_set.path), "-l", str(tmp_path / "l.toml"), "--dry-run"]) == 2
    assert "step bad:" in capsys.readouterr().err


def test_votes_that_a_step_turns_on_have_to_be_there(bar_set: Dataset, tmp_path: Path) -> None:
    data = replace(bar_set, table=bar_set.table.drop_columns(list(VOTE_COLUMNS)))
    steps = [{"name": "plain"}, {"name": "votes", "set": ["data.votes=true"]}]
    tree = {"recipe": "demo", "set": ["data.crop=20", "data.votes=false"], "steps": steps}
    with pytest.raises(MienError, match=r"step votes turns data\.votes on"):
        study(data, ladders.build(tree, source="l"), tmp_path / "out", never)


def test_snapshots_of_a_step_that_was_never_trained_name_it(bar_set: Dataset, tmp_path: Path) -> None:
    steps = [{"name": "a"}, {"name": "two", "snapshots": 2}, {"name": "three", "snapshots": 3}]
    tree = {"recipe": "demo", "set": ["data.crop=20", "average.snapshots=3"], "steps": steps}
    with pytest.raises(MienError, match="whose snapshots three could average") as error:
        study(bar_set, ladders.build(tree, source="l"), tmp_path, never, only=("three",))
    assert "--step a" in (error.value.hint or "")


def test_a_ladder_is_climbed_and_resumed(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tmp_path / "tiny.toml", tmp_path / "out"
    file.write_text(LADDER, encoding="utf-8")
    command = ["study", str(bar_set.path), "-l", str(file), "-o", str(out), "--json"]
    assert cli(command) == 0
    told = json.loads(capsys.readouterr().out)
    base, ensemble, small = told["steps"]
    assert [run["seed"] for run in base["runs"]] == [0, 1]
    assert base["truth"] == base["last_val_accuracy"]
    assert ensemble["parameters"] == 2 * base["parameters"]
    assert small["before"] == "base"
    assert small["difference"]["pairs"] == 2
    assert {r["truth"] for r in small["runs"]} != {r["last_val_accuracy"] for r in small["runs"]}
    assert (out / "study.md").read_text(encoding="utf-8").count("\n") == 5
    assert len((out / "study.csv").read_text(encoding="utf-8").splitlines()) == 7
    assert (out / "study.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr("mien.train.repeat.train", never)
    assert cli(command) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == told["steps"]
    assert cli([*command, "--step", small["name"]]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == told["steps"], "what was measured before stays"
    file.write_text(f'figure = "best_val_accuracy"\n{LADDER}', encoding="utf-8")
    assert cli([*command, "--step", ensemble["name"]]) == 0
    _, ensemble, small = json.loads(capsys.readouterr().out)["steps"]
    best = [run["best_val_accuracy"] for run in (*small["runs"], *base["runs"])]
    assert small["difference"]["mean"] == pytest.approx((sum(best[:2]) - sum(best[2:])) / 2), "by the new figure"
    assert ensemble["compared_by"] == "last_val_accuracy"
    reports = {path: path.read_bytes() for path in out.glob("study.*")}
    assert cli([*command, "--step", small["name"], "--seeds", "1"]) == 2
    assert "has base, ensemble with 2 seeds, and 1 are asked for" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.glob("study.*")} == reports
    (out / "study.json").unlink()
    assert cli([*command, "--step", ensemble["name"], "--seeds", "3"]) == 2
    assert "2 finished runs whose snapshots ensemble could average, 3 are asked for" in capsys.readouterr().err
    assert cli([*command, "--set", "train.epochs=3"]) == 2
    assert "another settings" in capsys.readouterr().err


@pytest.mark.parametrize(("seeds", "words"), [(1, "bars: 1 seed"), (3, "bars: 3 seeds")])
def test_the_plot_says_how_many_seeds(seeds: int, words: str) -> None:
    step = {"name": "base", "runs": [{"last_val_accuracy": 0.5}] * seeds}
    figure = report.plot({"ladder": "bars", "seeds": seeds, "figure": "last_val_accuracy", "steps": [step]})
    assert figure.axes[0].get_title(loc="left") == words
