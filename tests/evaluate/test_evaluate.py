"""What is scored on what: label sets, splits, FER+ votes, and what cannot be scored."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mien.core import votes
from mien.core.errors import MienError
from mien.core.labels import FER5, FER2013, FERPLUS8, LabelSet, map_probabilities
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import Dataset
from mien.evaluate.answerer import TorchAnswerer
from mien.evaluate.evaluate import evaluate
from mien.models.classifier import Classifier

Data, Tables = Callable[..., Dataset], Callable[..., Any]


def images(count: int) -> np.ndarray:
    """Pictures that `Table` answerers look up by their first pixel."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, 4, 4)).copy()


def sure(ids: list[int], classes: int) -> np.ndarray:
    """Probabilities that answer these classes with .9."""
    return (np.eye(classes)[ids] * 0.9 + 0.1 / classes).astype(np.float32)


def all_for(*names: str) -> np.ndarray:
    """Ten votes for one FER+ class each."""
    order = [*FERPLUS8.names, "unknown", "NF"]
    return 10 * np.eye(10, dtype=np.int64)[[order.index(name) for name in names]]


def test_labels_are_scored_on_the_head_that_has_exactly_them(data_of: Data, table_of: Tables) -> None:
    model = table_of(ferplus8=sure([0, 0, 0], 8), fer2013=sure([3, 4, 4], 7))
    result = evaluate(model, data_of(images(3), [3, 4, 5]))
    score = result.scores["labels"]
    assert (score.head, score.mapped, score.left_out) == ("fer2013", False, {})
    assert score.metrics.accuracy == pytest.approx(2 / 3)
    assert "ferplus" not in result.scores
    assert result.notes == ()


def test_a_net_with_only_fer_plus_classes_answers_the_seven_by_name(data_of: Data, table_of: Tables) -> None:
    answers = sure([4, 7, 1, 0], 8)  # anger, contempt, happiness, neutral
    answers[1, 5] = 0.05  # after contempt, disgust
    result = evaluate(table_of(ferplus8=answers), data_of(images(4), [0, 1, 3, 4]))
    score = result.scores["labels"]
    assert (score.head, score.mapped, score.metrics.labels) == ("ferplus8", True, FER2013.names)
    assert score.metrics.accuracy == 0.75
    assert np.array_equal(result.answer, map_probabilities(answers, FERPLUS8, FER2013))
    assert result.answer_labels == FER2013


def test_pictures_of_a_label_that_the_model_lacks_are_left_out_and_counted(
    data_of: Data, spec_of: Callable[..., ModelSpec], table_of: Tables
) -> None:
    model = table_of(fer2013=sure([2, 2, 3, 3], 7))
    model.spec = spec_of(Head(name="five", labels=FER5.names))
    model.answers = {"five": sure([0, 0, 1, 1], 5)}
    score = evaluate(model, data_of(images(4), [0, 2, 3, 1])).scores["labels"]
    assert score.metrics.labels == FER5.names
    assert (score.metrics.count, score.metrics.accuracy) == (2, 1.0)
    assert score.left_out == {
        "label angry, which the model does not have": 1,
        "label disgust, which the model does not have": 1,
    }


def test_a_data_set_with_fewer_labels_has_answers_among_those_alone(data_of: Data, table_of: Tables) -> None:
    answers = np.array([[0.8, 0, 0.15, 0, 0.05, 0, 0], [0, 0, 0, 0, 0, 0.4, 0.6]])  # angry before fear; neutral
    result = evaluate(table_of(fer2013=answers), data_of(images(2), [0, 4], labels=FER5))
    assert result.scores["labels"].metrics.accuracy == 1.0
    np.testing.assert_allclose(result.answer[0], [0.75, 0, 0.25, 0, 0], atol=1e-6)


def test_alphabetical_synonyms_are_matched_by_name(data_of: Data, table_of: Tables) -> None:
    folders = LabelSet(name="custom", names=("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"))
    model = table_of(fer2013=sure([6, 4, 5], 7))
    score = evaluate(model, data_of(images(3), [4, 5, 6], labels=folders)).scores["labels"]
    assert score.metrics.accuracy == 1.0
    assert score.metrics.labels == folders.names


def test_labels_without_counterparts_are_refused_before_anything_is_computed(data_of: Data, table_of: Tables) -> None:
    model = table_of(fer2013=np.eye(7))
    model.probabilities = pytest.fail
    with pytest.raises(MienError, match=r"cat, dog\) have no two counterparts .*fer2013: angry, disgust"):
        evaluate(model, data_of(images(2), [0, 1], labels=LabelSet(name="custom", names=("cat", "dog"))))


def test_one_class_in_a_split_is_scored_without_warnings(data_of: Data, table_of: Tables) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = evaluate(table_of(fer2013=sure([3, 3, 0], 7)), data_of(images(3), [3, 3, 3])).scores["labels"].metrics
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert [c.support for c in metrics.classes] == [0, 0, 0, 3, 0, 0, 0]
    assert metrics.classes[1].recall is None


def test_unlabelled_pictures_get_answers_and_no_score(data_of: Data, table_of: Tables) -> None:
    result = evaluate(table_of(fer2013=sure([3, 1], 7)), data_of(images(2), [-1, -1], split="test"), split="test")
    assert result.scores == {}
    assert result.notes == ("labels not scored: no picture has one; predictions only",)
    assert result.answer.argmax(1).tolist() == [3, 1]


