"""Which pictures a training takes, and what is refused because nothing could be learned or measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mien.cli.watch import Bar
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.train.prepare import shown_pictures, training_rows
from mien.train.run import train


def changed(data: Dataset, **columns: np.ndarray) -> Dataset:
    """The set with other columns in its table."""
    table = data.table
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values.tolist()))
    return replace(data, table=table)


def unlabelled(data: Dataset, *rows: int, votes: tuple[int, ...]) -> Dataset:
    """The set whose training pictures at `rows` of train have no label, and these ten votes."""
    chosen = data.rows("train")[list(rows)]
    label = np.where(np.isin(np.arange(len(data)), chosen), -1, data.label)
    found = data.votes.copy()
    found[chosen] = votes
    names = [name for name in data.table.column_names if name.startswith("vote")]
    assert len(names) == 10
    return changed(data, label=label, **{name: found[:, i] for i, name in enumerate(names)})


@pytest.mark.parametrize(
    ("votes", "scheme", "taken"),
    [
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 10), "soft", False),  # no face
        ((0, 0, 0, 0, 0, 0, 0, 0, 9, 1), "soft", False),  # unknown
        ((1, 1, 1, 1, 1, 0, 0, 0, 5, 0), "soft", False),  # single votes
        ((4, 3, 0, 0, 0, 0, 0, 0, 0, 3), "soft", True),
        ((4, 3, 0, 0, 0, 0, 0, 0, 0, 3), "majority", False),
        ((7, 3, 0, 0, 0, 0, 0, 0, 0, 0), "probability", True),
        ((0, 0, 0, 0, 0, 0, 0, 0, 10, 0), "probability", False),
    ],
)
def test_a_picture_without_label_is_trained_on_when_its_votes_are_a_target(
    bar_set: Dataset, small, votes: tuple[int, ...], scheme: str, taken: bool
) -> None:
    data = unlabelled(bar_set, 3, 5, votes=votes)
    found = training_rows(data, small(loss={"vote_scheme": scheme}))
    assert len(found) == (120 if taken else 118)
    assert len(training_rows(data, small(data={"votes": False}))) == 118


def test_a_set_without_weights_or_labels_says_what_is_missing(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    def attempt(**columns: np.ndarray) -> None:
        recipe = small(train={"epochs": 1}, data={"votes": False})
        train(changed(bar_set, **columns), recipe, tmp_path / "r", watched())

    with pytest.raises(MienError, match="none of 120 training pictures has a weight above 0"):
        attempt(weight=np.zeros(160))
    with pytest.raises(MienError, match="none of 120 training pictures has a label"):
        attempt(label=np.full(160, -1))
    assert not (tmp_path / "r").exists()


def test_a_single_class_is_refused_but_not_where_votes_are_learned(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    happy = changed(bar_set, label=np.full(160, 3))
    with pytest.raises(MienError, match="all training pictures are happy"):
        train(happy, small(train={"epochs": 1}, data={"votes": False}), tmp_path / "r", watched())
    assert train(happy, small(train={"epochs": 1}), tmp_path / "r", watched()).progress.epoch == 1


def test_a_single_training_picture_is_too_few_for_any_batch(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    split = bar_set.split.copy()
    split[bar_set.rows("train")[1:]] = "test"
    with pytest.raises(MienError, match="has 1 picture: a batch needs 2") as caught:
        train(changed(bar_set, split=split), small(), tmp_path / "r", watched())
    assert caught.value.hint == "import more pictures"


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"train": {"epochs": 1}}, "1 epoch of 120 pictures of bars"),
        ({"data": {"train_on_val": True}}, "4 epochs of 160 pictures of bars"),
        ({"data": {"sampler": "label-shuffling"}}, "4 epochs of 126 pictures of bars"),
    ],
)
def test_the_bar_says_how_many_pictures_an_epoch_shows(
    bar_set: Dataset, small, capsys: pytest.CaptureFixture[str], tables: dict[str, object], said: str
) -> None:
    recipe: Recipe = small(**tables)
    with Bar(recipe) as bar:
        bar.begin(bar_set, Path("r"))
    assert said in capsys.readouterr().err
    assert f"{shown_pictures(bar_set, recipe)} pictures" in said
