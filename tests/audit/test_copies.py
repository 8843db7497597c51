"""Finding copies: what must be found, what must not, and that the search in large sets is as good as comparing all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.audit import candidates
from mien.data.audit import copies as module
from mien.data.audit import hashes as hashing
from mien.data.audit.candidates import Candidates, Ties
from mien.data.audit.copies import Copies, find_copies, pixel_digests
from mien.data.audit.descriptor import coefficients, odd, thumbnails
from mien.data.audit.search import near_pairs
from mien.data.dataset import Dataset

Make = Callable[..., np.ndarray]


def found(copies: Copies) -> set[tuple[int, int, bool]]:
    return {(int(a), int(b), bool(m)) for (a, b), m in zip(copies.pairs, copies.mirrored, strict=True)}


def as_in_large_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search by shuffles, as is done where comparing all hashes would take too long."""
    monkeypatch.setattr(candidates, "near_pairs", partial(near_pairs, few=0))


@pytest.fixture(params=["small set", "large set"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of looking: the one for small sets and the one for large ones, on a small set."""
    if request.param == "large set":
        as_in_large_sets(monkeypatch)


@pytest.mark.usefixtures("few")
def test_different_pictures_are_no_copies(scenes: Make) -> None:
    copies = find_copies(scenes(300))
    assert not len(copies.pairs)
    assert not len(copies.exact)
    assert (copies.group == -1).all()


@pytest.mark.usefixtures("few")
def test_every_altered_copy_is_found_and_nothing_else(scenes: Make, altered: Make) -> None:
    images = scenes(200)
    copies = find_copies(np.concatenate([images, altered(images[:40])]))
    assert found(copies) == {(i, 200 + i, False) for i in range(40)}
    assert (copies.group[:40] == copies.group[200:]).all()


def cut(images: np.ndarray) -> np.ndarray:
    """Cut by 4 px at the left and 2 px above and below, and enlarged again."""
    box, size = (4, 2, 48, 46), (48, 48)
    return np.stack([np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC, box=box)) for p in images])


@pytest.mark.usefixtures("few")
def test_copies_that_were_cut_are_found_by_the_inner_part_of_their_originals(
    scenes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = scenes(200)
    images = np.concatenate([images, cut(images[:30]), cut(images[30:60])[:, :, ::-1]])
    planted = {(i, 200 + i, i >= 30) for i in range(60)}
    seen = found(find_copies(images))
    assert seen <= planted
    assert len(seen) >= 36
    monkeypatch.setattr(module, "CUTS", ())
    assert len(found(find_copies(images))) <= 20


@pytest.mark.usefixtures("few")
def test_mirrored_copies_are_found_as_such_altered_or_not(scenes: Make, altered: Make) -> None:
    images = scenes(200)
    copies = find_copies(np.concatenate([images, images[:20, :, ::-1], altered(images[20:40])[:, :, ::-1]]))
    assert found(copies) == {(i, 200 + i, True) for i in range(40)}


@pytest.mark.usefixtures("few")
def test_equal_pictures_are_exact_copies_and_only_the_first_takes_part_in_pairs(scenes: Make) -> None:
    images = scenes(50)
    copies = find_copies(np.concatenate([images, images[:5], images[:5], np.maximum(images[:5], 1) - 1]))
    assert copies.exact.tolist() == [[i % 5, 50 + i] for i in range(10)]
    assert copies.first[50:60].tolist() == [*range(5)] * 2
    assert found(copies) == {(i, 60 + i, False) for i in range(5)}
    assert np.bincount(copies.group[copies.group >= 0]).tolist() == [4] * 5


@pytest.mark.usefixtures("few")
def test_flat_pictures_are_compared_for_equality_only() -> None:
    rng = np.random.default_rng(0)
    almost = rng.integers(127, 130, (30, 24, 24)).astype(np.uint8)
    flat = np.full((3, 24, 24), 128, np.uint8)
    copies = find_copies(np.concatenate([almost, flat]))
    assert not len(copies.pairs)
    assert copies.exact.tolist() == [[30, 31], [30, 32]]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_sets_are_no_trouble(scenes: Make, count: int) -> None:
    copies = find_copies(scenes(2)[:count])
    assert copies.group.tolist() == [-1] * count


@pytest.mark.usefixtures("few")
def test_a_picture_that_is_its_own_mirror_image_is_no_copy(scenes: Make) -> None:
    half = scenes(60)[:, :, :24]
    assert not len(find_copies(np.concatenate([half, half[:, :, ::-1]], axis=2)).pairs)


def test_colour_counts_as_its_grey_and_sizes_may_be_oblong(scenes: Make) -> None:
    grey = scenes(40)[:, :40]
    colour = np.repeat(grey[..., None], 3, axis=3)
    tinted = np.clip(colour[:10] * [0.9, 1, 1.1], 0, 255).astype(np.uint8)
    assert found(find_copies(np.concatenate([colour, tinted]))) == {(i, 40 + i, False) for i in range(10)}


def test_the_pictures_themselves_are_left_alone(scenes: Make) -> None:
    images = scenes(20)
    before = images.copy()
    find_copies(images)
    assert (images == before).all()


def test_by_hashes_all_is_found_that_comparing_all_finds(scenes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    images = scenes(900)
    noisy = np.clip(images + rng.normal(0, rng.uniform(0, 12, (900, 1, 1)), images.shape), 0, 255).astype(np.uint8)
    images = np.concatenate([images, noisy])
    expected = found(find_copies(images))
    as_in_large_sets(monkeypatch)
    assert len(expected) > 500
    assert found(find_copies(images)) == expected


def test_many_copies_of_some_pictures_hide_no_copies_of_others(scenes: Make) -> None:
    """130 groups of 13 have more pairs than a round looks at, all of them nearer than those of the others."""
    rng = np.random.default_rng(0)
    images = scenes(230)
    many = [(images[:130] * (1 - 0.01 * i)).astype(np.uint8) for i in range(13)]
    noisy = np.clip(images[130:] + rng.normal(0, 8, images[130:].shape), 0, 255).astype(np.uint8)
    copies = find_copies(np.concatenate([*many, images[130:], noisy]))
    assert (np.bincount(copies.group)[:130] == 13).all()
    assert (copies.group[1690:1790] == copies.group[1790:]).all()
    assert (copies.group >= 0).all()
    assert copies.left == 0
    assert copies.looked < 2 * module._ROUND_ALWAYS, "what chains tie is not looked at again"


def test_a_search_in_parts_finds_what_one_search_finds(scenes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    as_in_large_sets(monkeypatch)
    rng = np.random.default_rng(1)
    images = np.concatenate([scenes(40)] * 6)
    images = np.clip(images + rng.normal(0, 6, images.shape), 0, 255).astype(np.uint8)
    expected = find_copies(images)
    searches: list[int] = []

    def counted(words: np.ndarray, distance: int, *, beyond: int, **rest: int) -> tuple[np.ndarray, np.ndarray]:
        searches.append(beyond)
        return near_pairs(words, distance, beyond=beyond, few=0, **{**rest, "enough": 300})

    monkeypatch.setattr(candidates, "near_pairs", counted)
    # A part is done when it holds as many pairs as it may, which here is fewer than the module says.
    monkeypatch.setattr(candidates, "_ENOUGH_ALWAYS", 0)
    monkeypatch.setattr(candidates, "_ENOUGH_A_PICTURE", 300 / len(images))
    assert (find_copies(images).group == expected.group).all()
    assert len(searches) > 1
    assert searches == sorted(set(searches))


def test_what_was_not_looked_at_is_counted(scenes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    images = scenes(60)
    images = np.concatenate([images, images[:30] // 2])
    assert find_copies(images).doubt == ""
    monkeypatch.setattr(module, "_STRANGERS_ALWAYS", 0)
    monkeypatch.setattr(module, "_STRANGERS_A_PICTURE", 0)
    copies = find_copies(images)
    assert (copies.looked, len(copies.pairs)) == (0, 0)
    assert copies.left >= 30
    assert f"of {copies.left} pairs that could be copies, the nearest 0 were looked at" in copies.doubt


def test_ties_know_which_way_round_pictures_are_copies() -> None:
    def of(*pairs: tuple[int, int, bool]) -> Candidates:
        table = np.array(pairs)
        return Candidates(table[:, :2], table[:, 2].astype(bool), np.zeros(len(pairs), np.int64))

    ties = Ties(6)
    ties.add(of((0, 1, True), (2, 3, False)))
    ties.add(of((1, 2, True)))
    asked = of((0, 2, False), (0, 2, True), (1, 3, True), (1, 3, False), (0, 4, False), (4, 5, False))
    assert ties.has(asked).tolist() == [True, False, True, False, False, False]


def test_the_same_set_gives_the_same_copies_again(scenes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    as_in_large_sets(monkeypatch)
    images = scenes(100)
    images = np.concatenate([images, images[:30] // 2])
    assert found(find_copies(images)) == found(find_copies(images))


def test_a_packed_set_is_looked_through_by_its_manifest(bar_set: Dataset) -> None:
    copies = module.of(bar_set)
    assert (copies.first == find_copies(bar_set.images).first).all()
    assert pixel_digests(bar_set.images) == bar_set.table.column("sha256").to_pylist()


def test_odd_coefficients_are_those_that_change_sign_in_the_mirror(scenes: Make) -> None:
    images = scenes(30)
    sign = np.where(odd(), -1, 1)
    assert np.allclose(coefficients(images[:, :, ::-1]), coefficients(images) * sign, atol=1e-5)


@pytest.mark.parametrize("times", [2, 5])
def test_the_hash_does_not_depend_on_the_size(scenes: Make, times: int) -> None:
    images, middle = scenes(20), np.zeros(len(odd()), np.float32)
    larger = images.repeat(times, 1).repeat(times, 2)
    assert hashing.hamming(hashing.hashes(larger, middle)[0], hashing.hashes(images, middle)[0]).max() <= 4


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 9))
def test_packing_and_unpacking_bits_are_inverse(count: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((count, 128)) < 0.5
    assert (hashing.unpack(hashing.pack(bits)) == bits).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_all_near_hashes_are_found_where_few_bits_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.random((400, 128)) < 0.5
    flips = np.zeros((400, 128), bool)
    for row in flips:
        row[rng.choice(128, 8, replace=False)] = True
    words = hashing.pack(np.concatenate([bits, bits ^ flips]))
    pairs, distance = near_pairs(words, 10, few=0)
    assert pairs.tolist() == [[i, 400 + i] for i in range(400)]
    assert (distance == 8).all()


def test_what_is_nearer_can_be_left_out() -> None:
    rng = np.random.default_rng(0)
    words = hashing.pack((rng.random((1, 128)) < 0.5) ^ (rng.random((200, 128)) < 0.05))
    every, apart = near_pairs(words, 30)
    some, distance = near_pairs(words, 30, beyond=12)
    assert some.tolist() == every[apart > 12].tolist()
    assert (distance == apart[apart > 12]).all()


def test_of_more_near_hashes_than_enough_the_nearest_are_kept() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((1, 128)) < 0.5
    words = hashing.pack(base ^ (rng.random((600, 128)) < rng.uniform(0, 0.1, (600, 1))))
    every, apart = near_pairs(words, 30, few=0)
    some, distance = near_pairs(words, 30, few=0, enough=500)
    farthest = int(distance.max())
    assert 500 <= len(some) < len(every) / 2
    assert some.tolist() == every[apart <= farthest].tolist()
    assert (distance == apart[apart <= farthest]).all()


@pytest.mark.parametrize(("height", "width"), [(40, 40), (17, 60), (8, 8), (5, 3)])
def test_thumbnails_average_equal_areas(height: int, width: int) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, height, width)).astype(np.uint8)
    fine = images.repeat(8, 1).repeat(8, 2).reshape(2, 8, height, 8, width).mean((2, 4))
    assert np.allclose(thumbnails(images, 8), fine, atol=1e-3)
