"""Several models as one file: it answers as the mean of its members, views included, and says what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from deploy_toys import SIDE, Linear, structured

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.labels import FER2013, FERPLUS8
from mien.core.spec import Head
from mien.data.dataset import Dataset
from mien.deploy import ensemble
from mien.deploy.ensemble import write_ensemble
from mien.deploy.quantize import calibration_rows, quantize_int8
from mien.deploy.runtime import Predictor
from mien.evaluate.answerer import OnnxAnswerer
from mien.evaluate.ensemble import Ensemble
from mien.evaluate.predict import predict_probabilities
from mien.evaluate.tta import variants
from mien.explain.calibrate import CALIBRATED_ON, Calibration
from mien.explain.temperature import soften

Make = Callable[..., Path]
THRESHOLD = "a threshold below which one model is unsure is not the mean's: the file is never unsure by itself"


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Linear models of different weights, by name."""

    def make(name: str, *label_sets: object, seed: int = 0, opset: int = 18, **spec: object) -> Path:
        model = Linear(tmp_path / f"{name}.onnx", label_sets or (FER2013,), **spec)
        rng = np.random.default_rng(seed)
        model.weights = {head: rng.normal(0, 0.003, w.shape).astype(np.float32) for head, w in model.weights.items()}
        graph = model.graph()
        graph.opset_import[0].version = opset
        return model.save(graph)

    return make


def pixels(count: int = 9, side: int = 6, *more: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, *more), dtype=np.uint8)


def answers(path: Path, pictures: np.ndarray, head: str = "fer2013") -> np.ndarray:
    return Predictor(path).probabilities(pictures)[head]


@pytest.mark.parametrize("weights", [None, (3.0, 1.0, 4.0)])
def test_it_answers_with_the_mean_of_its_members(made: Make, tmp_path: Path, weights: tuple[float, ...] | None) -> None:
    members = [made(str(seed), seed=seed) for seed in range(3)]
    file = write_ensemble(members, tmp_path / "all.onnx", weights=weights).path
    each = [answers(path, pixels()) for path in members]
    assert np.abs(each[0] - each[1]).max() > 0.1
    np.testing.assert_allclose(answers(file, pixels()), np.average(each, axis=0, weights=weights), atol=1e-6)


@pytest.mark.parametrize("tta", ["flip", "flip-shift", "ten-crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_answers_as_its_members_do_under_test_time_augmentation(
    made: Make, tmp_path: Path, tta: str, channels: int
) -> None:
    members = [made(str(seed), seed=seed, channels=channels, crop=5) for seed in range(2)]
    file = write_ensemble(members, tmp_path / "all.onnx", tta=tta).path
    pictures = pixels(9, 6, *((3,) if channels == 3 else ()))
    pair = Ensemble([OnnxAnswerer(path) for path in members])
    expected = predict_probabilities(pair, pictures, variants=variants(tta, pair.spec))["fer2013"]
    found = answers(file, pictures)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - pair.probabilities(pictures)["fer2013"]).max() > 0.01


def test_nets_of_a_run_go_together_with_their_smaller_files_and_other_sizes_of_batches(
    exported_run: Path, structured_set: Dataset, tmp_path: Path
) -> None:
    fp32 = exported_run / "export" / "model.onnx"
    training = np.asarray(structured_set.images[calibration_rows(structured_set)])
    int8 = quantize_int8(fp32, training, tmp_path / "int8.onnx", reduce_range=True)
    both = write_ensemble([fp32, int8], tmp_path / "both.onnx", tta="flip-shift")
    assert both.spec.provenance["precision"] == "fp32, int8"
    pictures = structured(5, SIDE, SIDE, seed=9)
    pair = Ensemble([OnnxAnswerer(fp32), OnnxAnswerer(int8)])
    expected = predict_probabilities(pair, pictures, variants=variants("flip-shift", pair.spec))
    for size in (1, 2, 5):
        found = Predictor(both.path).probabilities(pictures, batch_size=size)
        for head, values in expected.items():
            np.testing.assert_allclose(found[head], values, atol=2e-5)


