"""Losses against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from mien.train.losses import (
    best_of_targets,
    distillation,
    focal,
    smoothed_cross_entropy,
    soft_cross_entropy,
    soften,
    squared_hinge,
)

LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [-3.0, 0.0, 3.0]])
P = LOGITS.softmax(1)


def test_label_smoothing_spreads_the_mass_evenly_over_all_classes() -> None:
    target = torch.tensor([[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]])
    expected = -(target * P[:1].log()).sum(1)
    torch.testing.assert_close(smoothed_cross_entropy(LOGITS[:1], torch.tensor([0]), 0.1), expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits, labels: smoothed_cross_entropy(logits, labels, 0.1),
        lambda logits, labels: focal(logits, labels, 2.0),
        squared_hinge,
    ],
    ids=["cross entropy", "focal", "svm"],
)
def test_pictures_without_label_cost_nothing_and_pull_nowhere(loss) -> None:
    logits = LOGITS.clone().requires_grad_()
    found = loss(logits, torch.tensor([1, -1, 0]))
    found.sum().backward()
    assert found[1] == 0
    assert found[0] > 0
    assert not logits.grad[1].any()
    assert logits.grad[0].any()


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
    assert torch.isfinite(best_of_targets(LOGITS.clone().requires_grad_(), torch.zeros(3, 3)).sum())


def test_focal_loss_at_the_papers_example_is_a_hundredth_and_a_thousandth_of_cross_entropy() -> None:
    # Section 3.2: with gamma = 2, an example classified with .9 has 100 times, with about .968 1000 times lower loss.
    for p, lower in ((0.9, 100), (0.968, 1000)):
        logits = torch.tensor([[math.log(p), math.log(1 - p)]])
        cross_entropy = smoothed_cross_entropy(logits, torch.tensor([0]), 0.0)
        assert float(cross_entropy / focal(logits, torch.tensor([0]), 2.0)) == pytest.approx(lower, rel=0.03)


def test_focal_loss_without_gamma_is_cross_entropy_with_smoothing_and_without() -> None:
    labels = torch.tensor([0, 1, 2])
    for smoothing in (0.0, 0.1):
        expected = smoothed_cross_entropy(LOGITS, labels, smoothing)
        torch.testing.assert_close(focal(LOGITS, labels, 0.0, smoothing), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_has_finite_gradients_at_certainty(gamma: float) -> None:
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    focal(logits, torch.tensor([0, 0]), gamma).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_svm_loss_sums_squared_hinges_over_all_classes() -> None:
    # Label 0: (1 − 2)⁺² + (1 + .5)² + (1 − 1)⁺²; a margin beyond 1 costs nothing.
    loss = squared_hinge(LOGITS, torch.tensor([0, 2, 0]))
    assert loss.tolist() == pytest.approx([0 + 1.5**2 + 0, 1.1**2 + 1.2**2 + 0.7**2, 4**2 + 1 + 4**2])


def test_the_svm_loss_agrees_with_torch_on_the_gradient_of_its_definition() -> None:
    logits = LOGITS.clone().double().requires_grad_()
    labels = torch.tensor([2, 1, 0])
    assert torch.autograd.gradcheck(lambda z: squared_hinge(z, labels), (logits + 0.03,))
    first = squared_hinge(torch.zeros(1, 7), torch.tensor([3]))
    assert first.item() == 7


def test_softening_answers_is_a_softmax_of_the_logits_at_that_temperature() -> None:
    for temperature in (0.5, 1.0, 3.0):
        torch.testing.assert_close(soften(P, temperature), (LOGITS / temperature).softmax(1))
    assert not soften(torch.zeros(1, 3), 2.0).any()


def test_distillation_is_least_at_the_teachers_answers_and_its_gradient_that_of_the_paper() -> None:
    temperature = 3.0
    teacher = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0], [3.0, 0.0, 0.0]])
    targets = (teacher / temperature).softmax(1)
    logits = LOGITS.clone().requires_grad_()
    distillation(logits, targets, temperature).sum().backward()
    # Equation 2: the gradient of cross entropy is (q − p)/T; T² puts its size back.
    expected = temperature * ((LOGITS / temperature).softmax(1) - targets)
    torch.testing.assert_close(logits.grad, expected)
    same = teacher.clone().requires_grad_()
    distillation(same, targets, temperature).sum().backward()
    torch.testing.assert_close(same.grad, torch.zeros(3, 3), atol=1e-6, rtol=0)
