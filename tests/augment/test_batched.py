"""Augmentation: drawn first, applied after, one picture like another."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mien.augment import geometry
from mien.augment.batched import Params, apply, draw, feed
from mien.augment.policy import ID
from mien.core.augmentation import SWITCHES
from mien.core.recipe import AugmentConfig
from mien.models.classifier import centre_crop

# Every change that can be switched on, strong enough to be seen on 24 px.
EVERY: dict[str, AugmentConfig] = {
    "flip": AugmentConfig(flip="random"),
    "rotation_degrees": AugmentConfig(rotation_degrees=15),
    "zoom_fraction": AugmentConfig(zoom_fraction=0.15),
    "shift_fraction": AugmentConfig(shift_fraction=0.1),
    "shear_degrees": AugmentConfig(shear_degrees=20),
    "resized_crop_fraction": AugmentConfig(resized_crop_fraction=0.5, resized_crop_stretch=1 / 3),
    "perspective": AugmentConfig(perspective=0.5),
    "random_crop": AugmentConfig(random_crop=True),
    "watermark_probability": AugmentConfig(watermark_probability=0.6),
    "auto_augment_probability": AugmentConfig(auto_augment_probability=1),
    "rand_augment_operations": AugmentConfig(rand_augment_operations=2),
    "equalise_probability": AugmentConfig(equalise_probability=0.6),
    "gamma": AugmentConfig(gamma=0.5),
    "brightness": AugmentConfig(brightness=0.1),
    "contrast": AugmentConfig(contrast=0.3),
    "posterise_probability": AugmentConfig(posterise_probability=0.6, posterise_bits=3),
    "solarise_probability": AugmentConfig(solarise_probability=0.6),
    "blur_pixels": AugmentConfig(blur_pixels=1.5),
    "sharpness": AugmentConfig(sharpness=0.9),
    "noise": AugmentConfig(noise=0.1),
    "erase_probability": AugmentConfig(erase_pixels=7, erase_probability=0.6),
    "random_erasing_probability": AugmentConfig(random_erasing_probability=0.6),
    "hide_probability": AugmentConfig(hide_probability=0.5),
    "grid_mask_probability": AugmentConfig(grid_mask_probability=0.6),
    "mixup_alpha": AugmentConfig(mixup_alpha=0.4),
    "cutmix_alpha": AugmentConfig(cutmix_alpha=1),
}
ALL = AugmentConfig(**{k: v for config in EVERY.values() for k, v in config.model_dump(exclude_unset=True).items()})
N, SIDE, CROP = 12, 24, 20


def pictures(n: int = N, channels: int = 1, side: int = SIDE) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (n, channels, side, side), dtype=np.uint8))


def drawn(config: AugmentConfig, n: int = N, *, epoch: int = 0, crop: int | None = CROP, seed: int = 2) -> Params:
    return draw(config, np.random.default_rng([seed, 7]), np.arange(n), epoch=epoch, size=(SIDE, SIDE), crop=crop)


def fed(config: AugmentConfig, images: torch.Tensor, part: slice = slice(None), **how: int) -> torch.Tensor:
    params = drawn(config, len(images), **how)
    return feed(images, params, indices=np.arange(len(images)), part=part, config=config, crop=CROP)


def plain(images: torch.Tensor) -> torch.Tensor:
    return images[..., 2:22, 2:22].float()


def same(first: object, second: object) -> bool:
    """Whether two parameters, of any depth, hold the same numbers."""
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    if first is None or second is None:
        return first is second
    return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))  # type: ignore[arg-type]


def test_every_switch_is_tested_here() -> None:
    assert list(EVERY) == list(SWITCHES)
    for key, config in EVERY.items():
        assert config.on == (key,)


def test_a_recipe_without_augmentation_feeds_the_centre_crop_bit_for_bit() -> None:
    assert AugmentConfig().on == ()
    assert torch.equal(fed(AugmentConfig(), pictures()), plain(pictures()))


@pytest.mark.parametrize("key", sorted(set(AugmentConfig.model_fields) - set(SWITCHES)))
def test_a_key_that_is_no_switch_changes_nothing_alone(key: str) -> None:
    other = {
        "padding": "zeros",
        "erase_pixels": 7,
        "random_erasing_fill": "mean",
        "random_erasing_area": (0.1, 0.2),
        "grid_mask_unit": (0.2, 0.3),
        "grid_mask_rotation": False,
        "grid_mask_ramp_epochs": 9,
        "posterise_bits": 2,
    }
    config = AugmentConfig(**{key: other.get(key, 0.25 if key != "rand_augment_magnitude" else 9)})
    assert config != AugmentConfig()
    assert torch.equal(fed(config, pictures()), plain(pictures()))


@pytest.mark.parametrize("key", EVERY)
def test_a_change_is_drawn_for_each_picture_and_can_be_replayed(key: str) -> None:
    config = EVERY[key]
    # The same picture many times: what differs comes from the parameters alone.
    copies = pictures(1).expand(64, -1, -1, -1) if "mix" not in key else pictures(64)
    first = fed(config, copies)
    assert torch.equal(first, fed(config, copies))
    assert not torch.equal(first, fed(config, copies, seed=3))
    different = {picture.numpy().tobytes() for picture in first}
    yes_or_no = ("flip", "equalise_probability", "posterise_probability", "solarise_probability")
    assert len(different) == 2 if key in yes_or_no else len(different) > 20


@pytest.mark.parametrize("key", EVERY)
def test_a_change_leaves_the_draws_of_all_others_as_they_were(key: str) -> None:
    names = {key} | {"mixup_alpha", "cutmix_alpha"} if "alpha" in key else {key}
    without = ALL.model_copy(update={k: AugmentConfig().model_dump()[k] for k in names})
    everything, rest = drawn(ALL), drawn(without)
    changed = {f.name for f in fields(Params) if not same(getattr(everything, f.name), getattr(rest, f.name))}
    assert len(changed) == 1
    family = changed.pop()
    if family in ("geometry", "colour", "filters", "erase"):
        with_it, left = getattr(everything, family), getattr(rest, family)
        parts = [f.name for f in fields(with_it) if not same(getattr(with_it, f.name), getattr(left, f.name))]
        assert len(parts) <= 4
        assert len(parts) < len(fields(with_it))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", [*EVERY, "all"])
def test_parts_of_a_batch_are_fed_what_the_whole_batch_is_fed(key: str, channels: int) -> None:
    config = ALL if key == "all" else EVERY[key]
    images = pictures(channels=channels)
    whole = fed(config, images)
    assert whole.shape == (N, channels, CROP, CROP)
    assert whole.dtype == torch.float32
    for part in (slice(0, 6), slice(6, 12), slice(3, 4)):
        torch.testing.assert_close(fed(config, images, part), whole[part], atol=1e-3, rtol=0)


@pytest.mark.parametrize("key", [*EVERY, "all"])
def test_values_stay_between_0_and_255_and_the_pictures_given_stay_as_they_are(key: str) -> None:
    config = ALL if key == "all" else EVERY[key]
    images = pictures(40)
    before = images.clone()
    out = fed(config, images)
    assert -1e-3 <= out.min() <= out.max() <= 255 + 1e-3
    assert torch.equal(images, before)
    floats = before.float()
    assert torch.equal(fed(config, floats), out)
    assert torch.equal(floats, before.float())


@pytest.mark.parametrize(
    "key",
    [
        *("watermark_probability", "equalise_probability", "posterise_probability", "solarise_probability"),
        *("erase_probability", "random_erasing_probability", "grid_mask_probability"),
    ],
)
def test_a_picture_that_draws_nothing_keeps_every_bit_and_as_many_are_changed_as_asked(key: str) -> None:
    copies = pictures(1).expand(1000, -1, -1, -1)
    out = fed(EVERY[key], copies)
    changed = (out != plain(copies)).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.6, abs=0.05)


def test_in_colour_all_channels_are_moved_and_hidden_alike() -> None:
    images = pictures().expand(-1, 3, -1, -1)
    alike = ALL.model_copy(update={"noise": 0, "random_erasing_fill": "mean"})
    out = fed(alike, images)
    torch.testing.assert_close(out[:, 0], out[:, 2], atol=1e-3, rtol=0)


@pytest.mark.parametrize("key", [*EVERY, "all"])
def test_the_layout_of_the_pictures_in_memory_makes_no_difference(key: str) -> None:
    config = ALL if key == "all" else EVERY[key]
    images = pictures(channels=3)
    permuted = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    torch.testing.assert_close(fed(config, permuted), fed(config, images), atol=1e-3, rtol=0)


def test_alternating_flips_show_each_picture_both_ways_in_two_epochs() -> None:
    config = AugmentConfig(flip="alternate")
    first, second, third = (drawn(config, 500, epoch=e).geometry.flip for e in range(3))
    assert np.array_equal(first, ~second)
    assert np.array_equal(first, third)
    assert first.mean() == pytest.approx(0.5, abs=0.1)


def test_geometry_of_keys_and_of_a_policy_is_one_resampling() -> None:
    """A turn by the policy takes back the turn of the keys: had pixels been resampled twice, they would be blurred."""
    config = AugmentConfig(rotation_degrees=10, rand_augment_operations=1)
    params = drawn(config, 1, crop=None)
    assert params.policy is not None
    turn = replace(params.policy, operation=np.array([[3]]), value=np.array([[-np.deg2rad(10)]], np.float32))
    turned = replace(params.geometry, rotation=np.deg2rad([10]).astype(np.float32))
    out = apply(pictures(1), replace(params, geometry=turned, policy=turn), config)
    torch.testing.assert_close(out, pictures(1).float(), atol=5e-3, rtol=0)


@pytest.mark.parametrize("crop", [20, 21])
@pytest.mark.parametrize("keys", [{"rotation_degrees": 1e-6}, {"rand_augment_operations": 1}])
def test_what_hardly_moves_is_fed_as_evaluation_sees_it(crop: int, keys: dict[str, float]) -> None:
    """A policy's turn by nothing goes through the resampling, too."""
    config = AugmentConfig(**keys)
    params = drawn(config, 8, crop=crop)
    if params.policy is not None:
        still = replace(params.policy, operation=np.full((8, 1), ID["Rotate"]), value=np.full((8, 1), np.float32(1e-6)))
        params = replace(params, policy=still)
    out = apply(pictures(8), params, config, crop=crop)
    torch.testing.assert_close(out, centre_crop(pictures(8), crop).float(), atol=5e-3, rtol=0)


def test_a_tilted_picture_stays_in_front_whatever_a_policy_does_to_it() -> None:
    config = AugmentConfig(perspective=0.99, rand_augment_operations=8, rand_augment_magnitude=10)
    params, side = drawn(config, 2000, crop=None), (SIDE, SIDE)
    assert params.policy is not None
    matrices = geometry.mapping(params.geometry, side, side, further=params.policy.geometry(side))
    corners = np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)], np.float32).T
    assert (matrices[:, 2] @ corners).min() > 0
