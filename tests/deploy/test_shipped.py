"""Models that come with mien: found by name, listed with their cards, and the errors where none are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deploy_toys import Linear, structured
from PIL import Image

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8
from mien.core.spec import ModelSpec
from mien.deploy import shipped
from mien.deploy.card_data import Card, read_card
from mien.deploy.locate import model_file
from mien.deploy.runtime import Predictor

SHARE = {"pictures": 100, "accuracy": 0.7, "low": 0.6, "high": 0.78}
FIGURE = {
    "scored_on": "labels",
    "tta": "none",
    "head": "fer2013",
    "overall": SHARE,
    "leak_free": None,
    "copies": 0,
    "macro_f1": 0.6,
    "log_loss": 0.9,
    "calibration_error": 0.02,
    "classes": [{"name": "happy", "pictures": 10, "recall": 0.9, "precision": None}],
}
CARD = {
    "name": "expression-s",
    "mien": "0.1.0",
    "sha256": "00",
    "bytes": 10,
    "precision": "int8",
    "parameters": 7,
    "training": {
        "command": "mien train packed",
        "recipe": "",
        "weights": "best",
        "epochs": 1,
        "minutes": None,
        "machine": {},
        "data": {},
        "data_licence": "unknown",
    },
    "measured": {
        "dataset": "toy",
        "split": "val",
        "fingerprint": "ff",
        "pictures": 100,
        "date": "2026-01-01",
        "figures": [FIGURE],
        "slices": [],
    },
}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of shipped models."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(shipped, "folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_one_that_answers_by_default_is_the_preferred_one_that_is_there(weights: Path) -> None:
    for name in ("other", "expression-s", "expression-m"):
        Linear(weights / f"{name}.onnx", [FER2013])
        assert Predictor().path == weights / f"{name}.onnx"
    assert shipped.shipped() == ("expression-m", "expression-s", "other")
    assert Predictor("expression-s").path == weights / "expression-s.onnx"


def test_a_file_or_folder_of_that_name_goes_before_a_shipped_model(weights: Path, tmp_path: Path) -> None:
    Linear(weights / "expression-s.onnx", [FER2013])
    (tmp_path / "expression-s").mkdir()
    with pytest.raises(MienError, match="not a run folder"):
        model_file(Path("expression-s"))


@pytest.mark.parametrize("verb", [["predict", "face.png"], ["video", "clip.mp4"], ["webcam"], ["serve"]])
def test_every_verb_says_that_none_is_shipped(
    weights: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(weights.iterdir())
    assert mien(verb) == 2
    told = capsys.readouterr().err
    assert "this mien comes without a trained model\n" in told
    assert "--model FILE or RUN" in told


def test_a_name_that_is_not_shipped_is_answered_with_those_that_are(weights: Path) -> None:
    with pytest.raises(MienError, match=r"expression-s: no such run or model\n.*without a trained model"):
        model_file(Path("expression-s"))
    for name in ("expression-m", "expression-s"):
        Linear(weights / f"{name}.onnx", [FER2013])
    for name, meant in (("expression-l", "s"), ("Expression-M", "m")):
        with pytest.raises(MienError, match=rf"{name}: no such run or model\n  → did you mean 'expression-{meant}'\?"):
            model_file(Path(name))
    for name in ("zzz", "absent.onnx", "runs/expression-l"):
        with pytest.raises(MienError, match=rf"{name}: no such run or model\n.*: expression-m, expression-s$"):
            model_file(Path(name))


def test_prediction_needs_no_model_once_one_is_shipped(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Linear(weights / "expression-s.onnx", [FER2013])
    Image.fromarray(structured(1, 6, 6)[0]).save(weights / "face.png")
    assert mien(["predict", str(weights / "face.png"), "--faces", "crop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == str(weights / "expression-s.onnx")


def test_the_default_head_answers_unless_labels_or_another_head_are_asked_for(weights: Path) -> None:
    model = Linear(weights / "two.onnx", [FER2013, FERPLUS8], default_head="ferplus8")
    predictor = Predictor(model.path)
    assert predictor.label_names() == FERPLUS8.names
    assert predictor.label_names(labels="fer2013") == predictor.label_names(head="fer2013") == FER2013.names
    assert predictor.label_names(head="ferplus8", labels="fer2013") == FER2013.names
    assert [predictor.head_name(), predictor.head_name(labels="fer2013")] == ["ferplus8", "fer2013"]
    with pytest.raises(MienError, match=r"no head 'FER2013'\n.*did you mean 'fer2013'"):
        predictor.head_name(head="FER2013")
    assert Predictor(Linear(weights / "two.onnx", [FER2013, FERPLUS8]).path).label_names() == FER2013.names


def test_a_default_head_that_is_not_there_is_refused() -> None:
    heads = [{"name": "fer2013", "labels": FER2013.names}]
    with pytest.raises(MienError, match="no head 'ferplus8'"):
        ModelSpec.model_validate(
            {"architecture": "x", "height": 6, "width": 6, "heads": heads, "default_head": "ferplus8"}
        )


def test_the_list_holds_the_figures_of_the_cards(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(["shipped"]) == 0
    assert "without a trained model" in capsys.readouterr().out
    for name in ("expression-s", "bare"):
        Linear(weights / f"{name}.onnx", [FER2013])
    (weights / "expression-s.json").write_text(json.dumps(CARD))
    (weights / "expression-s.md").write_text("# the card [of] it\n")
    assert mien(["shipped"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("expression-s" in line and "int8" in line and "70.0" in line for line in lines)
    assert any("bare" in line and "no card" in line for line in lines)
    assert mien(["shipped", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["models"]
    assert (first["accuracy"]["labels/none"], second["accuracy"]) == (SHARE, {})
    assert mien(["shipped", "expression-s"]) == 0
    assert "# the card [of] it" in capsys.readouterr().out
    assert mien(["shipped", "expression-s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["figures"][0]["macro_f1"] == 0.6
    assert mien(["shipped", "bare"]) == 2


def test_a_damaged_card_names_the_file_and_the_key(tmp_path: Path) -> None:
    path = tmp_path / "expression-s.json"
    with pytest.raises(MienError, match=r"expression-s\.json: the card cannot be read"):
        read_card(path)
    path.write_text(json.dumps(CARD | {"bytes": "many"}))
    with pytest.raises(MienError, match=r"expression-s\.json: no model card: bytes"):
        read_card(path)
    path.write_text(json.dumps(CARD))
    assert read_card(path) == Card.model_validate(CARD)
