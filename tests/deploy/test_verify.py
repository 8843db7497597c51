"""`mien verify`: passes on a faithful export and fails on any other."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from deploy_toys import make_spec, structured

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.deploy.card_data import card_path
from mien.deploy.locate import model_file
from mien.deploy.quantize import store_half
from mien.deploy.verify import HeadAgreement, VerifyReport, verify
from mien.models.store import read_weights, save_weights


@pytest.fixture
def run(exported_run: Path, tmp_path: Path) -> Path:
    """A copy of the exported run, to be changed."""
    return Path(shutil.copytree(exported_run, tmp_path / "run"))


def change_weights(run: Path, *, by: float) -> None:
    tensors, spec = read_weights(run / "weights" / "best.safetensors")
    tensors["heads.1.bias"][0] += by
    save_weights(run / "weights" / "best.safetensors", tensors, spec)


def test_a_faithful_export_passes(exported_run: Path, structured_set: Dataset) -> None:
    report = verify(exported_run, exported_run / "export" / "model.onnx", structured_set)
    assert report.passed
    assert report.pictures == 28
    assert [head.name for head in report.heads] == ["fer2013", "ferplus8"]
    for head in report.heads:
        assert 0 < head.largest_difference < 1e-5
        assert head.equal_answers == 1


def test_weights_that_changed_since_fail_in_the_head_that_changed(run: Path, structured_set: Dataset) -> None:
    change_weights(run, by=0.01)
    report = verify(run, run / "export" / "model.onnx", structured_set)
    same, other = report.heads
    assert not report.passed
    assert same.largest_difference < 1e-5 < 1e-4 < other.largest_difference
    assert verify(run, run / "export" / "model.onnx", structured_set, tolerance=0.1).passed


def test_answers_that_differ_are_counted(run: Path, structured_set: Dataset) -> None:
    change_weights(run, by=100)
    report = verify(run, run / "export" / "model.onnx", structured_set)
    assert report.heads[0].equal_answers == 1
    assert report.heads[1].equal_answers < 0.5


def test_few_pictures_are_spread_over_all_classes(exported_run: Path, structured_set: Dataset) -> None:
    """The set is sorted by class; the first seven pictures of val would show two of them."""
    seen: list[int] = []

    class Watched(np.ndarray):
        def __getitem__(self, rows: object) -> np.ndarray:
            if isinstance(rows, np.ndarray):
                seen.extend(rows.tolist())
            return np.asarray(super().__getitem__(rows))

    watched = Dataset(structured_set.images.view(Watched), structured_set.table, structured_set.info)
    report = verify(exported_run, exported_run / "export" / "model.onnx", watched, limit=7)
    assert report.pictures == 7
    assert {int(structured_set.label[row]) for row in seen} == set(range(7))
    assert {structured_set.split[row] for row in seen} == {"val"}


def test_nan_never_passes() -> None:
    report = VerifyReport("w", "m", "d", "val", 1, 1.0, (HeadAgreement("h", float("nan"), 1.0),))
    assert not report.passed


def test_an_export_of_another_model_is_refused_by_field(run: Path, structured_set: Dataset) -> None:
    tensors, _ = read_weights(run / "weights" / "best.safetensors")
    save_weights(run / "weights" / "best.safetensors", tensors, make_spec(crop=22))
    with pytest.raises(MienError, match=r"is no export of .*: their specs differ in crop"):
        verify(run, run / "export" / "model.onnx", structured_set)


def test_pictures_of_another_size_are_refused(exported_run: Path, tmp_path: Path) -> None:
    images = structured(7, 32, 32)
    split = np.array(["val"] * 7)
    table = dataset.make_table(label=np.arange(7), split=split, source=["x"] * 7, images=images)
    other = dataset.save(tmp_path / "packed", images, table, dataset.describe("other", FER2013, images, table))
    with pytest.raises(MienError, match="32×32"):
        verify(exported_run, exported_run / "export" / "model.onnx", other)


def test_the_command_finds_the_data_of_the_run(exported_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(["verify", str(exported_run), "--limit", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert told["pictures"] == 5
    assert {head["name"] for head in told["heads"]} == {"fer2013", "ferplus8"}
    assert mien(["verify", str(exported_run)]) == 0
    shown = capsys.readouterr().out
    assert "passed (tolerance 1e-04)" in shown
    assert "equal answers 100.00 %" in shown


def test_the_command_exits_with_one_when_the_check_fails(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_weights(run, by=1)
    assert mien(["verify", str(run)]) == 1
    assert "failed" in capsys.readouterr().out


def test_the_command_takes_weights_model_and_data_from_anywhere(
    run: Path, structured_set: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, model = run / "weights" / "best.safetensors", run / "export" / "model.onnx"
    shutil.move(model, run / "elsewhere.onnx")
    everything = ["--model", str(run / "elsewhere.onnx"), "--data", str(structured_set.path), "--split", "train"]
    assert mien(["verify", str(weights), *everything, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "train"
    assert mien(["verify", str(run)]) == 2
    assert "mien export" in capsys.readouterr().err


def test_data_that_moved_are_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "data.json").write_text('{"path": "/nowhere/packed"}')
    assert mien(["verify", str(run)]) == 2
    assert "--data PACKED" in capsys.readouterr().err


def test_a_file_is_not_compared_with_itself(
    run: Path, structured_set: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run.rename(run.with_name("my run")) / "export" / "model.onnx"
    assert mien(["verify", str(model), str(structured_set.path)]) == 2
    told = capsys.readouterr().err
    assert "nothing to compare" in told
    assert shlex.split(told.split("→ ")[1]) == ["mien", "verify", "RUN", "--model", str(model)]
    assert mien(["verify", str(model)]) == 2
    assert "nothing to compare" in capsys.readouterr().err
    card_path(model).touch()
    assert mien(["verify", str(model), str(structured_set.path)]) == 2
    assert "mien verify --card" in capsys.readouterr().err


def test_a_shipped_model_is_answered_with_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mien.cli.verify.shipped", lambda: ("expression-s",))
    assert mien(["verify", "expression-s", "packed"]) == 2
    assert "mien verify --card expression-s packed measures what its card says" in capsys.readouterr().err


def test_a_smaller_file_of_the_export_may_be_compared(run: Path, structured_set: Dataset) -> None:
    half = store_half(run / "export" / "model.onnx", run / "half.onnx")
    assert verify(run, half, structured_set, tolerance=0.1).passed
    assert not verify(run, half, structured_set, tolerance=0).passed


def test_the_way_out_of_a_run_with_a_space_in_its_name_can_be_pasted(run: Path) -> None:
    (run / "export" / "model.onnx").unlink()
    spaced = run.rename(run.with_name("my run"))
    with pytest.raises(MienError) as error:
        model_file(spaced)
    assert shlex.split(error.value.hint or "") == ["mien", "export", str(spaced)]
