"""Snapshots: which epochs, how many stay, their averaged answers and their averaged weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.evaluate.answerer import open_answerer
from mien.models.store import load_classifier, read_weights
from mien.train.run import train
from mien.train.soup import mean_state
from mien.train.store import snapshots, takes_snapshot


@pytest.fixture(scope="module")
def run(bar_set: Dataset, small, watched, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six epochs with the last three kept."""
    folder = tmp_path_factory.mktemp("snapshots") / "run"
    train(bar_set, small(train={"epochs": 6}, average={"snapshots": 3}), folder, watched())
    return folder


def test_the_last_ones_stay_and_the_newest_is_the_last_weights(run: Path) -> None:
    found = snapshots(RunDir(run))
    assert [path.stem for path in found] == ["epoch-0004", "epoch-0005", "epoch-0006"]
    newest, last = (read_weights(path)[0] for path in (found[-1], run / "weights" / "last.safetensors"))
    assert all(torch.equal(newest[name], last[name]) for name in last)
    assert read_weights(found[0])[1].provenance["epoch"] == "4"


def test_snapshots_are_taken_each_epoch_every_few_or_at_ends_of_cycles(small) -> None:
    def epochs(**tables: object) -> list[int]:
        recipe = small(train={"epochs": 12}, **tables)
        return [epoch for epoch in range(1, 13) if takes_snapshot(recipe, epoch)]

    assert epochs() == []
    assert epochs(average={"snapshots": 2}) == list(range(1, 13))
    assert epochs(average={"snapshots": 2, "snapshot_epochs": 5}) == [5, 10]
    restarts = {"name": "cosine-restarts", "cycle_epochs": 2, "cycle_growth": 2}
    assert epochs(average={"snapshots": 2}, schedule=restarts) == [2, 6]
    assert epochs(average={"snapshots": 2, "snapshot_epochs": 4}, schedule=restarts) == [4, 8, 12]


def test_eval_averages_the_answers_of_the_snapshots(run: Path, bar_set: Dataset, tmp_path: Path, capsys) -> None:
    words = ["eval", str(run), str(bar_set.path), "--snapshots", "--json", "-o", str(tmp_path / "e")]
    assert cli([*words, "--device", "cpu"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["scores"]["labels"]["accuracy"]
    rows = bar_set.rows("val")
    answers = [open_answerer(p).probabilities(bar_set.images[rows])["fer2013"] for p in snapshots(RunDir(run))]
    expected = (np.mean(answers, 0).argmax(1) == bar_set.label[rows]).mean()
    assert accuracy == pytest.approx(expected)
    assert not (run / "eval").exists()


def test_a_run_without_snapshots_says_how_to_get_some(bar_set: Dataset, small, watched, tmp_path: Path, capsys) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "r", watched())
    assert cli(["eval", str(tmp_path / "r"), str(bar_set.path), "--snapshots"]) == 2
    assert "average.snapshots=5" in capsys.readouterr().err


def test_averaged_weights_are_the_mean_with_norms_of_their_own(run: Path, bar_set: Dataset, capsys) -> None:
    assert cli(["average", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    tensors, spec = read_weights(Path(told["weights"]))
    each = [read_weights(path)[0] for path in snapshots(RunDir(run))]
    name = next(n for n in tensors if n.endswith("conv.weight"))
    torch.testing.assert_close(tensors[name], torch.stack([t[name] for t in each]).mean(0))
    assert spec.provenance["averaged"] == "epoch-0004.safetensors, epoch-0005.safetensors, epoch-0006.safetensors"
    # The first norm sees what the first convolution gives on training pictures.
    model, _ = load_classifier(Path(told["weights"]))
    pictures = torch.from_numpy(bar_set.images[bar_set.rows("train")])
    with torch.inference_mode():
        maps = model.backbone.stages[0][0].conv(model.prepare(pictures))
    mean = tensors["backbone.stages.0.0.norm.running_mean"]
    torch.testing.assert_close(mean, maps.mean((0, 2, 3)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("out", ["weights/best.safetensors", "weights/last.safetensors", "recipe.toml", "snapshot"])
def test_an_average_replaces_no_other_file_of_the_run(run: Path, out: str, capsys) -> None:
    target = snapshots(RunDir(run))[0] if out == "snapshot" else run / out
    before = target.read_bytes()
    assert cli(["average", str(run), "--out", str(target)]) == 2
    assert str(target) in capsys.readouterr().err
    assert target.read_bytes() == before


def test_weights_of_different_nets_have_no_mean(run: Path, bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    other = small(train={"epochs": 1}, model={"options": {"widths": "8,8,8,16"}})
    train(bar_set, other, tmp_path / "r", watched())
    files = [run / "weights" / "last.safetensors", tmp_path / "r" / "weights" / "last.safetensors"]
    with pytest.raises(MienError, match="not of the same net"):
        mean_state(files)
    with pytest.raises(MienError, match="two or more"):
        mean_state(files[:1])
