"""Watermarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.augment import overlay
from mien.core.recipe import AugmentConfig

CONFIG = AugmentConfig(watermark_probability=1)


def word(text: str, **values: object) -> overlay.Overlay:
    """One word, level, in the middle, white and opaque."""
    params = overlay.draw(CONFIG, np.random.default_rng(0), 1)
    assert params is not None
    letters = np.full((1, overlay.LONGEST), 26)
    letters[0, : len(text)] = [ord(c) - ord("A") for c in text]
    zero, yes = np.zeros(1, np.float32), np.ones(1, np.bool_)
    level = replace(params, letters=letters, rotation=zero, x=zero, y=zero, opacity=zero + 1, white=yes, repeated=~yes)
    # 7 px a letter in a picture of 48: every point is a pixel.
    return replace(level, **{"height": zero + np.float32(7 / 48), **values})


def written(params: overlay.Overlay, side: int = 48) -> np.ndarray:
    return overlay.apply(torch.zeros(1, 1, side, side), params)[0, 0].numpy() / 255


def test_letters_are_readable() -> None:
    drawn = (written(word("LT")) > 0.5).astype(int)
    rows, columns = np.nonzero(drawn)
    box = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert ["".join(" #"[v] for v in row) for row in box] == [
        "#     #####",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#       #  ",
        "#####   #  ",
    ]


def test_all_26_letters_differ_and_fill_their_height() -> None:
    shapes = [written(word(chr(ord("A") + i))) for i in range(26)]
    assert len({shape.round(2).tobytes() for shape in shapes}) == 26
    for shape in shapes:
        assert (shape.max(1) > 0.5).sum() == 7


def test_ink_is_laid_over_by_its_opacity_white_or_black() -> None:
    grey = torch.full((1, 1, 48, 48), 100.0)
    half = np.array([0.5], np.float32)
    assert overlay.apply(grey, word("H", opacity=half)).max().item() == pytest.approx(100 + 0.5 * 155, abs=1)
    black = word("H", opacity=half, white=np.zeros(1, np.bool_))
    assert overlay.apply(grey, black).min().item() == pytest.approx(50, abs=1)


def test_a_repeated_word_covers_the_picture_at_any_angle_and_a_single_one_does_not() -> None:
    for angle in (0, np.pi / 4, -np.pi / 4):
        turned = np.array([angle], np.float32)
        all_over = written(word("MIEN", repeated=np.ones(1, np.bool_), rotation=turned, height=np.float32([0.06])))
        once = written(word("MIEN", rotation=turned, height=np.float32([0.06])))
        quarters = [all_over[:24, :24], all_over[:24, 24:], all_over[24:, :24], all_over[24:, 24:]]
        assert min(q.mean() for q in quarters) > 0.04
        assert once.sum() < 0.35 * all_over.sum()


def test_a_word_stands_where_it_is_put_and_turns_anticlockwise() -> None:
    def middle(drawn: np.ndarray) -> tuple[float, float]:
        y, x = np.nonzero(drawn > 0.3)
        return float(y.mean()) - 23.5, float(x.mean()) - 23.5

    text = "HHHHHHHH"
    assert middle(written(word(text))) == pytest.approx((0, 0), abs=1)
    moved = written(word(text, height=np.float32([0.06]), y=np.float32([0.5])))
    assert middle(moved) == pytest.approx((12, 0), abs=1)
    y, x = np.nonzero(written(word(text, rotation=np.float32([np.pi / 4]))) > 0.3)
    assert np.corrcoef(x, -y)[0, 1] > 0.7


def test_words_are_of_three_to_eight_letters() -> None:
    params = overlay.draw(CONFIG, np.random.default_rng(0), 2000)
    assert params is not None
    lengths = (params.letters < 26).sum(1)
    assert set(lengths.tolist()) == {3, 4, 5, 6, 7, 8}
    assert set(np.unique(params.letters)) == set(range(27))
