"""Mixup and CutMix as their papers define them, each picture with a partner and a share of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mien.augment import mix
from mien.augment.mix import Mixing
from mien.core.recipe import AugmentConfig

SIDE = (24, 32)


def drawn(n: int = 4000, **keys: float) -> Mixing:
    mixing = mix.draw(AugmentConfig(**keys), np.random.default_rng(2), n, SIDE)
    assert mixing is not None
    return mixing


def pictures(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (n, 3, *SIDE))).float()


def test_nothing_is_mixed_unless_asked() -> None:
    assert mix.draw(AugmentConfig(), np.random.default_rng(2), 4, SIDE) is None


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixups_shares_are_beta_distributed_and_differ_within_a_batch(alpha: float) -> None:
    mixing = drawn(mixup_alpha=alpha)
    assert stats.kstest(mixing.weight.astype(np.float64), stats.beta(alpha, alpha).cdf).pvalue > 0.001
    assert np.array_equal(mixing.blend, mixing.weight)
    assert not mixing.box.any()


def test_mixup_is_the_weighted_sum_of_two_pictures() -> None:
    mixing, images = drawn(16, mixup_alpha=1), pictures(16)
    out = mix.apply(images, mixing)
    for i, (partner, share) in enumerate(zip(mixing.partner, mixing.weight, strict=True)):
        expected = share * images[i] + (1 - share) * images[partner]
        torch.testing.assert_close(out[i], expected, atol=1e-3, rtol=0)


def test_cutmixs_box_has_the_sides_of_equation_2_and_its_centre_anywhere() -> None:
    mixing = drawn(100_000, cutmix_alpha=1)
    top, left, bottom, right = mixing.box.T
    inside = (top > 0) & (left > 0) & (bottom < SIDE[0]) & (right < SIDE[1])
    height, width = (bottom - top)[inside], (right - left)[inside]
    # r_h / H = r_w / W = √(1 − λ), in whole pixels.
    assert np.abs(height / SIDE[0] - width / SIDE[1]).max() < 1 / SIDE[0] + 1e-6
    # λ ~ Beta(1, 1) makes (r_h / H)² uniform; by a simulation 8.0 % of the boxes, border and all, are below a quarter.
    assert np.mean(bottom == top) == pytest.approx(1 / SIDE[0] ** 2, abs=0.0005)
    assert np.mean(bottom - top < SIDE[0] / 4) == pytest.approx(0.080, abs=0.003)
    middle = (top + bottom)[(bottom - top == 10) & inside] // 2
    counts = np.bincount(middle, minlength=SIDE[0])[6:-6]
    assert np.abs(counts / counts.mean() - 1).max() < 0.25


def test_cutmixs_label_share_is_that_of_the_pixels_that_stay() -> None:
    mixing, images = drawn(64, cutmix_alpha=1), pictures(64)
    out = mix.apply(images, mixing)
    for i, (partner, (top, left, bottom, right)) in enumerate(zip(mixing.partner, mixing.box, strict=True)):
        expected = images[i].clone()
        expected[:, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
        assert torch.equal(out[i], expected)
        stays = 1 - (bottom - top) * (right - left) / (SIDE[0] * SIDE[1])
        assert mixing.weight[i] == pytest.approx(stays)
    assert (mixing.blend == 1).all()


def test_with_both_on_half_of_the_pictures_get_one_and_half_the_other() -> None:
    mixing = drawn(mixup_alpha=1, cutmix_alpha=1)
    assert (mixing.blend < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert not mixing.box[mixing.blend < 1].any()


def test_a_picture_that_is_not_mixed_keeps_every_bit() -> None:
    mixing, images = drawn(400, mixup_alpha=1, cutmix_alpha=1, mix_probability=0.3), pictures(400)
    alone = mixing.partner == np.arange(400)
    assert alone.mean() == pytest.approx(0.7, abs=0.08)
    out = mix.apply(images, mixing)
    assert torch.equal(out[alone], images[alone])
    assert (mixing.weight[alone] == 1).all()
    assert (mixing.blend[alone] == 1).all()
    assert not mixing.box[alone].any()


def test_a_part_prepares_its_own_pictures_and_only_the_partners_it_lacks() -> None:
    mixing = drawn(40, mixup_alpha=1)
    part = slice(10, 30)
    needed = mixing.needed(part)
    assert needed[:20].tolist() == list(range(10, 30))
    assert len(set(needed.tolist())) == len(needed)
    assert set(needed[20:].tolist()) == set(mixing.partner[part].tolist()) - set(range(10, 30))
    within = mixing.within(part)
    assert np.array_equal(needed[within.partner], mixing.partner[part])
    assert mixing.needed(slice(None)).tolist() == list(range(40))
