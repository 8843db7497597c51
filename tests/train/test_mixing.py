"""Mixup and CutMix in training: labels follow the pictures; without them nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.train.batches import Batch, load_pictures
from mien.train.inputs import make_inputs
from mien.train.machine import Machine
from mien.train.step import Step

N = 40


def tiny(*settings: str) -> Recipe:
    fixed = ["train.device=cpu", "train.precision=fp32", f"train.batch_size={N}", "loss.vote_scheme=probability"]
    return recipes.read("emotion-net", ["data.votes=true", "loss.label_smoothing=0.1", *fixed, *settings])


def batch(part: slice = slice(0, N)) -> Batch:
    return Batch(3, 1, np.arange(N, 2 * N), part, position=7, time=3.5)


def step(data: Dataset, recipe: Recipe) -> Step:
    pictures = load_pictures(data, data.rows("train"), device=torch.device("cpu"), loss=recipe.loss, with_votes=True)
    return Step(recipe, pictures, Machine(recipe.train))


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (N, 15)).astype(np.float32))
    return values[:, :7], values[:, 7:]


@pytest.mark.parametrize("key", ["mixup_alpha", "cutmix_alpha"])
def test_the_loss_of_a_mixed_picture_is_that_of_its_two_labels_by_their_shares(bar_set: Dataset, key: str) -> None:
    mixed, plain = step(bar_set, tiny(f"augment.{key}=1")), step(bar_set, tiny())
    fed = make_inputs(mixed.pictures.images, batch(), mixed.recipe)
    assert fed.mixing is not None
    got = mixed._loss(logits(), fed, batch())
    points = plain._points(batch())
    for i in range(N):
        partner, share = int(fed.mixing.partner[i]), float(fed.mixing.weight[i])
        one = tuple(x[i : i + 1] for x in logits())
        losses = [
            plain.objective(one, torch.tensor([N + who]), points[i : i + 1] if points is not None else None).item()
            for who in (i, partner)
        ]
        assert got[i].item() == pytest.approx(share * losses[0] + (1 - share) * losses[1], rel=1e-4)
    assert ((fed.mixing.weight > 0.05) & (fed.mixing.weight < 0.95)).sum() > N / 2


def test_parts_of_a_batch_are_fed_and_cost_what_they_do_in_the_whole(bar_set: Dataset) -> None:
    mixed = step(bar_set, tiny("augment.mixup_alpha=1", "augment.cutmix_alpha=1", "augment.rotation_degrees=20"))
    whole = make_inputs(mixed.pictures.images, batch(), mixed.recipe)
    loss = mixed._loss(logits(), whole, batch())
    for part in (slice(0, 20), slice(20, 40)):
        half = make_inputs(mixed.pictures.images, batch(part), mixed.recipe)
        torch.testing.assert_close(half.pictures, whole.pictures[part], atol=1e-3, rtol=0)
        own = tuple(x[part] for x in logits())
        torch.testing.assert_close(mixed._loss(own, half, batch(part)), loss[part])


def test_without_mixing_the_loss_is_the_objective_bit_for_bit(bar_set: Dataset) -> None:
    plain = step(bar_set, tiny("augment.mix_probability=0.5"))
    fed = make_inputs(plain.pictures.images, batch(), plain.recipe)
    assert fed.mixing is None
    expected = plain.objective(logits(), torch.arange(N, 2 * N), plain._points(batch()))
    assert torch.equal(plain._loss(logits(), fed, batch()), expected)


def test_a_phase_resizes_what_is_augmented(bar_set: Dataset) -> None:
    recipe = tiny("augment.mixup_alpha=1")
    fed = make_inputs(step(bar_set, recipe).pictures.images, batch(), recipe, size=16)
    assert fed.pictures.shape == (N, 1, 16, 16)
    assert fed.pictures.is_contiguous(memory_format=torch.channels_last)
