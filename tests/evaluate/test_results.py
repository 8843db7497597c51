"""The files of an evaluation."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.core.files import write_text
from mien.core.labels import FER2013, FERPLUS8
from mien.data.dataset import digests
from mien.evaluate import results
from mien.evaluate.evaluate import Evaluation, evaluate

SCORED = {
    "metrics.json",
    "predictions.parquet",
    "per_class.csv",
    "confusion.csv",
    "confusion-ferplus.csv",
    "plots/confusion.png",
    "plots/confusion-ferplus.png",
    "plots/reliability.png",
    "plots/reliability-ferplus.png",
}


@pytest.fixture
def evaluated(data_of: Callable[..., Any], table_of: Callable[..., Any]) -> Callable[..., tuple[Evaluation, Any]]:
    """An evaluation of five pictures, of which the first is in another split and the last has no label."""
    rng = np.random.default_rng(5)
    images = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None], (5, 4, 4)).copy()
    model = table_of(fer2013=rng.dirichlet(np.ones(7), 5), ferplus8=rng.dirichlet(np.ones(8), 5))
    votes = 10 * np.eye(10, dtype=int)[[0, 1, 2, 3, 9]]

    def build(label: tuple[int, ...] = (0, 3, 3, 6, -1), *, votes: np.ndarray | None = votes) -> Any:
        data = data_of(images, label, split=["train", *["val"] * 4], votes=votes)
        return evaluate(model, data), data

    return build


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_file_is_there_and_no_temporary_one(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    results.write(tmp_path, *evaluated())
    assert files(tmp_path) == SCORED
    for name in (name for name in SCORED if name.endswith(".png")):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 500
            assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.usefixtures("no_plots")
def test_predictions_have_a_row_for_each_picture_and_a_column_for_each_class(
    evaluated: Callable[..., Any], tmp_path: Path
) -> None:
    evaluation, data = evaluated()
    results.write(tmp_path, evaluation, data)
    table = pq.read_table(tmp_path / "predictions.parquet")
    probabilities = [*(f"p_fer2013_{n}" for n in FER2013.names), *(f"p_ferplus8_{n}" for n in FERPLUS8.names)]
    assert table.column_names == ["row", "split", "sha256", "label", "predicted", "probability", *probabilities]
    assert table.column("row").to_pylist() == [1, 2, 3, 4]
    assert table.column("sha256").to_pylist() == digests(data.images)[1:]
    assert table.column("label").to_pylist() == ["happy", "happy", "neutral", None]
    answers = evaluation.answers["fer2013"]
    assert table.column("predicted").to_pylist() == [FER2013.names[i] for i in answers.argmax(1)]
    assert np.array_equal(table.column("probability"), answers.max(1))
    seven = np.stack([table.column(f"p_fer2013_{n}") for n in FER2013.names], axis=1)
    assert seven.dtype == np.float32
    assert np.array_equal(seven, answers)
    heads = json.loads(table.schema.metadata[b"mien"])["heads"]
    assert heads == {"fer2013": list(FER2013.names), "ferplus8": list(FERPLUS8.names)}


@pytest.mark.usefixtures("no_plots")
def test_metrics_say_what_was_measured(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    evaluation, data = evaluated()
    results.write(tmp_path, evaluation, data)
    said = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (said["model"], said["split"], said["tta"], said["pictures"]) == ("table", "val", "none", 4)
    assert said["dataset"] == {"name": "tiny", "fingerprint": data.info.fingerprint}
    assert said["scores"]["labels"]["accuracy"] == evaluation.scores["labels"].metrics.accuracy
    assert said["scores"]["labels"]["left_out"] == {"without a label": 1}
    assert said["scores"]["ferplus"]["count"] == 3


@pytest.mark.usefixtures("no_plots")
def test_tables_hold_the_figures_and_leave_empty_what_is_undefined(
    evaluated: Callable[..., Any], tmp_path: Path
) -> None:
    evaluation, data = evaluated()
    results.write(tmp_path, evaluation, data)
    metrics = evaluation.scores["labels"].metrics
    table = rows(tmp_path / "per_class.csv")
    assert [(r["scored_on"], r["label"]) for r in table] == [
        *(("labels", name) for name in FER2013.names),
        *(("ferplus", name) for name in FERPLUS8.names),
    ]
    happy, disgust = table[3], table[1]
    assert float(happy["recall"]) == pytest.approx(metrics.classes[3].recall, abs=1e-4)
    assert float(happy["recall_low"]) == pytest.approx(metrics.classes[3].recall_interval.low, abs=1e-4)
    assert (disgust["support"], disgust["recall"], disgust["f1_high"]) == ("0", "", "")
    confusion = rows(tmp_path / "confusion.csv")
    assert [[int(r[n]) for n in FER2013.names] for r in confusion] == [list(r) for r in metrics.confusion]


@pytest.mark.usefixtures("no_plots")
def test_files_of_an_earlier_evaluation_go_and_others_stay(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    results.write(tmp_path, *evaluated())
    others = {"plots/mine.png", "notes.txt", "confusion-notes.csv", "plots/confusion-a.png", "plots/reliability2.png"}
    for name in others:
        write_text(tmp_path / name, "")
    results.write(tmp_path, *evaluated(votes=None))
    assert files(tmp_path) == {f for f in SCORED if "ferplus" not in f} | others


@pytest.mark.usefixtures("no_plots")
def test_without_labels_there_are_predictions_alone(evaluated: Callable[..., Any], tmp_path: Path) -> None:
    results.write(tmp_path, *evaluated((-1,) * 5, votes=None))
    assert files(tmp_path) == {"metrics.json", "predictions.parquet"}
    assert pq.read_table(tmp_path / "predictions.parquet").column("label").to_pylist() == [None] * 4


def test_a_failure_half_way_leaves_no_metrics(
    evaluated: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results.plots, "save", lambda *_: None)
    results.write(tmp_path, *evaluated())

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(results.plots, "save", full)
    with pytest.raises(OSError, match="disk full"):
        results.write(tmp_path, *evaluated())
    assert "metrics.json" not in files(tmp_path)
