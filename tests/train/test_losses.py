"""Losses against their definitions."""

from __future__ import annotations

import math

import torch

from mien.train.losses import best_of_targets, smoothed_cross_entropy, soft_cross_entropy

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [-3.0, 0.0, 3.0]])
P = LOGITS.softmax(1)


def test_label_smoothing_spreads_the_mass_evenly_over_all_classes() -> None:
    target = torch.tensor([[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]])
    expected = -(target * P[:1].log()).sum(1)
    torch.testing.assert_close(smoothed_cross_entropy(LOGITS[:1], torch.tensor([0]), 0.1), expected)


def test_pictures_without_label_cost_nothing() -> None:
    loss = smoothed_cross_entropy(LOGITS, torch.tensor([0, -1, 2]), 0.1)
    assert loss[1] == 0
    assert loss[0] > 0


def test_soft_targets_are_used_as_they_are_and_not_put_through_a_softmax() -> None:
    targets = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    loss = soft_cross_entropy(LOGITS, targets)
    assert math.isclose(loss[0], -(0.7 * P[0, 0].log() + 0.3 * P[0, 1].log()), rel_tol=1e-6)
    assert loss[1] == 0
    torch.testing.assert_close(loss[2], -P[2, 2].log())


def test_multi_targets_are_satisfied_by_the_best_of_them() -> None:
    loss = best_of_targets(LOGITS, torch.tensor([[0.0, 1, 1], [0, 0, 0], [1, 1, 1]]))
    torch.testing.assert_close(loss[0], -P[0, 1].log())
    assert loss[1] == 0
    torch.testing.assert_close(loss[2], -P[2, 2].log())
    assert torch.isfinite(best_of_targets(LOGITS.requires_grad_(), torch.zeros(3, 3)).sum())
