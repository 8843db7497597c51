"""Recognising the pictures of FER2013, as they were published or altered, without having them.

`fer2013_rows.npz` holds for each row of the published file a hash of its pixels, a perceptual hash and three figures,
from which no picture can be made. It was written by `scripts/fer2013_rows.py`, which says the same for anyone who has
the file. The rows of PrivateTest were not at hand: what is not recognised may be one of those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.files import atomic_path
from mien.data.audit import hashes as hashing
from mien.data.audit.descriptor import Floats, Pixels, blocks, deviation, grey, thumbnails
from mien.data.audit.hashes import Hashes
from mien.data.audit.search import Pairs, near_pairs
from mien.data.formats.base import Progress

FILE_NAME = "fer2013_rows.npz"
SIDE = 48
FOREIGN = -1
# The rows of the published file that mien knows, and those it does not.
TRAINING, PUBLIC_TEST, PRIVATE_TEST = 28_709, 3_589, 3_589
# Bits of 128 in which an altered copy may differ; see docs/duplicates.md for what that finds and what it takes in.
DISTANCE = 18


@dataclass(frozen=True, eq=False)
class Rows:
    """Fingerprints of R published rows, in the order of fer2013.csv.

    Attributes:
        exact: the first 8 bytes of the sha256 of the pixels (R,).
        look: perceptual hashes (R, WORDS), made with `middle`.
        middle: thresholds of the hashes (COEFFICIENTS,).
        detail: see `detail` (R,).
        brightness: mean grey level (R,).
        contrast: standard deviation of the grey levels (R,).
    """

    exact: NDArray[np.uint64]
    look: Hashes
    middle: Floats
    detail: Floats
    brightness: Floats
    contrast: Floats

    def __len__(self) -> int:
        return len(self.exact)

    @property
    def split(self) -> NDArray[np.str_]:
        """The split that each row has in the published file."""
        return np.where(np.arange(len(self)) < TRAINING, "train", "val")


@lru_cache(maxsize=1)
def known() -> Rows:
    """The fingerprints that come with mien."""
    path = resources.files("mien.data.audit").joinpath(FILE_NAME)
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        figures = {name: arrays[name].astype(np.float32) for name in ("middle", "detail", "brightness", "contrast")}
        return Rows(exact=arrays["exact"], look=arrays["look"], **figures)


def save(rows: Rows, path: Path) -> None:
    """Write fingerprints to `path`, 28 bytes a row, so that `known` reads them; figures are rounded."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            exact=rows.exact,
            look=rows.look,
            middle=rows.middle,
            detail=rows.detail.astype(np.float16),
            brightness=np.rint(rows.brightness).astype(np.uint8),
            contrast=np.rint(rows.contrast).astype(np.uint8),
        )


def fingerprints(images: Pixels, digests: Sequence[str]) -> Rows:
    """The fingerprints of pictures (R, 48, 48), as `known` has them, with thresholds of their own."""
    middle = hashing.thresholds(images)
    look = hashing.hashes(images, middle)[0]
    return Rows(short(digests), look, middle, *_figures(images))


def short(digests: Sequence[str]) -> NDArray[np.uint64]:
    """The first 8 bytes (N,) of hexadecimal hashes."""
    return np.array([int(text[:16], 16) for text in digests], np.uint64)


def published_size(images: Pixels) -> Pixels:
    """Pictures (n, H, W[, 3]) as FER2013 has them: grey and 48×48, averaged over equal areas."""
    pixels = grey(images)
    if pixels.shape[1:] != (SIDE, SIDE):
        pixels = thumbnails(images, SIDE)
    return np.rint(pixels).astype(np.uint8)


def _figures(images: Pixels) -> tuple[Floats, Floats, Floats]:
    """Detail, brightness and contrast (n,) of pictures (n, 48, 48)."""
    found = np.zeros((3, len(images)), np.float32)
    for part in blocks(len(images), images):
        pixels = grey(images[part])
        found[:, part] = detail(pixels), pixels.mean((1, 2)), deviation(pixels)
    return found[0], found[1], found[2]


def detail(pixels: Floats) -> Floats:
    """Deviation of the Laplacian over that of the grey levels (n,) of pictures (n, H, W): low for blurred ones."""
    inner = pixels[:, 1:-1, 1:-1]
    around = pixels[:, :-2, 1:-1] + pixels[:, 2:, 1:-1] + pixels[:, 1:-1, :-2] + pixels[:, 1:-1, 2:]
    laplacian: Floats = (4 * inner - around).std((1, 2)) / np.maximum(deviation(pixels), 1)
    return laplacian


