"""Cutout, Random Erasing, Hide-and-Seek and GridMask as their papers define them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.augment import erase
from mien.augment.erase import Erase, Grid
from mien.augment.offline import Offline
from mien.core.recipe import AugmentConfig

SIDE = (48, 48)


def drawn(config: AugmentConfig, n: int = 4000, *, epoch: int = 0) -> Erase:
    return erase.draw(config, np.random.default_rng(2), n, epoch=epoch, side=SIDE)


def pictures(n: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (n, 1, *SIDE))).float()


def hidden(config: AugmentConfig, n: int = 400, *, epoch: int = 0) -> np.ndarray:
    """Which pixels (n, 48, 48) are hidden: those that differ, in pictures of one value but for two corners."""
    ramp = torch.arange(1.0, 48 * 48 + 1).view(1, 1, *SIDE).expand(n, -1, -1, -1) / 10
    out = erase.apply_(ramp.clone(), drawn(config, n, epoch=epoch), config)
    return (out != ramp)[:, 0].numpy()


class TestCutout:
    """DeVries and Taylor 2017 (arXiv 1708.04552): one square of a fixed size, its centre anywhere in the picture."""

    config = AugmentConfig(erase_pixels=16, erase_probability=1)

    def test_the_centre_is_uniform_over_all_pixels_so_the_border_cuts_squares(self) -> None:
        boxes = drawn(self.config).square
        # A centre c gives rows c − 8 to c + 8; cut squares tell their centre by the edge that is left.
        centre = np.where(boxes[:, 0] > 0, boxes[:, 0] + 8, boxes[:, 2] - 8)
        counts = np.bincount(centre, minlength=48)
        assert len(counts) == 48
        assert counts.min() > 0.5 * len(boxes) / 48
        whole = ((boxes[:, 2] - boxes[:, 0]) == 16) & ((boxes[:, 3] - boxes[:, 1]) == 16)
        assert whole.mean() == pytest.approx((33 / 48) ** 2, abs=0.03)

    def test_a_square_has_the_mean_of_its_picture_and_the_rest_is_untouched(self) -> None:
        params = replace(drawn(self.config, 2), square=np.array([[4, 6, 20, 22], [0, 40, 7, 48]]))
        before = pictures(2)
        out = erase.apply_(before.clone(), params, self.config)
        for i, (top, left, bottom, right) in enumerate(params.square.tolist()):
            assert out[i, 0, top:bottom, left:right].unique().item() == pytest.approx(before[i].mean().item())
            out[i, 0, top:bottom, left:right] = before[i, 0, top:bottom, left:right]
        assert torch.equal(out, before)

    def test_squares_are_drawn_as_often_as_asked(self) -> None:
        boxes = drawn(self.config.model_copy(update={"erase_probability": 0.5})).square
        assert (boxes[:, 2] > boxes[:, 0]).mean() == pytest.approx(0.5, abs=0.03)
        assert (boxes.min(), boxes.max()) == (0, 48)


class TestRandomErasing:
    """Zhong et al. 2017 (arXiv 1708.04896), algorithm 1 with its p = .5, s = .02 to .4, r = .3 to 1/.3."""

    config = AugmentConfig(random_erasing_probability=0.5)

    def test_the_defaults_are_the_papers(self) -> None:
        config = AugmentConfig()
        assert config.random_erasing_area == (0.02, 0.4)
        assert config.random_erasing_aspect == 0.3
        assert config.random_erasing_fill == "noise"

    def test_areas_and_ratios_are_those_of_the_algorithm_run_picture_by_picture(self) -> None:
        boxes = drawn(self.config).box
        assert boxes is not None
        on = boxes[boxes[:, 2] > boxes[:, 0]]
        assert len(on) / len(boxes) == pytest.approx(0.5, abs=0.03)
        height, width = on[:, 2] - on[:, 0], on[:, 3] - on[:, 1]
        expected = np.array([self.one_box(np.random.default_rng([9, i])) for i in range(2000)])
        for ours, theirs in ((height * width, expected[:, 0] * expected[:, 1]), (height / width, expected[:, 2])):
            quantiles = (10, 30, 50, 70, 90)
            np.testing.assert_allclose(np.percentile(ours, quantiles), np.percentile(theirs, quantiles), rtol=0.12)

    @staticmethod
    def one_box(rng: np.random.Generator) -> tuple[float, float, float]:
        """Algorithm 1 as it is printed: height, width and ratio of a box."""
        while True:
            area, ratio = rng.uniform(0.02, 0.4) * 48 * 48, rng.uniform(0.3, 1 / 0.3)
            height, width = math.sqrt(area * ratio), math.sqrt(area / ratio)
            x, y = rng.uniform(0, 48), rng.uniform(0, 48)
            if x + width <= 48 and y + height <= 48:
                return height, width, ratio

    def test_boxes_lie_inside(self) -> None:
        boxes = drawn(self.config).box
        assert boxes is not None
        assert boxes.min() >= 0
        assert boxes.max() <= 48

    def test_the_fill_is_noise_over_the_full_range_or_the_mean(self) -> None:
        params = replace(drawn(self.config, 1), box=np.array([[8, 8, 40, 40]]))
        before = pictures()
        out = erase.apply_(before.clone(), params, self.config)
        inner = out[0, 0, 8:40, 8:40]
        assert inner.mean().item() == pytest.approx(127.5, abs=8)
        assert inner.std().item() == pytest.approx(255 / math.sqrt(12), abs=5)
        out[..., 8:40, 8:40] = before[..., 8:40, 8:40]
        assert torch.equal(out, before)
        mean = erase.apply_(before.clone(), params, self.config.model_copy(update={"random_erasing_fill": "mean"}))
        assert mean[0, 0, 8:40, 8:40].unique().item() == pytest.approx(before.mean().item())


class TestHideAndSeek:
    """Singh and Lee 2017 (arXiv 1704.04232): patches of a regular grid, each hidden with p = .5; the grid is drawn."""

    config = AugmentConfig(hide_probability=0.5)

    def test_a_grid_of_no_patch_14_7_5_or_4_is_drawn_by_even_chances(self) -> None:
        cells = drawn(self.config).cells
        assert cells is not None
        kinds, counts = np.unique(cells, return_counts=True)
        assert kinds.tolist() == [0, 4, 5, 7, 14]
        assert (np.abs(counts / len(cells) - 0.2) < 0.03).all()

    def test_each_patch_is_hidden_whole_with_the_probability_asked(self) -> None:
        params = drawn(self.config, 400)
        assert params.cells is not None
        where = hidden(self.config)
        for number in (0, 4, 5, 7, 14):
            of_grid = where[params.cells == number]
            if number == 0:
                assert not of_grid.any()
                continue
            patch = np.arange(48) * number // 48
            first = np.searchsorted(patch, np.arange(number))
            per_patch = of_grid[:, first[:, None], first]
            assert per_patch.mean() == pytest.approx(0.5, abs=0.05)
            # Every pixel is as its patch; the one pixel whose value is the picture's mean may look as it was.
            assert (of_grid != per_patch[:, patch[:, None], patch]).sum() <= len(of_grid)


class TestGridMask:
    """Chen et al. 2020 (arXiv 2001.04086), section 3, with the authors' settings for ImageNet."""

    config = AugmentConfig(grid_mask_probability=1, grid_mask_rotation=False)

    def test_the_defaults_are_the_authors_in_units_of_the_side(self) -> None:
        config = AugmentConfig()
        assert config.grid_mask_unit == pytest.approx((96 / 224, 1), abs=0.002)
        assert config.grid_mask_keep == 0.6
        assert config.grid_mask_rotation

    def test_the_squares_of_a_grid_are_hidden_and_nothing_else(self) -> None:
        unit, x, y = 12.0, 5.0, 2.0
        grid = Grid(*(np.array([v], np.float32) for v in (unit, x, y, 0)))
        before = pictures()
        out = erase.apply_(before.clone(), replace(drawn(self.config, 1), grid=grid), self.config)
        place = np.arange(48) - 23.5
        down, across = ((place + offset) % unit >= 0.6 * unit for offset in (y, x))
        expected = down[:, None] & across
        assert np.array_equal((out != before)[0, 0].numpy(), expected)
        assert expected.mean() == pytest.approx(0.4**2, abs=0.02)

    def test_the_visible_part_is_one_minus_the_square_of_what_a_unit_hides(self) -> None:
        # Section 3.1: k = 1 − (1 − r)², over all placements of the grid.
        assert 1 - hidden(self.config, 2000).mean() == pytest.approx(1 - 0.4**2, abs=0.01)
        turned = self.config.model_copy(update={"grid_mask_rotation": True})
        assert 1 - hidden(turned, 2000).mean() == pytest.approx(1 - 0.4**2, abs=0.01)

    def test_a_turned_grid_turns_about_the_middle(self) -> None:
        quarter = Grid(*(np.array([v], np.float32) for v in (12, 3, 7, np.pi / 2)))
        straight = replace(quarter, rotation=np.zeros(1, np.float32))
        before = pictures()
        masks = []
        for grid in (straight, quarter):
            out = erase.apply_(before.clone(), replace(drawn(self.config, 1), grid=grid), self.config)
            masks.append((out != before)[0, 0])
        # The border of a unit falls on a pixel's middle in neither, so a quarter turn is exact.
        assert torch.equal(masks[1], masks[0].rot90(-1)) or torch.equal(masks[1], masks[0].rot90(1))

    def test_the_probability_grows_evenly_over_the_ramp(self) -> None:
        ramp = self.config.model_copy(update={"grid_mask_probability": 0.8, "grid_mask_ramp_epochs": 10})
        for epoch, expected in ((0, 0), (5, 0.4), (10, 0.8), (40, 0.8)):
            grid = drawn(ramp, epoch=epoch).grid
            assert grid is not None
            assert (grid.unit > 0).mean() == pytest.approx(expected, abs=0.03)

    def test_copies_written_once_and_for_all_have_the_whole_probability(self) -> None:
        """They are no epochs over which it could grow."""
        config = AugmentConfig(grid_mask_probability=1, grid_mask_ramp_epochs=100)
        white = np.full((50, 24, 24), 200, np.uint8)
        white[:, 0] = 0  # the mean is not white
        changed = Offline(config, seed=0)(white, np.arange(50), 1)
        assert (changed != white).any((1, 2)).mean() > 0.9
