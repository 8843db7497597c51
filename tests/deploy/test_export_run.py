"""A run's export folder: the model of the wanted weights and a card that says only what the run holds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_toys import SIDE, Linear, make_spec, structured

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.labels import FER2013, LabelSet
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.deploy import export
from mien.deploy.card import model_card
from mien.deploy.export import export_run
from mien.deploy.runtime import Predictor
from mien.deploy.verify import verify
from mien.evaluate import results
from mien.evaluate.answerer import open_answerer
from mien.evaluate.evaluate import evaluate
from mien.faces.detector import Faces
from mien.models.store import read_weights, save_weights


@pytest.fixture
def run(exported_run: Path, tmp_path: Path) -> Path:
    """A copy of the exported run, to be changed."""
    return Path(shutil.copytree(exported_run, tmp_path / "run"))


def card_of(run: Path) -> str:
    return (run / "export" / "card.md").read_text(encoding="utf-8")


def test_the_best_weights_are_taken_unless_the_last_are_wanted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors, spec = read_weights(run / "weights" / "last.safetensors")
    tensors["heads.0.bias"][3] += 100
    save_weights(run / "weights" / "last.safetensors", tensors, spec)
    face = structured(1, SIDE, SIDE)
    assert Predictor(run).predict(face)[0].probabilities["happy"] < 0.99
    assert mien(["export", str(run), "--weights", "last", "--json"]) == 0
    assert Predictor(run).predict(face)[0].probabilities["happy"] > 0.99
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(run / "export" / "model.onnx")
    assert told["bytes"] == (run / "export" / "model.onnx").stat().st_size
    assert "| weights | last |" in Path(told["card"]).read_text(encoding="utf-8")


def test_the_card_names_model_data_recipe_and_limits(exported_run: Path, structured_set: Dataset) -> None:
    card = card_of(exported_run)
    digest = hashlib.sha256((exported_run / "export" / "model.onnx").read_bytes()).hexdigest()
    for fact in (
        "uint8, 28×28 px, grey, of which the centre 24×24 is seen",
        "angry, disgust, fear, happy, sad, surprise, neutral (temperature 1.7)",
        "| data name | structured — ünïcode |",
        f"| fingerprint | {structured_set.info.fingerprint} |",
        "| pictures in val | 28 |",
        'name = "tiny"',
        "Not measured",
        "It is not what a person",
        digest,
    ):
        assert fact in card
    assert str(structured_set.path) not in card
    assert str(exported_run) not in card


def test_framing_is_measured_on_the_runs_own_pictures_and_does_not_trouble_verify(
    run: Path, structured_set: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Middle:
        """Sees a face of two thirds of the side, a tenth above the middle, in every picture."""

        def detect(self, pictures: Sequence[np.ndarray]) -> list[Faces]:
            side = pictures[0].shape[0]
            box = np.array([[side / 6, side * (1 / 6 - 0.1), side * 5 / 6, side * (5 / 6 - 0.1)]], np.float32)
            return [Faces(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))] * len(pictures)

    monkeypatch.setattr(export, "default_detector", Middle)
    assert mien(["export", str(run), "--framing"]) == 0
    spec = Predictor(run).spec
    assert (spec.face_margin, spec.face_shift) == (1.5, 0.1)
    assert verify(run, run / "export" / "model.onnx", structured_set).passed
    assert mien(["export", str(run)]) == 0
    assert Predictor(run).spec.face_margin == make_spec().face_margin


def test_the_card_gives_the_measured_figures(run: Path, structured_set: Dataset) -> None:
    evaluation = evaluate(open_answerer(run), structured_set)
    results.write(run / "eval", evaluation, structured_set)
    metrics = evaluation.scores["labels"].metrics
    card = model_card(RunDir(run), make_spec(), weights="best")
    assert f"accuracy {100 * metrics.accuracy:.1f} % (" in card
    assert f"log loss {metrics.log_loss:.3f}" in card
    assert f"{evaluation.split}, {len(evaluation.rows)} pictures" in card
    for name in FER2013.names:
        assert f"| {name} | 4 |" in card
    assert "Not measured" not in card


def test_the_card_gives_augmented_figures_beside_the_plain_ones(run: Path, structured_set: Dataset) -> None:
    evaluation = evaluate(open_answerer(run), structured_set)
    results.write(run / "eval", evaluation, structured_set)
    facts = json.loads((run / "eval" / "metrics.json").read_text())
    changed = {"flip": {"tta": "flip"}, "other": {"tta": "flip-shift", "split": "test"}}
    for name, change in changed.items():
        write_json(run / "eval" / name / "metrics.json", facts | change)
    card = model_card(RunDir(run), make_spec(), weights="best")
    accuracy = 100 * evaluation.scores["labels"].metrics.accuracy
    assert f"With test-time augmentation flip, accuracy: labels {accuracy:.1f} % (" in card
    assert "augmentation flip-shift" not in card


def test_a_model_of_other_classes_says_nothing_of_feelings(run: Path, tmp_path: Path) -> None:
    pets = Linear(tmp_path / "pets.onnx", [LabelSet(name="custom", names=("cat", "dog"))])
    card = model_card(RunDir(run), pets.spec, weights="best")
    assert "feel" not in card
    assert "xpression" not in card


def test_a_damaged_file_of_the_run_is_named(run: Path) -> None:
    (run / "eval").mkdir()
    (run / "eval" / "metrics.json").write_text('{"scores": ')
    with pytest.raises(MienError, match=r"metrics\.json: damaged"):
        model_card(RunDir(run), make_spec(), weights="best")


def test_what_cannot_be_exported_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "weights" / "best.safetensors").unlink()
    assert mien(["export", str(run)]) == 2
    assert "no weights best.safetensors" in capsys.readouterr().err
    assert mien(["export", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_old_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it fails late: here the check refuses a graph that was traced."""
    before = (run / "export" / "model.onnx").read_bytes()

    def trace(*_: object) -> onnx.ModelProto:
        return onnx.load_model_from_string(before)

    def refuse(*_: object, **__: object) -> None:
        raise onnx.checker.ValidationError("refused")

    monkeypatch.setattr(export, "_trace", trace)
    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    with pytest.raises(onnx.checker.ValidationError):
        export_run(run)
    assert (run / "export" / "model.onnx").read_bytes() == before
    assert sorted(p.name for p in (run / "export").iterdir()) == ["card.md", "model.onnx"]


def test_predictions_of_the_run_are_those_of_its_weights(exported_run: Path, structured_set: Dataset) -> None:
    pictures = np.asarray(structured_set.images[:20])
    by_weights = open_answerer(exported_run).probabilities(pictures)["fer2013"]
    by_file = [list(p.probabilities.values()) for p in Predictor(exported_run).predict(pictures)]
    np.testing.assert_allclose(by_file, by_weights, atol=1e-5)
