"""`mien eval` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.cli.app import run
from mien.core.files import write_text
from mien.core.rundir import RunDir
from mien.data.dataset import save
from mien.evaluate.answerer import TorchAnswerer
from mien.evaluate.ensemble import Ensemble
from mien.evaluate.evaluate import evaluate
from mien.models.classifier import Classifier
from mien.models.store import save_weights

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture
def place(
    data_of: Callable[..., Any], net: Callable[..., Classifier], pictures: np.ndarray, tmp_path: Path
) -> tuple[Path, Any]:
    """A folder with a run, a second net and a packed data set with votes, without test labels."""
    rng = np.random.default_rng(1)
    label = [*rng.integers(0, 7, 8), -1, -1, -1]
    votes = 5 * np.eye(10, dtype=int)[rng.integers(0, 8, 11)]
    data = data_of(pictures, label, split=["val"] * 8 + ["test"] * 3, votes=votes)
    save(tmp_path / "packed", data.images, data.table, data.info)
    write_text(RunDir(tmp_path / "run").recipe, "")
    for path, seed in ((RunDir(tmp_path / "run").best, 0), (tmp_path / "other.safetensors", 1)):
        classifier = net(seed=seed)
        save_weights(path, classifier.state_dict(), classifier.spec)
    return tmp_path, data


def call(place: Path, *words: str) -> int:
    return run(["eval", str(place / "run"), str(place / "packed"), "--device", "cpu", *words])


def test_a_run_is_printed_and_its_eval_folder_written(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = place
    assert call(folder) == 0
    said = capsys.readouterr().out
    for word in ("val · 8 pictures", "macro-F1", "log loss", "calibration error", "recall", "FER+ majority", "disgust"):
        assert word in said
    assert "no pictures" in said
    assert {p.name for p in (folder / "run" / "eval").iterdir()} >= {"metrics.json", "predictions.parquet", "plots"}


def test_it_is_noted_which_weights_of_a_run_answered_and_none_of_a_file(place: Any) -> None:
    folder, _ = place
    asked = [str(folder / "packed"), "--device", "cpu", "--out"]
    for model, which in (("run", "best"), ("other.safetensors", None)):
        assert run(["eval", str(folder / model), *asked, str(folder / "out")]) == 0
        told = json.loads((folder / "out" / "metrics.json").read_text(encoding="utf-8"))["weights"]
        assert told.get("which") == which
        assert told["tensors"]


def test_json_is_one_object_with_the_figures_of_the_library(
    place: Any, net: Callable[..., Classifier], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = place
    assert call(folder, "--json", "--tta", "flip-shift") == 0
    said = json.loads(capsys.readouterr().out)
    wanted = evaluate(TorchAnswerer(net()), data, tta="flip-shift").to_json()["scores"]
    for kind in ("labels", "ferplus"):
        assert said["scores"][kind]["confusion"] == [list(row) for row in wanted[kind]["confusion"]]
        assert said["scores"][kind]["log_loss"] == pytest.approx(wanted[kind]["log_loss"], abs=1e-4)
    assert (said["tta"], said["folder"]) == ("flip-shift", str(folder / "run" / "eval" / "flip-shift"))


def test_test_time_augmentation_stands_beside_the_plain_figures(place: Any) -> None:
    folder, _ = place
    own = folder / "run" / "eval"
    assert call(folder) == 0
    plain = (own / "metrics.json").read_bytes()
    assert call(folder, "--tta", "flip") == 0
    assert (own / "metrics.json").read_bytes() == plain
    assert json.loads((own / "flip" / "metrics.json").read_text(encoding="utf-8"))["tta"] == "flip"


def test_models_are_averaged_and_the_first_runs_folder_stays_untouched(
    place: Any, net: Callable[..., Classifier], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = place
    assert call(folder, "--json", "--with", str(folder / "other.safetensors")) == 0
    said = json.loads(capsys.readouterr().out)
    pair = Ensemble([TorchAnswerer(net(seed=seed)) for seed in (0, 1)])
    assert said["scores"]["labels"]["log_loss"] == pytest.approx(
        evaluate(pair, data).scores["labels"].metrics.log_loss, abs=1e-4
    )
    assert said["folder"] is None
    assert not (folder / "run" / "eval").exists()
    assert call(folder, "--with", str(folder / "other.safetensors"), "--out", str(folder / "both")) == 0
    assert (folder / "both" / "metrics.json").is_file()


def test_an_unlabelled_split_is_answered_and_said_to_be(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = place
    assert call(folder, "--split", "test") == 0
    assert "no picture has one; predictions only" in capsys.readouterr().out


def test_a_weights_file_alone_writes_nothing_unless_told_where(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = place
    before = sorted(folder.rglob("*"))
    assert run(["eval", str(folder / "other.safetensors"), str(folder / "packed"), "--device", "cpu"]) == 0
    assert "nothing written; --out FOLDER" in capsys.readouterr().out
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "tset"], "splits: test, val"),
        (["--tta", "five-crop"], "ten-crop"),
        (["--weights", "last"], "--weights best"),
        (["--weights", "newest"], "best"),
        (["--with", "gone"], "gone: no such run or model"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_do(
    place: Any, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert call(place[0], *words) == 2
    assert message in capsys.readouterr().err


def test_of_an_interrupted_run_it_is_said_how_far_it_came(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = place
    run_dir = RunDir(folder / "run")
    write_text(run_dir.recipe, "[train]\nepochs = 6\n")
    write_text(run_dir.history, "epoch,val_loss,val_accuracy\n1,1.5,0.3\n2,1.2,0.5\n3,1.4,0.4\n")
    assert call(folder) == 0
    told = "Epoch 3 of 6: the training was interrupted, or still goes on."
    assert told in capsys.readouterr().out
    assert told in json.loads((run_dir.evaluation / "metrics.json").read_text())["notes"]


def test_augmented_figures_alone_name_the_command_of_the_plain_ones(
    place: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = place
    plain = "mien report and mien export start from the plain figures: mien eval "
    assert call(folder, "--tta", "ten-crop", "--weights", "best") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{plain}{folder / 'run'} {folder / 'packed'}" in told
    assert call(folder) == 0
    assert plain not in " ".join(capsys.readouterr().out.split())
    assert call(folder, "--tta", "flip-shift") == 0
    assert plain not in " ".join(capsys.readouterr().out.split())


def test_where_nothing_can_be_written_is_said_before_the_model_is_asked(
    place: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = place
    monkeypatch.setattr("mien.cli.evaluate.evaluate", lambda *_, **__: pytest.fail("asked already"))
    assert call(folder, "--out", str(folder / "other.safetensors")) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
