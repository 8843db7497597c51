"""Which mistakes are shown first."""

from __future__ import annotations

import numpy as np

from mien.explain.mistakes import confused_pairs, top_losses

P = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.01, 0.01, 0.98]])


def test_the_least_probable_label_costs_most() -> None:
    assert top_losses(np.array([0, 1, 1, 1, 0]), P, 3).tolist() == [4, 3, 1]


def test_pairs_are_counted_by_label_and_answer() -> None:
    assert confused_pairs(np.array([0, 1, 1, 1, 0]), P, 5) == [(1, 0, 2), (0, 2, 1)]


def test_no_mistakes_make_no_pairs() -> None:
    assert confused_pairs(P.argmax(1), P, 5) == []
