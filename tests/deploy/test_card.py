"""The card of a shipped model: written from figures that can be measured again, and checked against them."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from deploy_toys import SIDE, Linear, make_spec, write_run

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.deploy.card import model_facts
from mien.deploy.card_check import verify_card
from mien.deploy.card_data import card_path, read_card
from mien.deploy.card_measure import measure_card, split_fingerprint
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import shipped, shipped_file
from mien.deploy.shipped_card import card_text

ROOT = Path(__file__).parents[2]
FACTS = {"machine": "x86_64", "device": "cpu", "precision": "fp32", "processes": 1, "threads": 1, "python": "3"}


def script() -> ModuleType:
    """scripts/ship.py as a module."""
    found = importlib.util.spec_from_file_location("ship", ROOT / "scripts" / "ship.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def renamed(data: Dataset, path: Path, images: np.ndarray, order: np.ndarray) -> Dataset:
    """The pictures of a set in another order, as another import would give them."""
    table = dataset.make_table(
        label=data.label[order],
        split=data.split[order],
        source=[f"{i}.png" for i in order],
        images=images[order],
    )
    return dataset.save(path, images[order], table, dataset.describe("other", data.labels, images[order], table))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, faces: Dataset) -> Path:
    """A folder with a toy that was shipped by the script; not to be changed."""
    run = tmp_path_factory.mktemp("run") / "tiny"
    write_run(run, make_spec(), data=faces)
    (run / "env.json").write_text(json.dumps(FACTS))
    (run / "history.csv").write_text("epoch,step\n1,9\n2,18\n3,27\n")
    ends = ("10:00:00,1", "10:02:00,1", "10:04:00,1")
    (run / "train.log").write_text("".join(f"2026-01-01 {end}  epoch {i}  step 1\n" for i, end in enumerate(ends, 1)))
    ship = script()
    out = tmp_path_factory.mktemp("weights")
    options = argparse.Namespace(run=run, data=faces.path, name="expression-t", out=out, weights="best")
    rest = {"numbers": "int8", "default_head": "ferplus8", "machine": "a toy", "licence": "drawn", "most_mb": 1}
    vars(options).update(rest, portable=True)
    assert ship.ship(options) == out / "expression-t.onnx"
    options.most_mb = 1e-6
    options.numbers = "fp32"
    with pytest.raises(MienError, match="MB are more than 1e-06"):
        ship.ship(options)
    return out


@pytest.fixture
def model(weights: Path, tmp_path: Path) -> Path:
    """A copy of the shipped toy, to be changed."""
    return Path(shutil.copytree(weights, tmp_path / "weights")) / "expression-t.onnx"


def test_what_is_shipped_knows_its_default_head_and_its_card(weights: Path, faces: Dataset) -> None:
    file, card = weights / "expression-t.onnx", read_card(weights / "expression-t.json")
    spec = Predictor(file).spec
    assert spec.head().name == "ferplus8"
    assert (card.precision, spec.provenance["precision"]) == ("int8", "int8")
    assert card.bytes == file.stat().st_size
    assert (card.training.epochs, card.training.minutes) == (3, 6.0)
    assert [one.precision for one in card.comparisons] == ["int8"]
    assert card.measured.pictures == len(faces.rows("val"))
    assert {figure.tta for figure in card.measured.figures} == {"none", "flip-shift"}
    assert not [path for path in weights.iterdir() if path.stem != "expression-t"]


def test_the_card_says_it_in_words(weights: Path, faces: Dataset) -> None:
    text = (weights / "expression-t.md").read_text(encoding="utf-8")
    figure = read_card(weights / "expression-t.json").measured.of("labels")
    assert figure is not None
    for fact in (
        "mien predict PICTURES --model expression-t",
        "mien verify --card expression-t PACKED",
        "| answers when nothing is asked for | head `ferplus8` |",
        f"{100 * figure.overall.accuracy:.1f} %",
        "| licence | drawn |",
        "| machine | a toy |",
        "about 6 minutes",
        'name = "tiny"',
        "It is not what a person",
        "and not again by `mien verify --card`",
        "It is not measured again.",
    ):
        assert fact in text
    assert str(faces.path) not in text + (weights / "expression-t.json").read_text()


def test_the_cards_in_the_package_say_what_their_data_say() -> None:
    for name in shipped():
        model = shipped_file(name)
        text = card_text(read_card(card_path(model)), Predictor(model, threads=1).spec)
        assert model.with_suffix(".md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"face_shift": 0.05}, ", shifted down by 0.05 of its side"),
        ({"face_shift": -0.1, "face_level": False}, ", shifted up by 0.1 of its side, eyes not made level"),
    ],
)
def test_the_card_says_how_a_face_is_framed(changes: dict[str, object], told: str) -> None:
    facts = model_facts(make_spec().model_copy(update=changes), "best")
    assert facts["face in photos"] == f"a square of 1.15 times CenterFace's box{told}"


def test_an_unchanged_model_is_as_its_card_says(
    model: Path, faces: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien(["verify", "--card", str(model), str(faces.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["differences"]) == (True, [])
    assert told["compared"] > 40
    assert mien(["verify", str(model), "--card"]) == 2
    assert "mien verify --card MODEL DATA" in capsys.readouterr().err


def test_a_figure_that_is_not_the_models_fails_and_is_named(
    model: Path, faces: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads(model.with_suffix(".json").read_text())
    figure = card["measured"]["figures"][0]
    figure["macro_f1"] += 0.0004
    model.with_suffix(".json").write_text(json.dumps(card))
    assert verify_card(model, faces).passed  # within rounding
    figure["macro_f1"] += 0.0004
    figure["classes"][3]["pictures"] += 1
    model.with_suffix(".json").write_text(json.dumps(card))
    report = verify_card(model, faces)
    assert [one.what for one in report.differences] == [
        "labels, augmentation none: macro-F1",
        "labels, augmentation none: happy, pictures",
    ]
    assert mien(["verify", "--card", str(model), str(faces.path)]) == 1
    assert "macro-F1: the card says" in capsys.readouterr().out


def test_another_model_under_the_card_fails(model: Path, faces: Dataset) -> None:
    Linear(model, [FER2013], side=SIDE)
    differing = [one.what for one in verify_card(model, faces).differences]
    assert "sha256 of the file" in differing
    assert "labels, augmentation none: log loss" in differing


def test_other_pictures_are_refused_and_their_order_does_not_matter(
    model: Path, faces: Dataset, tmp_path: Path
) -> None:
    images = np.asarray(faces.images)
    order = np.random.default_rng(0).permutation(len(images))
    assert verify_card(model, renamed(faces, tmp_path / "a", images, order)).passed
    changed = images.copy()
    changed[faces.rows("val")[0], 0, 0] ^= 1
    with pytest.raises(MienError, match="is not what the card was measured on: 100 pictures of structured"):
        verify_card(model, renamed(faces, tmp_path / "b", changed, order))


def test_pictures_of_other_splits_change_no_figure(model: Path, faces: Dataset, tmp_path: Path) -> None:
    """A copy of the data with its test split has the same card as one without."""
    images = np.concatenate([faces.images, faces.images[:20, ::-1]])
    table = dataset.make_table(
        label=np.concatenate([faces.label, faces.label[:20]]),
        split=np.concatenate([faces.split, np.full(20, "test")]),
        source=[f"{i}.png" for i in range(len(images))],
        images=images,
    )
    info = dataset.describe("more", faces.labels, images, table)
    more = dataset.save(tmp_path / "more", images, table, info)
    assert split_fingerprint(more, "val") == split_fingerprint(faces, "val")
    assert verify_card(model, more).passed


def test_copies_of_training_pictures_are_left_out_of_the_leak_free_figure(
    model: Path, faces: Dataset, tmp_path: Path
) -> None:
    images = np.asarray(faces.images).copy()
    train, val = faces.rows("train"), faces.rows("val")
    images[val[:5]] = images[train[:5]]
    leaking = renamed(faces, tmp_path / "leaking", images, np.arange(len(images)))
    figure = measure_card(model, leaking).of("labels")
    assert figure is not None
    assert figure.leak_free is not None
    assert figure.copies >= 5
    assert figure.leak_free.pictures == figure.overall.pictures - figure.copies
