"""What a batch costs: every key of the tables `loss` and `distill` reaches the loss it is said to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mien.core import recipe as recipes
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train import losses
from mien.train.batches import Pictures
from mien.train.checkpoint import Progress
from mien.train.class_weights import class_weights
from mien.train.machine import Machine
from mien.train.objective import Objective, drawn
from mien.train.prepare import prepare

N = 12
ROWS = torch.tensor([7, 2, 11, 0])


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LOGITS = (random(4, 7, seed=1), random(4, 8, seed=2))
PICTURES = Pictures(torch.zeros(N, 1, 2, 2), torch.arange(N) % 7, random(N, 8, seed=3).softmax(1), torch.ones(N))
# A net without a second head: what the label head costs, alone.
LABELS_ONLY = Pictures(PICTURES.images, PICTURES.labels, None, PICTURES.weight)


def objective(pictures: Pictures = PICTURES, *, distill: dict[str, Any] | None = None, **loss: Any) -> Objective:
    return Objective(recipes.build({"loss": loss, "distill": distill or {}}, source="test"), pictures)


def test_the_loss_of_each_name_is_its_function_with_the_keys_of_the_recipe() -> None:
    logits, labels = LOGITS[0], PICTURES.labels[ROWS]
    for keys, expected in (
        ({}, losses.smoothed_cross_entropy(logits, labels, 0.0)),
        ({"label_smoothing": 0.2}, losses.smoothed_cross_entropy(logits, labels, 0.2)),
        ({"name": "svm"}, losses.squared_hinge(logits, labels)),
        ({"name": "focal"}, losses.focal(logits, labels, 2.0)),
        ({"name": "focal", "focal_gamma": 3}, losses.focal(logits, labels, 3.0)),
        ({"name": "focal", "label_smoothing": 0.2}, losses.focal(logits, labels, 2.0, 0.2)),
    ):
        assert torch.equal(objective(LABELS_ONLY, **keys)((logits,), ROWS), expected), keys
    two, three = (objective(LABELS_ONLY, name="focal", focal_gamma=g)((logits,), ROWS) for g in (2, 3))
    assert (three < two).all()


def test_the_votes_count_by_their_weight_and_scheme() -> None:
    targets = PICTURES.votes[ROWS]
    own = losses.smoothed_cross_entropy(LOGITS[0], PICTURES.labels[ROWS], 0.0)
    soft, best = losses.soft_cross_entropy(LOGITS[1], targets), losses.best_of_targets(LOGITS[1], targets)
    torch.testing.assert_close(objective()(LOGITS, ROWS), own + soft)
    torch.testing.assert_close(objective(votes_weight=0.3)(LOGITS, ROWS), own + 0.3 * soft)
    torch.testing.assert_close(objective(vote_scheme="multi-target")(LOGITS, ROWS), own + best)
    points = torch.tensor([[0.1], [0.5], [0.9], [0.3]])
    one_hot = losses.soft_cross_entropy(LOGITS[1], drawn(targets, points))
    torch.testing.assert_close(objective(vote_scheme="probability")(LOGITS, ROWS, points), own + one_hot)


def test_what_is_taught_counts_by_the_weight_of_distill_in_each_head() -> None:
    own = (
        losses.smoothed_cross_entropy(LOGITS[0], PICTURES.labels[ROWS], 0.0),
        losses.soft_cross_entropy(LOGITS[1], PICTURES.votes[ROWS]),
    )
    answers = (random(N, 7, seed=4).softmax(1), random(N, 8, seed=5).softmax(1))
    taught = tuple(losses.distillation(x, a[ROWS], 3.0) for x, a in zip(LOGITS, answers, strict=True))
    for teachers in (answers, (answers[0], None), (None, answers[1])):
        learns = objective(votes_weight=0.5, distill={"weight": 0.3, "temperature": 3})
        learns.teachers = teachers
        heads = [
            0.7 * one + 0.3 * other if answer is not None else one
            for one, other, answer in zip(own, taught, teachers, strict=True)
        ]
        torch.testing.assert_close(learns(LOGITS, ROWS), heads[0] + 0.5 * heads[1])


def test_what_is_said_of_this_batch_goes_before_what_was_said_of_the_pictures() -> None:
    earlier, now = ((random(N, 7, seed=s).softmax(1), random(N, 8, seed=s + 1).softmax(1)) for s in (4, 6))
    learns, other = (objective(distill={"weight": 0.3, "temperature": 3}) for _ in range(2))
    learns.teachers, other.teachers = earlier, now
    said = tuple(answers[ROWS] for answers in now)
    torch.testing.assert_close(learns(LOGITS, ROWS, said=said), other(LOGITS, ROWS))
    assert not torch.equal(learns(LOGITS, ROWS, said=said), learns(LOGITS, ROWS))


def test_a_training_weighs_its_pictures_by_the_classes_of_the_recipe(bar_set: Dataset, small, tmp_path: Path) -> None:
    recipe = small(loss={"class_balance": "inverse-frequency", "class_weights": {"disgust": 10}})
    rows = bar_set.rows("train")
    weights = class_weights(bar_set.label[rows], bar_set.labels, recipe.loss)
    assert weights is not None
    parts, learner = prepare(bar_set, recipe, RunDir(tmp_path), Machine(recipe.train))
    found = parts.stages.objective.class_weight
    assert found is not None
    assert np.array_equal(found.numpy(), weights[bar_set.label[rows]])
    assert found.max() > 5
    assert parts.stages.at(learner, Progress()).step.objective is parts.stages.objective


def test_drawn_targets_have_the_shares_of_the_distribution() -> None:
    shares = torch.tensor([0.0, 0.5, 0.2, 0.0, 0.3, 0.0])
    points = torch.rand(10_000, 1, generator=torch.Generator().manual_seed(0))
    found = drawn(shares.expand(10_000, -1), points)
    assert (found.sum(1) == 1).all()
    torch.testing.assert_close(found.mean(0), shares, atol=0.015, rtol=0)
    assert not found[:, shares == 0].any()


@pytest.mark.parametrize("point", [0.0, 1 - 2**-24])
def test_a_target_drawn_at_either_end_is_a_class_that_has_votes_and_no_votes_stay_none(point: float) -> None:
    ends = torch.tensor([[0.0, 0.6, 0.4, 0.0], [1.0, 0, 0, 0], [0, 0, 0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    thirds = torch.tensor([[0, *[1 / 3] * 3], [*[1 / 7] * 3, 0], [*[0.3] * 3, 0], [0.1, 0.1, 0, 0]])
    targets = torch.cat([ends, thirds])
    found = drawn(targets, torch.full((8, 1), point))
    assert found.sum(1).tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    assert (targets[found > 0] > 0).all()
    columns = found.argmax(1)[[0, 4, 5, 6, 7]].tolist()
    assert columns == ([1, 1, 0, 0, 0] if point == 0 else [2, 3, 2, 2, 1])
