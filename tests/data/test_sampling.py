"""Samplers show each class as often as they promise, to the picture."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.recipe import DataConfig
from mien.data.sampling import Sampling, effective_number, quotas

# The training counts of FER2013: angry, disgust, fear, happy, sad, surprise, neutral.
FER2013_COUNTS = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965])


def labels_of(counts: list[int]) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def test_quotas_of_fer2013_are_those_of_their_sources() -> None:
    total = FER2013_COUNTS.sum()
    assert quotas(FER2013_COUNTS, "shuffle").tolist() == FER2013_COUNTS.tolist()
    assert quotas(FER2013_COUNTS, "label-shuffling").tolist() == [7215] * 7
    assert sorted(quotas(FER2013_COUNTS, "class-balanced").tolist()) == [4101] * 5 + [4102] * 2
    roots = np.sqrt(FER2013_COUNTS) / np.sqrt(FER2013_COUNTS).sum() * total
    assert np.abs(quotas(FER2013_COUNTS, "square-root") - roots).max() < 1
    for name in ("class-balanced", "square-root", "effective-number"):
        assert quotas(FER2013_COUNTS, name).sum() == total


def test_the_effective_number_runs_from_one_to_the_count() -> None:
    counts = np.array([1, 10, 1000])
    assert effective_number(counts, 0.0).tolist() == [1, 1, 1]
    assert effective_number(counts, 0.5) == pytest.approx([1, 2 * (1 - 0.5**10), 2])
    assert effective_number(counts, 1 - 1e-9) == pytest.approx(counts, rel=1e-5)


def test_effective_number_lies_between_shuffle_and_class_balanced() -> None:
    assert quotas(FER2013_COUNTS, "effective-number", beta=0).tolist() == FER2013_COUNTS.tolist()
    disgust = [quotas(FER2013_COUNTS, "effective-number", beta=beta)[1] for beta in (0.9, 0.999, 0.9999, 1 - 1e-9)]
    assert disgust == sorted(disgust)
    assert disgust[0] == 436
    assert disgust[-1] in (4101, 4102)


def test_no_class_is_left_out_however_small() -> None:
    assert quotas(np.array([1, 10_000_000]), "square-root").tolist() == [3161, 9996840]
    assert quotas(np.array([1, 1_000_000]), "effective-number", beta=0).tolist() == [1, 1_000_000]


@pytest.mark.parametrize("name", ["label-shuffling", "class-balanced", "square-root", "effective-number"])
@pytest.mark.parametrize("counts", [[40, 3, 17], [5, 5], [1, 100], [7]])
def test_an_epoch_meets_its_quotas_and_no_picture_is_shown_twice_more_than_another(
    name: str, counts: list[int]
) -> None:
    labels = labels_of(counts)
    sampling = Sampling.of(labels, DataConfig(sampler=name, effective_number_beta=0.95))
    order = sampling.order(np.random.default_rng(1))
    assert len(order) == sampling.length
    wanted = quotas(np.array(counts), name, beta=0.95)
    assert np.bincount(labels[order], minlength=len(counts)).tolist() == wanted.tolist()
    shown = np.bincount(order, minlength=len(labels))
    for label in range(len(counts)):
        assert np.ptp(shown[labels == label]) <= 1


def test_label_shuffling_shows_every_picture_and_gives_the_surplus_to_others_each_epoch() -> None:
    labels = labels_of([10, 7])
    sampling = Sampling.of(labels, DataConfig(sampler="label-shuffling"))
    twice: Counter[int] = Counter()
    for epoch in range(200):
        shown = np.bincount(sampling.order(np.random.default_rng(epoch)), minlength=17)
        assert shown.min() == 1
        twice.update(np.flatnonzero(shown == 2).tolist())
    assert set(twice) == set(np.flatnonzero(labels == 1).tolist())
    # Three of the seven are shown twice each epoch: 200 × 3 / 7 ≈ 86 times each, give or take 7.
    assert all(60 < times < 115 for times in twice.values())


def test_the_order_depends_on_the_generator_alone_and_mixes_the_classes() -> None:
    sampling = Sampling.of(labels_of([50, 50]), DataConfig(sampler="class-balanced"))
    first, again, other = (sampling.order(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 10 < (labels_of([50, 50])[first[:50]] == 0).sum() < 40


def test_shuffle_is_the_plain_permutation() -> None:
    sampling = Sampling.of(labels_of([9, 4]), DataConfig())
    assert sampling.order(np.random.default_rng(5)).tolist() == np.random.default_rng(5).permutation(13).tolist()


def test_pictures_without_a_label_are_shown_once() -> None:
    labels = np.array([0, 0, 0, 0, 1, -1, -1])
    sampling = Sampling.of(labels, DataConfig(sampler="label-shuffling"))
    shown = np.bincount(sampling.order(np.random.default_rng(0)), minlength=7)
    assert shown.tolist() == [1, 1, 1, 1, 4, 1, 1]


def test_a_sampler_without_labels_to_go_by_is_refused() -> None:
    with pytest.raises(MienError, match=r"data\.sampler = 'square-root' needs labels"):
        Sampling.of(np.full(5, -1), DataConfig(sampler="square-root"))
    with pytest.raises(MienError, match="did you mean 'shuffle'"):
        quotas(np.array([1, 2]), "shufle")
