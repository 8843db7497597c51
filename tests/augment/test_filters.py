"""Blur, sharpness and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from mien.augment import filters, noise
from mien.augment.params import column
from mien.core.recipe import AugmentConfig


def pictures(n: int = 4, side: tuple[int, int] = (24, 30)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (n, 1, *side))).float()


def test_blur_is_a_gaussian_of_each_pictures_own_width() -> None:
    sigma = np.array([0.5, 1, 1.5, 2], np.float32)
    out = filters.blur(pictures(), sigma)
    for picture, blurred, width in zip(pictures(), out, sigma, strict=True):
        expected = gaussian_filter(picture[0].numpy(), width, truncate=6)
        # Scipy mirrors the picture at its border, so compare farther inside.
        assert np.abs(blurred[0].numpy() - expected)[11:-11, 11:-11].max() < 0.01


def test_blur_keeps_an_even_picture_even_up_to_the_border() -> None:
    even = torch.full((2, 3, 9, 12), 80.0)
    torch.testing.assert_close(filters.blur(even, np.array([0.7, 9], np.float32)), even)


def test_no_blur_keeps_every_bit() -> None:
    assert torch.equal(filters.blur(pictures(), np.zeros(4, np.float32)), pictures())


@pytest.mark.parametrize("factor", [0, 0.4, 1, 1.9])
def test_sharpness_is_pillows(factor: float) -> None:
    out = filters.sharpen(pictures(), column(np.full(4, factor), pictures()))
    for picture, changed in zip(pictures(), out, strict=True):
        expected = ImageEnhance.Sharpness(Image.fromarray(picture[0].numpy().astype(np.uint8))).enhance(factor)
        assert np.abs(changed[0].numpy() - np.asarray(expected)).max() <= 1.5  # Pillow cuts fractions twice


def test_a_sharpness_of_1_keeps_every_bit() -> None:
    assert torch.equal(filters.sharpen(pictures(), torch.ones(4, 1, 1, 1)), pictures())


def test_a_factor_of_sharpness_is_never_negative() -> None:
    factor = filters.draw(AugmentConfig(sharpness=3), np.random.default_rng(2), 1000).sharpness
    assert factor is not None
    assert factor.min() == 0
    assert factor.max() == pytest.approx(4, abs=0.05)


def test_noise_has_the_deviation_drawn_and_differs_from_pixel_to_pixel_and_picture_to_picture() -> None:
    start = noise.places(np.random.default_rng(0), 64)
    values = noise.normal(start, torch.zeros(64, 3, 40, 40))
    assert values.mean().item() == pytest.approx(0, abs=0.01)
    assert values.std().item() == pytest.approx(1, abs=0.01)
    flat = values.flatten(1).numpy()
    assert np.abs(np.corrcoef(flat) - np.eye(64)).max() < 0.1
    pixels = values[:, 0].flatten().numpy()
    assert abs(np.corrcoef(pixels[:-1], pixels[1:])[0, 1]) < 0.01


def test_noise_is_drawn_up_to_the_recipes_strength() -> None:
    params = filters.draw(AugmentConfig(noise=0.1), np.random.default_rng(0), 2000)
    assert params.noise is not None
    assert (params.noise.min(), params.noise.max()) == pytest.approx((0, 0.1), abs=1e-3)
    grey = torch.full((2000, 1, 24, 24), 127.5)
    spread = filters.apply(grey, params).std((1, 2, 3)).numpy()
    np.testing.assert_allclose(spread, 255 * params.noise, rtol=0.15)
