"""Augmentation: drawn first, applied after, one picture like another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.augment.batched import Params, apply, draw
from mien.core.recipe import AugmentConfig

ALL = AugmentConfig(
    flip="random",
    rotation_degrees=15,
    zoom_fraction=0.15,
    shift_fraction=0.1,
    brightness=0.1,
    contrast=0.3,
    erase_pixels=7,
    erase_probability=0.5,
)


def pictures(n: int = 6, side: int = 24) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (n, 1, side, side), dtype=np.uint8))


def drawn(config: AugmentConfig, n: int = 6, *, epoch: int = 0, crop: int | None = None) -> Params:
    return draw(config, np.random.default_rng(2), np.arange(n), epoch=epoch, size=(24, 24), crop=crop)


def only(n: int = 1, **changes: object) -> Params:
    """Parameters that change nothing but what is named."""
    return replace(drawn(AugmentConfig(), n), **{k: np.full(n, v) for k, v in changes.items()})


def test_the_same_generator_draws_the_same_changes() -> None:
    first, second = (apply(pictures(), drawn(ALL), ALL) for _ in range(2))
    assert torch.equal(first, second)


def test_a_part_of_a_batch_gets_what_it_would_get_in_the_whole() -> None:
    params = drawn(ALL)
    whole = apply(pictures(), params, ALL)
    part = apply(pictures()[2:4], params[slice(2, 4)], ALL)
    torch.testing.assert_close(part, whole[2:4])


def test_every_picture_draws_its_own_parameters() -> None:
    params = drawn(ALL, 64)
    for values in (params.rotation, params.zoom, params.shift_x, params.contrast, params.brightness):
        assert len(np.unique(values)) == 64


def test_parameters_fill_their_range_and_stay_in_it() -> None:
    params = drawn(ALL, 4000)
    assert np.abs(np.rad2deg(params.rotation)).max() == pytest.approx(15, abs=0.05)
    assert (params.zoom.min(), params.zoom.max()) == pytest.approx((0.85, 1.15), abs=1e-3)
    assert np.abs(params.shift_x).max() == pytest.approx(0.1, abs=1e-3)
    assert params.flip.mean() == pytest.approx(0.5, abs=0.03)


def test_nothing_switched_on_leaves_every_pixel_as_it_is() -> None:
    assert torch.equal(apply(pictures(), drawn(AugmentConfig()), AugmentConfig()), pictures().float())


def test_without_augmentation_the_crop_is_the_centre() -> None:
    out = apply(pictures(), drawn(AugmentConfig(), crop=20), AugmentConfig(), crop=20)
    assert torch.equal(out, pictures()[..., 2:22, 2:22].float())


def test_resampling_by_nothing_keeps_the_picture() -> None:
    config = AugmentConfig(rotation_degrees=15)
    out = apply(pictures(1), only(rotation=np.float32(0)), config)
    torch.testing.assert_close(out, pictures(1).float(), atol=2e-3, rtol=0)


def test_flip_mirrors_left_and_right_in_both_paths() -> None:
    params = only(flip=True)
    mirrored = pictures(1).flip(-1).float()
    assert torch.equal(apply(pictures(1), params, AugmentConfig()), mirrored)
    torch.testing.assert_close(
        apply(pictures(1), params, AugmentConfig(rotation_degrees=1)), mirrored, atol=2e-3, rtol=0
    )


def test_a_shift_moves_the_content_right_and_down() -> None:
    params = only(shift_x=np.float32(3 / 24), shift_y=np.float32(2 / 24))
    out = apply(pictures(1), params, AugmentConfig(shift_fraction=0.2))
    torch.testing.assert_close(out[..., 2:, 3:], pictures(1)[..., :-2, :-3].float(), atol=3e-3, rtol=0)


def test_a_positive_rotation_turns_anticlockwise() -> None:
    out = apply(pictures(1), only(rotation=np.float32(np.pi / 2)), AugmentConfig(rotation_degrees=90))
    torch.testing.assert_close(out, pictures(1).rot90(1, (2, 3)).float(), atol=5e-3, rtol=0)


def test_zoom_enlarges_around_the_centre() -> None:
    small = torch.zeros(1, 1, 24, 24, dtype=torch.uint8)
    small[..., 10:14, 10:14] = 200
    out = apply(small, only(zoom=np.float32(2)), AugmentConfig(zoom_fraction=0.5))
    assert out[0, 0, 9:15, 9:15].min() == pytest.approx(200, abs=1)
    assert out.sum().item() == pytest.approx(4 * small.float().sum().item(), rel=0.02)


def test_alternating_flips_show_each_picture_both_ways_in_two_epochs() -> None:
    config = AugmentConfig(flip="alternate")
    first, second, third = (drawn(config, 500, epoch=e).flip for e in range(3))
    assert np.array_equal(first, ~second)
    assert np.array_equal(first, third)
    assert first.mean() == pytest.approx(0.5, abs=0.1)


def test_contrast_turns_around_the_mean_and_brightness_adds() -> None:
    flat = torch.full((1, 1, 24, 24), 100, dtype=torch.uint8)
    flat[..., :12] = 140
    stretched = apply(flat, only(contrast=np.float32(1.5)), AugmentConfig(contrast=0.5))
    assert stretched.unique().tolist() == [90, 150]
    lighter = apply(flat, only(brightness=np.float32(0.1)), AugmentConfig(brightness=0.1))
    assert lighter.unique().tolist() == pytest.approx([125.5, 165.5])


def test_values_stay_between_0_and_255() -> None:
    config = AugmentConfig(contrast=1, brightness=1)
    out = apply(pictures(32), drawn(config, 32), config)
    assert 0 <= out.min() <= out.max() <= 255


def test_an_erased_square_has_the_mean_of_its_picture_and_the_rest_is_untouched() -> None:
    config = AugmentConfig(erase_pixels=8, erase_probability=1)
    params = replace(drawn(config, 1), erase=np.array([[4, 6, 12, 14]]))
    out, before = apply(pictures(1), params, config), pictures(1).float()
    assert out[0, 0, 4:12, 6:14].unique().item() == pytest.approx(before.mean().item())
    out[0, 0, 4:12, 6:14] = before[0, 0, 4:12, 6:14]
    assert torch.equal(out, before)


def test_squares_are_erased_as_often_and_as_large_as_asked() -> None:
    boxes = drawn(ALL, 4000).erase
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (height > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert height.max() == width.max() == 7
    assert boxes.min() >= 0
    assert boxes.max() <= 24


def test_random_crops_reach_every_corner() -> None:
    config = AugmentConfig(random_crop=True)
    params = drawn(config, 400, crop=20)
    assert set(params.crop_x) == set(params.crop_y) == {-2, -1, 0, 1, 2}
    out = apply(pictures(400), params, config, crop=20)
    top, left = 2 + params.crop_y[7], 2 + params.crop_x[7]
    assert torch.equal(out[7], pictures(400)[7, :, top : top + 20, left : left + 20].float())


def test_colour_pictures_change_alike_in_all_channels() -> None:
    colour = pictures().expand(-1, 3, -1, -1)
    out = apply(colour, drawn(ALL), ALL)
    assert torch.equal(out[:, 0], out[:, 2])
