"""Which mistakes are shown first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.labels import FER2013
from mien.data.dataset import Dataset
from mien.evaluate.answerer import Answers, Pixels, open_answerer
from mien.explain import mistakes
from mien.explain.mistakes import confused_pairs, top_losses
from mien.explain.subject import subject

P = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.01, 0.01, 0.98]])


def test_the_least_probable_label_costs_most() -> None:
    assert top_losses(np.array([0, 1, 1, 1, 0]), P, 3).tolist() == [4, 3, 1]


def test_pairs_are_counted_by_label_and_answer() -> None:
    assert confused_pairs(np.array([0, 1, 1, 1, 0]), P, 5) == [(1, 0, 2), (0, 2, 1)]


def test_no_mistakes_make_no_pairs() -> None:
    assert confused_pairs(P.argmax(1), P, 5) == []


def test_labels_are_not_doubted_of_pictures_that_are_answered_as_they_are_labelled(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mistakes, "save", lambda _figure, _path: None)
    of = subject(Sure(weights, packed.label[packed.rows("val")], 10), None, packed)
    unsure = replace(of, probabilities=0.6 * of.probabilities + np.float32(0.4 / 7))
    assert of.hit.mean() > mistakes.DOUBTED_FROM
    assert "labelled wrongly" not in mistakes.write(unsure, tmp_path, lambda *_: None)[0].text


class Sure:
    """Answers with certainty, rightly but for every `wrong`th picture; by position of the pictures asked."""

    name = "sure"

    def __init__(self, weights: Path, ids: np.ndarray, wrong: int) -> None:
        self.spec = open_answerer(weights).spec
        said = np.where(np.arange(len(ids)) % wrong == 0, (ids + 1) % 7, ids) if wrong else ids
        self.rows = {"fer2013": np.eye(7, dtype=np.float32)[said], "ferplus8": np.eye(8, dtype=np.float32)[said]}

    def probabilities(self, images: Pixels) -> Answers:
        return {name: values[: len(images)] for name, values in self.rows.items()}


@pytest.mark.parametrize(
    ("wrong", "said"), [(0, "nothing was lost."), (4, "labelled wrongly."), (2, "whole log loss.")]
)
def test_labels_are_doubted_of_a_net_that_is_mostly_right(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int, said: str
) -> None:
    monkeypatch.setattr(mistakes, "save", lambda _figure, _path: None)
    ids = packed.label[packed.rows("val")]
    of = subject(Sure(weights, ids, wrong), None, packed)
    assert of.names == FER2013.names
    first = mistakes.write(of, tmp_path, lambda *_: None)[0]
    assert first.text.endswith(said)
    assert ("labelled wrongly" in first.text) == (wrong == 4)
