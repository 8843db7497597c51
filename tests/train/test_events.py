"""Event files: the history's figures, weights, pictures; a kill and a resume neither lose nor repeat a step."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train.events import BINS, EventFile, histogram, read_events, sheet
from mien.train.run import resume, train

Small = Callable[..., Recipe]


def events(folder: Path) -> list[Any]:
    [file] = folder.glob("events.*")
    return list(read_events(file))


def scalars_of(folder: Path) -> dict[int, dict[str, float]]:
    told = {
        e.step: {v.tag: v.simple_value for v in e.summary.value if v.WhichOneof("what") == "simple_value"}
        for e in events(folder)
    }
    return {step: values for step, values in told.items() if values}


def test_a_training_writes_its_history_weights_and_pictures(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(), tmp_path / "run", watched())
    with RunDir(tmp_path / "run").history.open() as file:
        rows = list(csv.DictReader(file))
    told = scalars_of(tmp_path / "run")
    assert list(told) == [int(row["step"]) for row in rows]
    for row in rows:
        values = told[int(row["step"])]
        assert len(values) == len(row) - 1
        assert values["val/accuracy"] == np.float32(row["val_accuracy"])
        assert values["train/loss"] == np.float32(row["train_loss"])
        assert values["training/learning_rate"] == np.float32(row["learning_rate"])
    first, pictures, *epochs = events(tmp_path / "run")
    assert first.file_version == "brain.Event:2"
    with Image.open(io.BytesIO(pictures.summary.value[0].image.encoded_image_string)) as picture:
        assert picture.size == (8 * 24, 4 * 24)
    assert ["histo" in {v.WhichOneof("what") for v in e.summary.value} for e in epochs] == [True, False, False, False]


@pytest.mark.parametrize("steps", [5, 16])
def test_a_killed_and_resumed_run_has_the_events_of_one_never_killed(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path, steps: int
) -> None:
    recipe = small(train={"checkpoint_minutes": 1e-9, "epochs": 3})
    train(bar_set, recipe, tmp_path / "straight", watched())
    run = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, run, watched(steps))
    [file] = run.glob("events.*")
    with file.open("ab") as open_file:
        open_file.write(b"a record that a kill has cut off")
    resume(RunDir(run), bar_set, watched())
    assert [e.step for e in events(run)] == [e.step for e in events(tmp_path / "straight")]
    assert scalars_of(run) == scalars_of(tmp_path / "straight")


def test_lost_events_come_back_from_the_history(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(train={"epochs": 2}), tmp_path / "run", watched())
    before = scalars_of(tmp_path / "run")
    [file] = (tmp_path / "run").glob("events.*")
    file.unlink()
    resume(RunDir(tmp_path / "run"), bar_set, watched())
    assert scalars_of(tmp_path / "run") == before


def test_they_can_be_switched_off(bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path) -> None:
    train(bar_set, small(train={"epochs": 1, "events": False}), tmp_path / "run", watched())
    assert not list((tmp_path / "run").glob("events.*"))


def test_a_resume_from_an_earlier_state_drops_later_steps_into_a_later_file(tmp_path: Path) -> None:
    old = EventFile(tmp_path, last=0)
    for step in (8, 16, 24):
        old.add(step, [{"tag": "a", "simple_value": 0.0}])
    untouched = EventFile(tmp_path, last=24)
    assert untouched.path == old.path
    assert untouched.steps == {8, 16, 24}
    new = EventFile(tmp_path, last=16)
    assert new.path.name > old.path.name
    assert not old.path.exists()
    assert [e.step for e in events(tmp_path)] == [0, 8, 16]
    assert events(tmp_path)[1].summary.value[0].WhichOneof("what") == "simple_value"


def test_a_histogram_holds_every_finite_value() -> None:
    made = histogram(np.array([[0.0, 1.0], [3.0, np.nan]]))
    assert (made["num"], made["sum"], made["sum_squares"], made["min"], made["max"]) == (3, 4, 10, 0, 3)
    assert sum(made["bucket"]) == 3
    assert len(made["bucket"]) == len(made["bucket_limit"]) == BINS
    assert made["bucket_limit"][-1] == 3
    assert histogram(np.array([np.inf])) == {}


def test_a_sheet_of_few_colour_pictures_is_black_where_there_are_none() -> None:
    made = sheet(torch.full((1, 3, 5, 6), 200, dtype=torch.uint8))
    with Image.open(io.BytesIO(made["encoded_image_string"])) as picture:
        assert picture.size == (48, 20)
        assert picture.getpixel((5, 4)) == (200, 200, 200)
        assert picture.getpixel((6, 4)) == (0, 0, 0)