def test_an_ensemble_can_be_quantised(exported_run: Path, structured_set: Dataset, tmp_path: Path) -> None:
    fp32 = exported_run / "export" / "model.onnx"
    flips = write_ensemble([fp32], tmp_path / "flips.onnx", tta="flip").path
    training = np.asarray(structured_set.images[calibration_rows(structured_set)])
    small = quantize_int8(flips, training, tmp_path / "small.onnx", reduce_range=True)
    pictures = structured(64, SIDE, SIDE, seed=9)
    assert small.stat().st_size < flips.stat().st_size
    assert 1e-4 < np.abs(answers(flips, pictures) - answers(small, pictures)).mean() < 0.02


def test_it_says_what_it_is(made: Make, tmp_path: Path) -> None:
    origin = {"data": "d1", "recipe": "r", "epoch": "3", CALIBRATED_ON: "val"}  # which the mean is not
    members = [made(name, seed=i, provenance=origin | {"epoch": name}) for i, name in enumerate(("one", "two"))]
    found = write_ensemble(members, tmp_path / "all.onnx", tta="flip", weights=(1, 3))
    spec = Predictor(found.path).spec
    assert spec == found.spec
    assert (spec.architecture, spec.options) == ("ensemble", {})
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in members]
    assert spec.provenance == {
        "data": "d1",
        "recipe": "r",
        "members": f"one (sha256 {hashes[0]}), two (sha256 {hashes[1]})",
        "views": "flip",
        "weights": "0.25, 0.75",
    }
    assert found.notes == []
    assert str(tmp_path).encode() not in found.path.read_bytes()


def test_a_single_model_with_views_stays_what_it_is(made: Make, tmp_path: Path) -> None:
    found = write_ensemble([made("one", abstain_below=0.4)], tmp_path / "flips.onnx", tta="flip")
    assert (found.spec.architecture, found.spec.abstain_below) == ("linear", None)
    assert found.notes == [THRESHOLD]


def test_heads_that_not_all_have_are_left_out_with_their_weights(made: Make, tmp_path: Path) -> None:
    one = made("one", FER2013, FERPLUS8, default_head=FERPLUS8.name)
    found = write_ensemble([one, made("two", seed=1)], tmp_path / "all.onnx")
    assert [head.name for head in found.spec.heads] == ["fer2013"]
    assert found.notes == [
        "not all models have the heads ferplus8: left out",
        "ferplus8 answered by default in one; here fer2013 does",
    ]
    names = {tensor.name for tensor in onnx.load(found.path).graph.initializer}
    assert "member0/weight_fer2013" in names
    assert "member0/weight_ferplus8" not in names


def test_what_members_say_differently_is_told(made: Make, tmp_path: Path) -> None:
    one, two = made("one", abstain_below=0.5, face_margin=1.3), made("two", seed=1)
    found = write_ensemble([one, two], tmp_path / "all.onnx")
    assert (found.spec.abstain_below, found.spec.face_margin) == (None, 1.3)
    assert found.notes == [
        THRESHOLD,
        "the models frame faces in photos unlike: cut out as for one",
    ]


