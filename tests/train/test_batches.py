"""Batches: permutations of the seed alone, shared out without remainder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.core.recipe import DataConfig, LossConfig
from mien.data.dataset import Dataset
from mien.data.sampling import Sampling
from mien.train.batches import Batches, load_pictures, vote_targets


def test_an_epoch_shows_every_picture_once_and_each_epoch_in_another_order() -> None:
    batches = Batches(40, 10, seed=3)
    first, second = ([i for b in batches.epoch(e) for i in b.indices.tolist()] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second
    assert first == [i for b in Batches(40, 10, seed=3).epoch(0) for i in b.indices.tolist()]


def test_an_epoch_can_be_entered_in_its_middle() -> None:
    batches = Batches(40, 10, seed=3)
    whole, rest = list(batches.epoch(2)), list(batches.epoch(2, first=2))
    assert [b.step for b in rest] == [2, 3]
    assert np.array_equal(whole[3].indices, rest[1].indices)


def test_processes_share_each_global_batch() -> None:
    one = next(iter(Batches(40, 10, seed=0).epoch(0)))
    parts = [next(iter(Batches(40, 10, seed=0, rank=r, world=2).epoch(0))) for r in (0, 1)]
    shared = np.concatenate([p.indices[p.part] for p in parts])
    assert np.array_equal(shared, one.indices[one.part])
    with pytest.raises(MienError, match="cannot be shared by 3"):
        Batches(40, 10, seed=0, world=3)


def test_soft_targets_drop_single_votes_and_keep_all_others() -> None:
    votes = np.array([[6, 1, 3, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 8, 0]])
    targets = vote_targets(votes, "soft")
    assert targets[0].tolist() == pytest.approx([2 / 3, 0, 1 / 3, 0, 0, 0, 0, 0])
    assert not targets[1].any()


def test_pictures_come_as_one_tensor_with_labels_and_votes(bar_set: Dataset) -> None:
    rows = bar_set.rows("val")
    pictures = load_pictures(bar_set, rows, device=torch.device("cpu"), loss=LossConfig(), with_votes=True)
    assert pictures.images.shape == (40, 1, 24, 24)
    assert pictures.images.dtype == torch.uint8
    assert pictures.votes is not None
    torch.testing.assert_close(pictures.votes.sum(1), torch.ones(40))


def test_a_sampler_makes_epochs_of_its_own_length_that_processes_share_and_a_resume_enters_in_the_middle() -> None:
    labels = np.repeat([0, 1, 2], [30, 6, 4])
    sampling = Sampling.of(labels, DataConfig(sampler="label-shuffling"))
    batches = Batches(40, 10, seed=3, sampling=sampling)
    whole = list(batches.epoch(2))
    assert batches.per_epoch == len(whole) == 9
    shown = np.concatenate([batch.indices for batch in whole])
    assert np.bincount(labels[shown]).tolist() == [30, 30, 30]
    resumed = list(batches.epoch(2, first=5))
    assert [b.indices.tolist() for b in resumed] == [b.indices.tolist() for b in whole[5:]]
    halves = [list(Batches(40, 10, 3, rank, 2, sampling).epoch(2)) for rank in (0, 1)]
    for one, parts in zip(whole, zip(*halves, strict=True), strict=True):
        assert np.concatenate([p.indices[p.part] for p in parts]).tolist() == one.indices.tolist()
    assert not np.array_equal(shown, np.concatenate([b.indices for b in batches.epoch(3)]))


def test_a_single_picture_is_told_so_and_a_batch_that_is_too_large_gets_one_that_fits() -> None:
    with pytest.raises(MienError, match="has 1 picture: a batch needs 2"):
        Batches(1, 2, seed=0)
    with pytest.raises(MienError, match="fewer than one batch of 8") as caught:
        Batches(3, 8, seed=0)
    assert caught.value.hint == "--set train.batch_size=2"
