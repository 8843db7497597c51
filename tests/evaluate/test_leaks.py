"""The leak-free score: what it leaves out, and when it has nothing to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mien.core.labels import FER2013
from mien.data.dataset import Dataset
from mien.evaluate.evaluate import ALL, Evaluation, evaluate
from mien.evaluate.leaks import leak_free, leaked
from mien.evaluate.metrics import measure, wilson
from mien.evaluate.report_words import leak_free as in_words

Grouped = Callable[[list[int]], Dataset]
SPLIT = ["train"] * 4 + ["val"] * 6


@pytest.fixture
def grouped(data_of: Callable[..., Dataset]) -> Grouped:
    """Ten pictures, 0 to 3 in train, 4 to 9 in val, labelled 0 to 6 in turn, in the groups given."""

    def build(group: list[int]) -> Dataset:
        images = np.arange(10, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
        data = data_of(images, [i % 7 for i in range(10)], split=SPLIT)
        place = data.table.schema.get_field_index("group")
        return replace(data, table=data.table.set_column(place, "group", pa.array(group, pa.int64())))

    return build


@pytest.fixture
def result(grouped: Grouped, table_of: Callable[..., object]) -> Callable[[list[int], str], Evaluation]:
    """An evaluation in which pictures 4, 5 and 6 are answered right and the others wrong."""

    def build(group: list[int], split: str = "val") -> Evaluation:
        right = np.eye(7, dtype=np.float32)[np.arange(10) % 7]
        answers = np.where((np.arange(10) < 7)[:, None], right, np.roll(right, 1, axis=1)) * 0.9 + 0.1 / 7
        return evaluate(table_of(fer2013=answers), grouped(group), split=split)

    return build


def test_pictures_with_a_copy_in_train_are_left_out(result: Callable[..., Evaluation]) -> None:
    #         train      | val
    group = [0, 1, -1, -1, 0, 1, 2, 2, -1, -1]
    score = result(group).scores["labels"]
    assert score.metrics.count == 6
    assert score.metrics.accuracy == 0.5
    free = score.leak_free
    assert free is not None
    assert free.copies == 2
    assert free.copies_accuracy == 1
    assert free.copies_interval == wilson(2, 2)
    assert free.metrics.count == 4
    assert free.metrics.accuracy == 0.25
    assert free.metrics.accuracy_interval == wilson(1, 4)


def test_metrics_json_holds_it_beside_the_plain_score(result: Callable[..., Evaluation]) -> None:
    scores = result([0, 1, -1, -1, 0, 1, 2, 2, -1, -1]).to_json()["scores"]["labels"]
    assert scores["accuracy"] == 0.5
    assert scores["leak_free"]["accuracy"] == 0.25
    assert scores["leak_free"]["copies"] == 2
    assert set(scores["leak_free"]["copies_interval"]) == {"low", "high"}


def test_without_known_groups_the_way_to_them_is_told(result: Callable[..., Evaluation]) -> None:
    evaluation = result([-1] * 10)
    assert evaluation.scores["labels"].leak_free is None
    assert evaluation.to_json()["scores"]["labels"]["leak_free"] is None
    assert "mien data group" in evaluation.notes[-1]


@pytest.mark.parametrize("split", ["train", ALL])
def test_in_train_and_over_all_splits_there_is_no_such_score(result: Callable[..., Evaluation], split: str) -> None:
    evaluation = result([0, 1, -1, -1, 0, 1, 2, 2, -1, -1], split)
    assert evaluation.scores["labels"].leak_free is None
    assert not [note for note in evaluation.notes if "copies" in note]


def test_groups_that_do_not_reach_train_are_no_leak(grouped: Grouped) -> None:
    data = grouped([0, 0, -1, -1, 2, 2, -1, -1, -1, -1])
    mask, notes = leaked(data, data.rows("val"), "val")
    assert not mask.any()
    assert not notes


def test_when_everything_is_leaked_there_is_no_leak_free_score() -> None:
    ids, p = np.array([0, 1]), np.eye(2)
    assert leak_free(ids, p, ("a", "b"), np.ones(2, bool)) is None
    assert leak_free(ids, p, ("a", "b"), np.zeros(2, bool)) is None


def test_leak_free_and_leaked_make_up_the_plain_score() -> None:
    rng = np.random.default_rng(0)
    ids, p, copies = rng.integers(0, 7, 500), rng.dirichlet(np.ones(7), 500), rng.random(500) < 0.2
    free = leak_free(ids, p, FER2013.names, copies)
    assert free is not None
    plain = measure(ids, p, FER2013.names)
    assert (free.metrics.accuracy * free.metrics.count + free.copies_accuracy * free.copies) / 500 == pytest.approx(
        plain.accuracy
    )


def test_the_report_says_it_in_words() -> None:
    free = leak_free(np.array([0, 1, 1, 0]), np.eye(2)[[0, 1, 0, 0]], ("a", "b"), np.array([1, 0, 0, 0], bool))
    assert free is not None
    text = in_words(free)
    assert "1 picture has a copy in training" in text
    assert "66.7" in text
