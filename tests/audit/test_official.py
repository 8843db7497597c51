"""Recognising published pictures by fingerprints: in a made-up publication, so that no real picture is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.data.audit import official, which_copy
from mien.data.audit.copies import pixel_digests
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.official import FOREIGN, Match, Rows, fingerprints, match, pair_off
from mien.data.audit.which_copy import KINDS, kinds, tally
from mien.data.audit.which_copy import which_copy as find

Make = Callable[..., np.ndarray]
COUNT = 240


@pytest.fixture(scope="module")
def published(scenes: Make) -> np.ndarray:
    """240 pictures, of which the last is the first once more."""
    images = scenes(COUNT, seed=7)
    images[-1] = images[0]
    return images


@pytest.fixture(scope="module")
def rows(published: np.ndarray) -> Rows:
    return fingerprints(published, pixel_digests(published))


@pytest.fixture(autouse=True)
def few_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """The publication has 200 rows of Training, and ten of PrivateTest that nobody knows."""
    monkeypatch.setattr(official, "TRAINING", 200)
    monkeypatch.setattr(which_copy, "PRIVATE_TEST", 10)


def seen(images: np.ndarray, rows: Rows) -> Match:
    return match(images, pixel_digests(images), rows)


def split_as_published(count: int = COUNT) -> np.ndarray:
    return np.where(np.arange(count) < 200, "train", "val")


def verdict(images: np.ndarray, rows: Rows, split: np.ndarray | None = None) -> Finding:
    split = split_as_published(len(images)) if split is None else split
    return find(seen(images, rows), split, rows, size=images.shape[1:3])


def test_the_publication_is_itself_in_any_order(published: np.ndarray, rows: Rows) -> None:
    order = np.random.default_rng(0).permutation(COUNT)
    matched = seen(published[order], rows)
    assert matched.exact.all()
    assert not matched.repeated.any()
    assert sorted(matched.row.tolist()) == list(range(COUNT))
    assert (rows.exact[matched.row] == rows.exact[order]).all()


def test_every_altered_picture_is_recognised_as_its_row(published: np.ndarray, rows: Rows, altered: Make) -> None:
    changed = altered(published[1:60])
    matched = seen(changed, rows)
    same = (changed == published[1:60]).all((1, 2))
    assert (matched.exact == same).all()
    assert (matched.row == np.arange(1, 60)).mean() > 0.95
    assert not matched.mirrored.any()


def test_mirror_images_are_recognised_as_such(published: np.ndarray, rows: Rows) -> None:
    matched = seen(published[1:60, :, ::-1], rows)
    assert matched.row.tolist() == list(range(1, 60))
    assert matched.mirrored.all()


@pytest.mark.parametrize("times", [2, 3])
def test_enlarged_pictures_are_as_published_once_reduced(published: np.ndarray, rows: Rows, times: int) -> None:
    larger = published.repeat(times, 1).repeat(times, 2)
    assert seen(larger, rows).exact.all()
    colour = np.repeat(larger[..., None], 3, axis=3)
    assert seen(colour, rows).exact.all()


def test_strangers_are_foreign(scenes: Make, rows: Rows) -> None:
    assert (seen(scenes(200, seed=99), rows).row == FOREIGN).all()


def test_further_copies_are_repetitions_and_no_row_is_given_twice(published: np.ndarray, rows: Rows) -> None:
    both = np.concatenate([published, published[:50], (published[:50] * 0.7).astype(np.uint8)])
    matched = seen(both, rows)
    assert matched.repeated.tolist() == [False] * COUNT + [True] * 100
    assert not matched.exact[-50:].any()
    assert (matched.row[-50:] % (COUNT - 1) == np.arange(50)).all()  # row 239 is row 0 once more


def test_pairing_off_gives_the_kth_of_equals_the_kth_row() -> None:
    row, repeated = pair_off(np.array([5, 7, 5], np.uint64), np.array([5, 9, 5, 5, 7], np.uint64))
    assert row.tolist() == [0, FOREIGN, 2, 2, 1]
    assert repeated.tolist() == [False, False, False, True, False]


def test_a_whole_copy_is_fine(published: np.ndarray, rows: Rows) -> None:
    finding = verdict(published, rows)
    assert finding.severity == Severity.FINE
    assert finding.figures["official"] == COUNT
    assert finding.figures["missing"] == 0
    assert not len(finding.rows)


def test_as_many_unknown_pictures_as_the_private_test_has_are_taken_for_it(
    published: np.ndarray, rows: Rows, scenes: Make
) -> None:
    finding = verdict(np.concatenate([published, scenes(9, seed=5), published[3:4]]), rows)
    assert finding.severity == Severity.FINE
    assert (finding.figures["foreign"], finding.figures["repeated"]) == (9, 1)
    assert "as many as PrivateTest has" in finding.verdict


def test_an_altered_copy_is_a_warning_and_says_what_was_done(published: np.ndarray, rows: Rows) -> None:
    finding = verdict((published * 0.6).astype(np.uint8), rows)
    assert finding.severity == Severity.WARNING
    assert finding.figures["altered"] == COUNT
    assert finding.figures["other_brightness_or_contrast"] >= 0.9 * COUNT
    assert set(finding.columns["change"].tolist()) <= set(KINDS)


def test_pictures_augmented_into_the_set_are_a_warning(published: np.ndarray, rows: Rows) -> None:
    both = np.concatenate([published, published[:, :, ::-1]])
    finding = verdict(both, rows)
    assert finding.severity == Severity.WARNING
    assert finding.figures["augmented"] == COUNT
    assert finding.figures["mirrored"] == COUNT
    assert "240 mirrored" in finding.verdict


def test_a_part_of_the_set_misses_rows(published: np.ndarray, rows: Rows) -> None:
    finding = verdict(published[:150], rows)
    assert finding.severity == Severity.NOTE
    assert finding.figures["missing"] == COUNT - 150


def test_rows_on_the_other_side_of_train_are_counted(published: np.ndarray, rows: Rows) -> None:
    split = np.where(np.arange(COUNT) % 10 == 0, "val", "train")
    moved = split != split_as_published()
    assert moved[[0, -1]].all()  # the same pixels, published on both sides: at home on either
    assert verdict(published, rows, split).figures["moved"] == moved.sum() - 2


@pytest.mark.parametrize(("row", "moved"), [(0, 0), (1, 1)])
def test_pixels_that_are_published_on_both_sides_are_at_home_on_either(
    published: np.ndarray, rows: Rows, row: int, moved: int
) -> None:
    split = np.where(np.arange(COUNT) == row, "val", split_as_published())
    assert verdict(published, rows, split).figures["moved"] == moved


def test_another_set_is_none_and_that_is_fine(scenes: Make, rows: Rows) -> None:
    finding = verdict(scenes(150, seed=3), rows)
    assert finding.severity == Severity.FINE
    assert finding.verdict == "This is not FER2013, nor a part of it."


def test_the_kind_of_change_is_told_by_what_it_does(published: np.ndarray, rows: Rows) -> None:
    matched = seen(published, rows)
    one = np.ones(COUNT, np.float32)
    changed = Match(
        matched.row,
        np.zeros(COUNT, bool),
        np.arange(COUNT) == 0,
        matched.repeated,
        detail=np.where(np.arange(COUNT) == 1, 0.5, np.where(np.arange(COUNT) == 2, 1.8, one)),
        contrast=np.where(np.arange(COUNT) == 3, 0.5, one),
        brightness=np.where(np.arange(COUNT) == 4, 40, 0 * one),
    )
    assert kinds(changed)[:6].tolist() == [0, 1, 2, 3, 3, 4]


def test_fingerprints_survive_their_file(rows: Rows, tmp_path: Path) -> None:
    official.save(rows, tmp_path / "rows.npz")
    with np.load(tmp_path / "rows.npz", allow_pickle=False) as arrays:
        assert (arrays["exact"] == rows.exact).all()
        assert (arrays["look"] == rows.look).all()
        assert np.allclose(arrays["detail"].astype(np.float32), rows.detail, rtol=1e-3)


def test_the_fingerprints_that_come_with_mien_are_those_of_the_published_rows() -> None:
    rows = official.known.__wrapped__()
    assert len(rows) == 28_709 + 3_589
    assert len(np.unique(rows.exact)) == len(rows) - 1_530
    assert rows.look.shape == (len(rows), 2)
    bits = np.unpackbits(rows.look.view(np.uint8), axis=1)
    assert 0.45 < bits.mean() < 0.55


def test_they_recognise_the_real_pictures(real_data: dict[str, np.ndarray]) -> None:
    chosen = np.random.default_rng(0).choice(len(real_data["pixels"]), 300, replace=False)
    images = real_data["pixels"].reshape(-1, 48, 48)[chosen]
    rows = official.known()
    digests = [hashlib.sha256(np.ascontiguousarray(picture).data).hexdigest() for picture in images]
    matched = match(images, digests, rows)
    assert matched.exact.all()
    assert (rows.exact[matched.row] == official.short(digests)).all()
    found = tally(match((images * 0.8 + 10).astype(np.uint8), ["0" * 64] * 300, rows), np.full(300, "train"), rows)
    assert found.altered + found.augmented >= 297
