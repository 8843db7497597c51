"""Test-time augmentation: which views there are, and what they look like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.core.errors import MienError
from mien.core.spec import ModelSpec
from mien.evaluate import tta
from mien.evaluate.tta import Variant
from mien.models.classifier import centre_crop

batches = arrays(np.uint8, st.sampled_from([(2, 7, 9), (1, 6, 6), (2, 5, 8, 3)]))
views = st.builds(Variant, st.booleans(), st.integers(-3, 3), st.integers(-3, 3))


def test_there_are_one_two_and_ten_views(spec_of: Callable[..., ModelSpec]) -> None:
    counts = [len(set(tta.variants(name, spec_of(side=48, crop=44)))) for name in tta.NAMES]
    assert counts == [1, 2, 10]
    assert tta.variants("ten-crop", spec_of()) == tta.variants("flip-shift", spec_of())
    assert all(tta.variants(name, spec_of())[0] == Variant() for name in tta.NAMES)


@pytest.mark.parametrize(("side", "crop", "shift"), [(48, 44, 2), (48, 40, 4), (48, 48, 2), (48, None, 2), (64, 60, 2)])
def test_shifts_follow_the_crop(spec_of: Callable[..., ModelSpec], side: int, crop: int | None, shift: int) -> None:
    seen = {(v.down, v.right) for v in tta.variants("flip-shift", spec_of(side=side, crop=crop))}
    assert seen == {(0, 0), (shift, shift), (shift, -shift), (-shift, shift), (-shift, -shift)}


@pytest.mark.parametrize(("crop", "views"), [(44, 10), (45, 10), (47, 8)])
def test_the_centre_crops_of_shifted_pictures_are_the_corner_crops(
    spec_of: Callable[..., ModelSpec], crop: int, views: int
) -> None:
    """Of an odd rest as well, of a single pixel too, where the centre crop is one of the corners."""
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    rest, centre = 48 - crop, (48 - crop) // 2
    places = [(centre, centre), *((y, x) for y in (0, rest) for x in (0, rest))]
    both = (images, images[:, :, ::-1])
    wanted = [side[:, y : y + crop, x : x + crop].tobytes() for side in both for y, x in places]
    shifted = [tta.apply(images, v) for v in tta.variants("ten-crop", spec_of(side=48, crop=crop))]
    assert sorted(centre_crop(torch.tensor(s), crop).numpy().tobytes() for s in shifted) == sorted(wanted)
    assert len(set(wanted)) == views


@given(images=batches, view=views)
def test_a_view_takes_every_pixel_from_where_it_says(images: np.ndarray, view: Variant) -> None:
    height, width = images.shape[1:3]
    source = images[:, :, ::-1] if view.flip else images
    seen = tta.apply(images, view)
    for y in range(height):
        for x in range(width):
            from_y, from_x = np.clip(y - view.down, 0, height - 1), np.clip(x - view.right, 0, width - 1)
            assert np.array_equal(seen[:, y, x], source[:, from_y, from_x])


@given(images=batches)
def test_no_change_is_no_copy_and_two_flips_are_none(images: np.ndarray) -> None:
    assert tta.apply(images, Variant()) is images
    flip = Variant(flip=True)
    assert np.array_equal(tta.apply(tta.apply(images, flip), flip), images)


@given(images=batches, view=views)
def test_pictures_do_not_mix(images: np.ndarray, view: Variant) -> None:
    alone = np.concatenate([tta.apply(images[i : i + 1], view) for i in range(len(images))])
    assert np.array_equal(tta.apply(images, view), alone)


@given(images=batches)
def test_a_symmetric_picture_equals_its_mirror_image(images: np.ndarray) -> None:
    symmetric = np.minimum(images, images[:, :, ::-1])
    assert np.array_equal(tta.apply(symmetric, Variant(flip=True)), symmetric)


def test_an_unknown_name_gets_the_nearest(spec_of: Callable[..., ModelSpec]) -> None:
    with pytest.raises(MienError, match="flip-shift"):
        tta.variants("flip-shfit", spec_of())