@dataclass(frozen=True, eq=False)
class Match:
    """Which published row each of N pictures is.

    Attributes:
        row: the published row (N,), `FOREIGN` where there is none.
        exact: whether the pixels are those of the row, at 48×48 (N,).
        mirrored: whether the picture is its mirror image (N,).
        repeated: whether an earlier, or more similar, picture was already matched with the row (N,).
        detail: of the picture over that of the row (N,); below 1 it is blurred. Likewise `contrast`.
        brightness: mean grey level less that of the row (N,).
    """

    row: NDArray[np.int64]
    exact: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    detail: Floats
    contrast: Floats
    brightness: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which pictures (N,) are published ones, altered or not."""
        return np.asarray(self.row != FOREIGN, np.bool_)


def match(images: Pixels, digests: Sequence[str], rows: Rows | None = None, *, tell: Progress | None = None) -> Match:
    """Find the published row of each picture (N, H, W[, 3]), by its pixels first, then by how it looks.

    Equal rows are told apart by nothing: the first picture gets the first of them. A picture altered beyond
    `DISTANCE` bits of its hash is not recognised.

    Args:
        images: the pictures, which may be memory-mapped, of any size.
        digests: sha256 of the pixels of each, such as the manifest's.
        rows: fingerprints to look among; those that come with mien if not given.
        tell: called with the pictures done and their number.
    """
    rows = rows or known()
    small, own = _reduced(images, digests)
    row, repeated = pair_off(rows.exact, own)
    exact = row != FOREIGN
    mirrored = np.zeros(len(images), bool)
    left = np.flatnonzero(~exact)
    if len(left):
        taken = np.zeros(len(rows), bool)
        taken[row[exact]] = True
        found = _alike(small[left], rows, taken, tell)
        row[left], mirrored[left], repeated[left] = found
    return Match(row, exact, mirrored, repeated, *_changes(small, rows, row))


def _reduced(images: Pixels, digests: Sequence[str]) -> tuple[Pixels, NDArray[np.uint64]]:
    """Pictures at the published size (N, 48, 48), and the first 8 bytes of the sha256 of those pixels."""
    if images.shape[1:] == (SIDE, SIDE):
        return images, short(digests)
    small = np.zeros((len(images), SIDE, SIDE), np.uint8)
    for part in blocks(len(images), images):
        small[part] = published_size(images[part])
    return small, short([hashlib.sha256(picture.data).hexdigest() for picture in small])


def pair_off(published: NDArray[np.uint64], own: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Published row (N,) of the same hash, `FOREIGN` if none, and whether it is one more copy than were published.

    The k-th picture of a hash gets the k-th row of it; further ones get the last row.
    """
    order = np.argsort(published, kind="stable")
    ordered = published[order]
    first = np.searchsorted(ordered, own, side="left")
    count = np.searchsorted(ordered, own, side="right") - first
    place = _occurrence(own)
    row = np.where(count > 0, order[(first + np.minimum(place, count - 1)).clip(0, len(order) - 1)], FOREIGN)
    return row, (count > 0) & (place >= count)


def _occurrence(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many equal values (N,) stand before each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    result = np.zeros(len(values), np.int64)
    result[order] = np.arange(len(values)) - starts
    return result


def _alike(
    images: Pixels, rows: Rows, taken: NDArray[np.bool_], tell: Progress | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Row, whether mirrored, and whether repeated (n,), of pictures that look like published ones."""
    plain, turned, flat = hashing.hashes(images, rows.middle, tell=tell)
    shown = np.flatnonzero(~flat)
    count, known_rows = len(shown), len(rows)
    pairs, distance = near_pairs(np.concatenate([rows.look, plain[shown], turned[shown]]), DISTANCE)
    across = (pairs[:, 0] < known_rows) & (pairs[:, 1] >= known_rows)
    pairs, distance = pairs[across], distance[across]
    other = pairs[:, 1] - known_rows
    mirrored = other >= count
    picture = shown[other % max(count, 1)]
    order = np.lexsort((mirrored, distance))
    return _deal(len(images), np.stack([pairs[:, 0], picture], axis=1)[order], mirrored[order], taken)


def _deal(
    count: int, pairs: Pairs, mirrored: NDArray[np.bool_], taken: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each picture a row, from pairs (P, 2) of row and picture, the best first; each row to one picture.

    A picture all of whose rows are given away is a repetition of its best one.
    """
    row, turned = np.full(count, FOREIGN), np.zeros(count, bool)
    repeated = np.zeros(count, bool)
    free = ~taken
    for (published, picture), flip in zip(pairs.tolist(), mirrored.tolist(), strict=True):
        if free[published] and (row[picture] == FOREIGN or repeated[picture]):
            row[picture], turned[picture], repeated[picture] = published, flip, False
            free[published] = False
        elif row[picture] == FOREIGN:
            row[picture], turned[picture], repeated[picture] = published, flip, True
    return row, turned, repeated


def _changes(images: Pixels, rows: Rows, row: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Detail and contrast (N,) over those of the published row, and brightness less its; 1, 1 and 0 without a row."""
    detail_now, brightness, contrast = _figures(images)
    there = row != FOREIGN
    return (
        np.where(there, detail_now / np.maximum(rows.detail[row], 1e-3), 1).astype(np.float32),
        np.where(there, contrast / np.maximum(rows.contrast[row], 1), 1).astype(np.float32),
        np.where(there, brightness - rows.brightness[row], 0).astype(np.float32),
    )