def test_some_unlabelled_pictures_are_left_out(data_of: Data, table_of: Tables) -> None:
    score = evaluate(table_of(fer2013=sure([3, 1], 7)), data_of(images(2), [3, -1])).scores["labels"]
    assert (score.metrics.count, score.left_out) == (1, {"without a label": 1})


def test_unlabelled_pictures_of_other_labels_are_answered_in_the_models_own(data_of: Data, table_of: Tables) -> None:
    pets = LabelSet(name="custom", names=("cat", "dog"))
    result = evaluate(table_of(fer2013=sure([3], 7)), data_of(images(1), [-1], labels=pets))
    assert result.answer_labels == FER2013


def test_an_empty_split_names_those_there_are(data_of: Data, table_of: Tables) -> None:
    with pytest.raises(MienError, match=r"no picture in split 'test'\n.*splits: train, val"):
        evaluate(table_of(fer2013=np.eye(7)), data_of(images(2), [0, 1], split=["val", "train"]), split="test")


def test_all_is_every_split(data_of: Data, table_of: Tables) -> None:
    data = data_of(images(3), [0, 1, 2], split=["val", "train", "test"])
    assert evaluate(table_of(fer2013=np.eye(7)), data, split="all").rows.tolist() == [0, 1, 2]
    assert evaluate(table_of(fer2013=np.eye(7)), data, split="test").rows.tolist() == [2]


def test_pictures_of_another_size_are_refused(data_of: Data, table_of: Tables) -> None:
    with pytest.raises(MienError, match="6×6 px, the model takes 4×4"):
        evaluate(table_of(fer2013=np.eye(7)), data_of(np.zeros((2, 6, 6), np.uint8), [0, 1]))


def test_fer_plus_counts_only_pictures_with_a_majority_for_an_expression(data_of: Data, table_of: Tables) -> None:
    ballots = all_for("happiness", "contempt", "unknown", "NF", "fear", "anger")
    ballots[4] = [4, 0, 0, 0, 0, 0, 5, 0, 1, 0]  # the single vote goes, and 5 of 9 is more than half
    ballots[5] = [5, 0, 0, 0, 5, 0, 0, 0, 0, 0]  # no majority
    model = table_of(fer2013=sure([3] * 6, 7), ferplus8=sure([1, 7, 0, 0, 0, 4], 8))
    score = evaluate(model, data_of(images(6), [3, 0, 0, 0, 2, 0], votes=ballots)).scores["ferplus"]
    assert (score.head, score.metrics.count, score.metrics.labels) == ("ferplus8", 3, FERPLUS8.names)
    assert score.metrics.accuracy == pytest.approx(2 / 3)
    assert score.left_out == {"no majority for an expression": 3}


def test_seven_classes_are_not_scored_on_fer_plus_and_the_reason_is_said(data_of: Data, table_of: Tables) -> None:
    data = data_of(images(1), [3], votes=all_for("happiness"))
    result = evaluate(table_of(fer2013=sure([3], 7)), data)
    assert list(result.scores) == ["labels"]
    assert result.notes[0].startswith("FER+ not scored: no head has all its eight classes")


def test_votes_can_be_scored_where_no_picture_has_a_label(data_of: Data, table_of: Tables) -> None:
    data = data_of(images(1), [-1], votes=all_for("happiness"))
    result = evaluate(table_of(ferplus8=sure([1], 8)), data)
    assert list(result.scores) == ["ferplus"]
    assert result.scores["ferplus"].metrics.accuracy == 1


def test_no_majority_at_all_is_a_note(data_of: Data, table_of: Tables) -> None:
    result = evaluate(table_of(ferplus8=np.eye(8)), data_of(images(1), [0], votes=all_for("NF")))
    assert result.notes == ("FER+ not scored: no picture has a majority of votes for an expression",)


def test_figures_do_not_depend_on_batches_or_on_the_order_of_pictures(
    data_of: Data, net: Callable[..., Classifier], pictures: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    label, ballots = rng.integers(0, 7, len(pictures)), 5 * np.eye(10, dtype=int)[rng.integers(0, 10, 11)]
    answerer, order = TorchAnswerer(net()), rng.permutation(len(pictures))
    first = evaluate(answerer, data_of(pictures, label, votes=ballots), tta="flip-shift")
    other = data_of(pictures[order], label[order], votes=ballots[order])
    second = evaluate(answerer, other, tta="ten-crop", batch_size=3)
    assert first.scores.keys() == {"labels", "ferplus"}
    assert first.tta == second.tta == "flip-shift"
    np.testing.assert_allclose(first.answer[order], second.answer, atol=1e-5)
    for kind, score in first.scores.items():
        assert score.metrics.confusion == second.scores[kind].metrics.confusion
        assert score.metrics.log_loss == pytest.approx(second.scores[kind].metrics.log_loss, abs=1e-4)


def test_the_official_filter_keeps_3199_public_test_pictures(
    data_of: Data, net: Callable[..., Classifier], real_data: dict[str, np.ndarray]
) -> None:
    usage, ballots, emotion = (real_data[name] for name in ("usage", "ferplus", "emotion"))
    public = np.flatnonzero(usage == 1)
    assert len(public) == 3589
    data = data_of(np.zeros((3589, 20, 20), np.uint8), emotion[public], votes=ballots[public])
    result = evaluate(TorchAnswerer(net()), data)
    metrics = result.scores["ferplus"].metrics
    assert (result.scores["labels"].metrics.count, metrics.count) == (3589, 3199)
    majority = votes.majority(data.votes)
    assert [c.support for c in metrics.classes] == np.bincount(majority[majority >= 0], minlength=8).tolist()
