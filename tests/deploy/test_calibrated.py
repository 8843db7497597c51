"""From calibrating a run to the answers of its exported file: the temperature is in them, and so is "unsure"."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from deploy_toys import SIDE, Pixels, make_spec, reference, structured, write_run
from PIL import Image

from mien.cli.app import run as mien
from mien.core.labels import FER2013
from mien.core.spec import Head, ModelSpec
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.deploy.runtime import Predictor
from mien.models.classifier import Classifier

TRUE_TEMPERATURE = 2.0
ASKED = 80


def spec_of(temperature: float) -> ModelSpec:
    return make_spec(heads=(Head(name="fer2013", labels=FER2013.names, temperature=temperature),))


def labelled_by(classifier: Classifier, path: Path) -> Dataset:
    """Pictures whose labels are drawn from the net's own answers at `TRUE_TEMPERATURE`; all but a few in val."""
    images = structured(900, SIDE, SIDE, seed=3)
    p = reference(classifier, spec_of(TRUE_TEMPERATURE), images)["fer2013"].astype(np.float64)
    rng = np.random.default_rng(0)
    label = np.array([rng.choice(len(FER2013), p=row / row.sum()) for row in p])
    split = np.where(np.arange(len(images)) < 20, "train", "val")
    source = [f"{i:03d}.png" for i in range(len(images))]
    table = dataset.make_table(label=label, split=split, source=source, images=images)
    return dataset.save(path, images, table, dataset.describe("own answers", FER2013, images, table))


def asked(model: Path, images: Pixels, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict]:
    """What `mien predict` answers to pictures written as files, in their order."""
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    capsys.readouterr()
    assert mien(["predict", str(folder), "--model", str(model), "--faces", "crop", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"]
    return sorted(told, key=lambda one: str(one["source"]))


def test_an_exported_file_answers_with_the_fitted_temperature_and_says_unsure_below_the_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    classifier = write_run(run, spec_of(1.0))
    data = labelled_by(classifier, tmp_path / "packed")
    assert mien(["calibrate", str(run), str(data.path), "--precision", "0.6", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    fitted, below = told["heads"][0]["temperature"]["after"], told["abstention"]["abstain_below"]
    assert fitted == pytest.approx(TRUE_TEMPERATURE, rel=0.15)
    assert mien(["export", str(run)]) == 0
    model = run / "export" / "model.onnx"
    assert Predictor(model).spec.abstain_below == pytest.approx(below, abs=1e-6)

    images = np.asarray(data.images[data.rows("val")[:ASKED]])
    answers = asked(model, images, tmp_path / "asked", capsys)
    p = reference(classifier, spec_of(fitted), images)["fer2013"]
    sure = reference(classifier, spec_of(1.0), images)["fer2013"]
    found = np.array([[one["probabilities"][name] for name in FER2013.names] for one in answers])
    np.testing.assert_allclose(found, p, atol=2e-4)
    assert np.abs(found - sure).max() > 0.1
    unsure = np.array([one["unsure"] for one in answers])
    assert unsure.tolist() == (p.max(1) < below).tolist()
    assert 0 < unsure.sum() < ASKED
    # The threshold belongs to the temperature: without it other pictures would be unsure.
    assert unsure.sum() > (sure.max(1) < below).sum()
