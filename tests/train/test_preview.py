"""`mien data show --recipe`: the sheet of what a recipe feeds the net."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli.app import run
from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.train.preview import preview


def recipe(*settings: str) -> Recipe:
    return recipes.read("emotion-net", ["train.epochs=9", "data.crop=20", *settings])


def test_labels_take_turns_and_without_augmentation_every_epoch_shows_what_evaluation_shows(bar_set: Dataset) -> None:
    sheet = preview(bar_set, recipe(), pictures=9, epochs=3)
    assert sheet.rows == [*bar_set.labels.names, *bar_set.labels.names[:2]]
    assert [column.heading for column in sheet.columns] == ["as evaluated", "epoch 1", "epoch 5", "epoch 9"]
    first = sheet.columns[0].pictures
    assert first[0].shape == (1, 20, 20)
    centres = np.asarray(bar_set.images)[:, 2:22, 2:22]
    assert all((centres == picture).all((1, 2)).any() for picture in first)
    for column in sheet.columns[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(column.pictures, first, strict=True))


def test_each_epoch_is_augmented_anew_and_mixed_pictures_say_with_what(bar_set: Dataset) -> None:
    sheet = preview(bar_set, recipe("augment.mixup_alpha=1", "augment.rotation_degrees=20"), pictures=7, epochs=4)
    assert sheet.title == "emotion-net: rotation_degrees, mixup_alpha"
    shown = {column.pictures[3].tobytes() for column in sheet.columns}
    assert len(shown) == 5
    captions = [caption for column in sheet.columns[1:] for caption in column.captions if caption]
    assert len(captions) > 14
    for caption in captions:
        share, _, label = caption.partition(" ")
        assert 0 <= int(share.removesuffix("%")) <= 100
        assert label in bar_set.labels.names


def test_an_epoch_is_shown_as_its_phase_feeds_it(bar_set: Dataset, tmp_path: Path) -> None:
    text = "[train]\nepochs = 4\n[[phases]]\nepochs = 2\nsize = 16\n[[phases]]\n[phases.augment]\nflip = 'random'\n"
    (tmp_path / "grow.toml").write_text(text)
    sheet = preview(bar_set, recipes.read(str(tmp_path / "grow.toml"), ["model.name=emotion-net"]), epochs=4)
    assert [column.pictures[0].shape[-1] for column in sheet.columns] == [24, 16, 16, 24, 24]


def test_the_command_draws_the_sheet_and_names_its_file(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "data",
        "show",
        str(bar_set.path),
        "--out",
        str(tmp_path),
        "--recipe",
        "mien-s",
        "--set",
        "data.crop=20",
    ]
    assert run([*arguments, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    with Image.open(files["fed"]) as picture:
        assert picture.width > 800
    assert set(files) == {"counts", "samples", "fed"}


def test_a_recipe_that_does_not_fit_the_data_is_refused(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "show", str(bar_set.path), "--out", str(tmp_path), "--recipe", "mien-s"]) == 2
    assert "data.crop = 44 is larger than the pictures" in capsys.readouterr().err
