"""Calibrating a model file: what is stored, what answers with it, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli.app import run
from mien.cli.calibrate import app
from mien.core.errors import MienError
from mien.core.files import write_json, write_text
from mien.core.labels import FER2013, identify
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data import dataset
from mien.data.dataset import Dataset, describe, make_table
from mien.deploy.runtime import make_prediction
from mien.evaluate.answerer import Answers, Pixels, open_answerer
from mien.evaluate.predict import predict_probabilities
from mien.explain import index
from mien.explain.calibrate import calibrate, store
from mien.explain.temperature import soften
from mien.models.store import read_weights


def test_stored_temperatures_are_what_the_model_answers_with(weights: Path, packed: Dataset) -> None:
    before = open_answerer(weights)
    done = calibrate(before, packed)
    store(weights, done.spec)
    after = open_answerer(weights)
    assert [head.temperature for head in after.spec.heads] == pytest.approx([h.temperature for h in done.heads], 1e-5)
    assert all(head.temperature > 1.5 for head in after.spec.heads)
    rows = packed.rows("val")
    plain, calibrated = (predict_probabilities(one, packed.images, rows=rows) for one in (before, after))
    for name in plain:
        assert (plain[name].argmax(1) == calibrated[name].argmax(1)).all()
        assert calibrated[name].max() < plain[name].max()
    assert all(head.honest.metrics.log_loss < head.before.log_loss for head in done.heads)


def test_calibrating_twice_changes_nothing(weights: Path, packed: Dataset) -> None:
    first = calibrate(open_answerer(weights), packed)
    store(weights, first.spec)
    second = calibrate(open_answerer(weights), packed)
    for once, twice in zip(first.heads, second.heads, strict=True):
        assert twice.temperature == pytest.approx(once.temperature, rel=1e-3)


def test_tensors_keep_every_bit(weights: Path, packed: Dataset) -> None:
    before, _ = read_weights(weights)
    store(weights, calibrate(open_answerer(weights), packed).spec)
    after, spec = read_weights(weights)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert spec.provenance["calibrated_on"] == "bars val, 120 pictures"


def test_an_earlier_threshold_goes_with_its_temperature(weights: Path, packed: Dataset) -> None:
    answerer = open_answerer(weights)
    assert calibrate(answerer, packed, precision=0.05).spec.abstain_below is not None
    assert calibrate(answerer, packed).spec.abstain_below is None


def test_a_precision_out_of_reach_says_what_there_is(weights: Path, packed: Dataset) -> None:
    with pytest.raises(MienError, match="no threshold makes 99%"):
        calibrate(open_answerer(weights), packed, precision=0.99)


def test_training_pictures_are_refused(weights: Path, packed: Dataset) -> None:
    with pytest.raises(MienError, match="trained on"):
        calibrate(open_answerer(weights), packed, split="train")


def test_an_exported_file_cannot_be_changed(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(MienError, match="part of its graph"):
        store(tmp_path / "model.onnx", read_weights(weights)[1])


def test_the_command_stores_and_shows(weights: Path, packed: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "explain"
    arguments = [str(weights), str(packed.path), "--out", str(out), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["stored"]
    assert read_weights(weights)[1].head("fer2013").temperature == pytest.approx(
        said["heads"][0]["temperature"]["after"], 1e-5
    )
    shown = index.read(out)
    assert [one.file for one in shown] == ["calibration/fer2013.png", "calibration/ferplus8.png"]
    assert all((out / one.file).stat().st_size > 10_000 for one in shown)


def test_a_dry_run_leaves_the_file(weights: Path, packed: Dataset) -> None:
    before = weights.read_bytes()
    assert run(["calibrate", str(weights), str(packed.path), "--dry-run"]) == 0
    assert weights.read_bytes() == before


def test_a_file_without_data_says_what_to_give(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", str(weights)]) == 2
    assert "give the packed data set" in capsys.readouterr().err


class Unsure:
    """Says happy or sad, three times in four rightly, and leaves much to the labels that the pictures lack."""

    name = "unsure"

    def __init__(self, count: int) -> None:
        rng, labels = np.random.default_rng(0), FER2013.names
        head = Head(name="fer2013", labels=labels)
        norm = Normalise(kind="symmetric")
        self.spec = ModelSpec(architecture="mien-s", height=4, width=4, normalise=norm, heads=(head,))
        self.ids = np.arange(count) % 2
        right = rng.random(count) < 0.75
        said = np.array([labels.index("happy"), labels.index("sad")])[np.where(right, self.ids, 1 - self.ids)]
        sure = np.where(right, 0.35 + 0.15 * rng.random(count), 0.28)
        self.answers = np.repeat(((1 - sure) / 6)[:, None], 7, 1).astype(np.float32)
        self.answers[np.arange(count), said] = sure

    def probabilities(self, images: Pixels) -> Answers:
        return {"fer2013": self.answers[images[:, 0, 0]]}


def test_a_threshold_is_on_the_scale_that_answers_even_where_the_pictures_have_fewer_labels() -> None:
    model = Unsure(200)
    images = np.zeros((200, 4, 4), np.uint8)
    images[:, 0, 0] = np.arange(200)
    source = [f"{i}.png" for i in range(200)]
    table = make_table(label=model.ids, split=np.array(["val"] * 200), source=source, images=images, votes=None)
    data = Dataset(images, table, describe("two", identify(["happy", "sad"]), images, table))
    done = calibrate(model, data, precision=0.9)
    assert done.abstention is not None
    softened = soften(model.answers, done.heads[0].temperature)
    told = [make_prediction("", row, FER2013.names, done.spec.abstain_below) for row in softened.astype(np.float32)]
    given = np.mean([not one.unsure for one in told])
    assert given == pytest.approx(done.abstention.fitted.coverage, abs=0.01)
    assert 0.5 < given < 0.95
    assert done.abstention.honest is not None
    assert done.abstention.honest.coverage == pytest.approx(given, abs=0.1)


def as_run(weights: Path, packed: Dataset) -> RunDir:
    """The model as the best one of a run on these pictures."""
    run_dir = RunDir(weights.parent / "run")
    run_dir.best.parent.mkdir(parents=True)
    weights.rename(run_dir.best)
    write_text(run_dir.recipe, "")
    write_json(run_dir.data, {"path": str(packed.path)})
    return run_dir


def test_pictures_that_the_run_was_trained_on_are_refused(
    weights: Path, packed: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = as_run(weights, packed)
    write_json(run_dir.data, {"path": str(packed.path), "fingerprint": packed.info.fingerprint})
    assert run(["calibrate", str(run_dir.path), "--dry-run"]) == 0
    table = packed.table.set_column(
        packed.table.column_names.index("split"), "split", [np.where(packed.split == "val", "train", "val").tolist()]
    )
    images = np.asarray(packed.images)
    swapped = dataset.save(tmp_path / "swapped", images, table, dataset.describe("bars", FER2013, images, table))
    capsys.readouterr()
    for data, recipe in ((swapped, ""), (packed, "[data]\ntrain_on_val = true\n")):
        write_text(run_dir.recipe, recipe)
        for model in (run_dir.path, run_dir.best):
            assert run(["calibrate", str(model), str(data.path)]) == 2
            assert "the model was trained on pictures of val" in capsys.readouterr().err


def test_a_dry_run_leaves_the_runs_explanation_too(weights: Path, packed: Dataset, tmp_path: Path) -> None:
    run_dir = as_run(weights, packed)
    before = sorted(run_dir.path.rglob("*"))
    assert run(["calibrate", str(run_dir.path), "--dry-run"]) == 0
    assert sorted(run_dir.path.rglob("*")) == before
    assert run(["calibrate", str(run_dir.path), "--dry-run", "--out", str(tmp_path / "out")]) == 0
    assert sorted(run_dir.path.rglob("*")) == before
    assert len(index.read(tmp_path / "out")) == 2


def test_temperatures_of_the_halves_are_on_the_scale_of_the_others(weights: Path, packed: Dataset) -> None:
    head = replace(calibrate(open_answerer(weights), packed).heads[0], was=2.0)
    told = head.to_json()["temperature"]
    assert (told["before"], told["after"]) == (2.0, head.temperature)
    assert told["of_halves"] == pytest.approx([2 * factor for factor in head.honest.temperatures])


def test_where_nothing_can_be_written_is_said_before_the_model_is_asked(
    weights: Path, packed: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in ("calibrate", "explain"):
        monkeypatch.setattr(f"mien.cli.{verb}.datasets.load", lambda _: pytest.fail("asked already"))
        assert run([verb, str(weights), str(packed.path), "--out", str(weights)]) == 2
        assert "is a file, not a folder" in capsys.readouterr().err