def test_the_mean_can_be_calibrated_and_says_on_what(
    exported_run: Path, faces: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = str(exported_run), str(faces.path)
    plain, out = tmp_path / "plain.onnx", tmp_path / "out.onnx"
    assert mien(["ensemble", run, "--tta", "flip", "--out", str(plain)]) == 0
    capsys.readouterr()
    assert mien(["ensemble", run, "--tta", "flip", "--out", str(out), "--calibrate", data, "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["calibrated"]
    spec = Predictor(out).spec
    assert told["head"] == "fer2013"
    assert spec.head("fer2013").temperature == pytest.approx(told["temperature"]["after"], abs=1e-6)
    assert spec.head("fer2013").temperature > 1.2, "the toy is sure of what it guesses"
    assert spec.head("ferplus8").temperature == 1, "the data cannot judge it"
    assert spec.provenance["calibrated_on"] == "structured val, 100 pictures"
    pictures = structured(5, SIDE, SIDE, seed=9)
    expected = soften(answers(plain, pictures), spec.head("fer2013").temperature)
    np.testing.assert_allclose(answers(out, pictures), expected, atol=1e-5)
    np.testing.assert_allclose(answers(out, pictures, "ferplus8"), answers(plain, pictures, "ferplus8"), atol=1e-7)
    assert mien(["ensemble", run, "--tta", "flip", "--out", str(out), "--calibrate", data]) == 0
    assert f"head fer2013: temperature {told['temperature']['after']:.3f}, calib" in capsys.readouterr().out


def test_a_probability_of_zero_stays_zero_when_calibrated(tmp_path: Path) -> None:
    steep = Linear(tmp_path / "steep.onnx", [FER2013])
    steep.weights = {head: values * 1e4 for head, values in steep.weights.items()}
    steep.save(steep.graph())
    heads = (Head(name="fer2013", labels=FER2013.names, temperature=2.0),)
    spec = steep.spec.model_copy(update={"heads": heads, "provenance": {CALIBRATED_ON: "toys"}})
    file = write_ensemble(
        [steep.path], tmp_path / "flips.onnx", tta="flip", calibration=Calibration((), None, spec)
    ).path
    found = answers(file, pixels(50))
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert (found == 0).any()


def test_models_that_do_not_go_together_are_refused(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, out = made("one"), tmp_path / "all.onnx"
    with pytest.raises(MienError, match="is that model"):
        write_ensemble([one], out)
    with pytest.raises(MienError, match="different sizes: 6×6, 8×8"):
        write_ensemble([one, made("two", side=8)], out)
    with pytest.raises(MienError, match="no head with the same labels"):
        write_ensemble([one, made("two", FERPLUS8)], out)
    with pytest.raises(MienError, match="some of the models take grey pictures"):
        write_ensemble([one, made("two", channels=3)], out)
    with pytest.raises(MienError, match="versions of operators: ONNX 17, ONNX 18"):
        write_ensemble([one, made("two", opset=17)], out)
    with pytest.raises(MienError, match="one positive weight each"):
        write_ensemble([one, one], out, weights=[1])
    with pytest.raises(MienError, match="flop"):
        write_ensemble([one, one], out, tta="flop")
    monkeypatch.setattr(ensemble, "LARGEST", 1000)
    with pytest.raises(MienError, match="do not fit one ONNX file"):
        write_ensemble([one, one], out)
    assert not out.exists()


def test_the_verb(
    exported_run: Path, structured_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = tmp_path / "pair.onnx", str(exported_run)
    assert mien(["ensemble", run, run, "--tta", "flip", "--weight", "1", "--weight", "2", "--out", str(out)]) == 0
    assert "pair.onnx" in capsys.readouterr().out
    assert mien(["eval", str(out), str(structured_set.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert mien(["eval", run, str(structured_set.path), "--tta", "flip", "--json", "--out", str(tmp_path / "e")]) == 0
    assert told["scores"]["labels"]["accuracy"] == json.loads(capsys.readouterr().out)["scores"]["labels"]["accuracy"]
    assert mien(["ensemble", run, "--tta", "flip", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["bytes"], len(told["members"]), told["notes"]) == (out.stat().st_size, 1, [])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "is that model"),
        (["--tta", "flip", "--out", "pair.txt"], "pair.txt: does not end in .onnx"),
        (["--tta", "flip", "--weight", "1", "--weight", "1"], "one positive weight each"),
        (["--tta", "flip", "--calibrate", "absent"], "absent"),
    ],
)
def test_wrong_use_writes_nothing(
    more: list[str], message: str, exported_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pair.onnx"
    assert mien(["ensemble", str(exported_run), "--out", str(out), *more]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_member_is_not_replaced(exported_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = exported_run / "export" / "model.onnx"
    before = model.read_bytes()
    assert mien(["ensemble", str(exported_run), "--tta", "flip", "--out", str(model)]) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert model.read_bytes() == before
