"""Weights of labels, and that the loss uses them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.core.labels import identify
from mien.core.recipe import Recipe
from mien.core.recipe_keys import LossConfig
from mien.train.batches import Pictures
from mien.train.class_weights import class_weights
from mien.train.objective import Objective

LABELS = identify(("common", "rare", "never"))
IDS = np.array([0] * 90 + [1] * 10 + [-1] * 7)


def test_without_a_wish_there_are_no_weights() -> None:
    assert class_weights(IDS, LABELS, LossConfig()) is None


def test_weights_by_name_multiply_and_leave_the_others_at_one() -> None:
    assert class_weights(IDS, LABELS, LossConfig(class_weights={"rare": 10})).tolist() == [1, 10, 1]
    both = LossConfig(class_balance="inverse-frequency", class_weights={"rare": 2})
    assert class_weights(IDS, LABELS, both)[1] == pytest.approx(2 * 5)


def test_inverse_frequencies_have_a_mean_of_one_over_the_pictures() -> None:
    weights = class_weights(IDS, LABELS, LossConfig(class_balance="inverse-frequency"))
    assert weights.tolist() == pytest.approx([100 / (2 * 90), 100 / (2 * 10), 1])
    assert weights[IDS[IDS >= 0]].mean() == pytest.approx(1)


def test_effective_numbers_follow_the_paper_and_sum_to_the_number_of_classes() -> None:
    beta = 0.99
    weights = class_weights(IDS, LABELS, LossConfig(class_balance="effective-number", effective_number_beta=beta))
    raw = [(1 - beta) / (1 - beta**n) for n in (90, 10)]
    assert weights[:2].tolist() == pytest.approx([2 * w / sum(raw) for w in raw], rel=1e-5)
    even = class_weights(IDS, LABELS, LossConfig(class_balance="effective-number", effective_number_beta=0))
    assert even[:2].tolist() == [1, 1]
    near_one = class_weights(IDS, LABELS, LossConfig(class_balance="effective-number", effective_number_beta=0.999999))
    assert near_one[1] / near_one[0] == pytest.approx(9, rel=1e-3)


def test_a_name_that_is_no_label_gets_its_nearest_neighbour() -> None:
    with pytest.raises(MienError, match="did you mean 'rare'"):
        class_weights(IDS, LABELS, LossConfig(class_weights={"rear": 2}))


def test_the_objective_weighs_the_label_head_and_not_the_votes() -> None:
    votes = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    pictures = Pictures(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]), votes, torch.tensor([1.0, 0.5]))
    logits = (torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.3, -0.3], [0.3, -0.3]]))
    rows = torch.tensor([0, 1])
    plain = Objective(Recipe(), pictures)(logits, rows)
    weighed = Objective(Recipe(), pictures, class_weights=np.array([1, 3], np.float32))(logits, rows)
    label = -logits[0].log_softmax(1)[[0, 1], [0, 1]]
    vote = -(votes * logits[1].log_softmax(1)).sum(1)
    torch.testing.assert_close(plain, (label + vote) * torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(weighed, (label * torch.tensor([1.0, 3.0]) + vote) * torch.tensor([1.0, 0.5]))
