"""Brightness, contrast and tone curves: against their formulas and against Pillow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from mien.augment import colour
from mien.core.recipe import AugmentConfig


def pictures(n: int = 6) -> torch.Tensor:
    """Pictures of different ranges, none of them flat: (n, 1, 24, 24) of whole levels, float."""
    rng = np.random.default_rng(1)
    spans = rng.integers(30, 120, (n, 1, 1, 1))
    return torch.from_numpy((rng.normal(120, spans / 3, (n, 1, 24, 24)).clip(0, 255)).astype(np.uint8)).float()


def drawn(config: AugmentConfig, n: int = 6) -> colour.Colour:
    return colour.draw(config, np.random.default_rng(2), n)


def pil(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(picture[0].numpy().astype(np.uint8))


def test_contrast_turns_around_the_mean_and_brightness_adds() -> None:
    flat = torch.full((1, 1, 24, 24), 100.0)
    flat[..., :12] = 140
    config = AugmentConfig(contrast=0.5, brightness=0.1)
    none, both = np.zeros(1, np.float32), drawn(config, 1)
    stretched = colour.apply_(flat.clone(), replace(both, contrast=none + 1.5, brightness=none), config)
    assert stretched.unique().tolist() == [90, 150]
    lighter = colour.apply_(flat.clone(), replace(both, contrast=none + 1, brightness=none + np.float32(0.1)), config)
    assert lighter.unique().tolist() == pytest.approx([125.5, 165.5])


def test_gamma_keeps_black_and_white_and_follows_the_power() -> None:
    config = AugmentConfig(gamma=1)
    params = replace(drawn(config, 2), gamma=np.array([2, 0.5], np.float32))
    ramp = torch.tensor([0.0, 63.75, 255.0]).expand(2, 1, 1, 3)
    out = colour.apply_(ramp.clone(), params, config)
    assert out[0].flatten().tolist() == pytest.approx([0, 63.75 / 4, 255])
    assert out[1].flatten().tolist() == pytest.approx([0, 127.5, 255])


def test_gamma_darkens_as_often_as_it_lightens() -> None:
    exponents = drawn(AugmentConfig(gamma=1), 4000).gamma
    assert exponents is not None
    assert (exponents.min(), exponents.max()) == pytest.approx((0.5, 2), rel=0.01)
    assert (exponents > 1).mean() == pytest.approx(0.5, abs=0.03)


def test_equalisation_is_pillows() -> None:
    expected = np.stack([np.asarray(ImageOps.equalize(pil(p)))[None] for p in pictures()])
    assert np.array_equal(colour.equalise(pictures()).numpy(), expected)


@pytest.mark.parametrize("levels", [[7], [0, 255], [10, 11]])
def test_equalisation_of_very_few_levels_is_pillows(levels: list[int]) -> None:
    picture = torch.tensor(levels).repeat(24 * 24 // len(levels) + 1)[: 24 * 24].view(1, 1, 24, 24).float()
    expected = np.asarray(ImageOps.equalize(pil(picture[0])))
    assert np.array_equal(colour.equalise(picture)[0, 0].numpy(), expected)


@pytest.mark.parametrize("bits", [1, 4, 7])
def test_posterising_keeps_the_highest_bits_as_pillow(bits: int) -> None:
    config = AugmentConfig(posterise_probability=1, posterise_bits=bits)
    out = colour.apply_(pictures(), drawn(config), config)
    expected = np.stack([np.asarray(ImageOps.posterize(pil(p), bits))[None] for p in pictures()])
    assert np.array_equal(out.numpy(), expected)


def test_solarising_inverts_from_the_threshold_on_as_pillow() -> None:
    config = AugmentConfig(solarise_probability=1, solarise_threshold=128 / 255)
    out = colour.apply_(pictures(), drawn(config), config)
    expected = np.stack([np.asarray(ImageOps.solarize(pil(p), 128))[None] for p in pictures()])
    assert np.array_equal(out.numpy(), expected)
