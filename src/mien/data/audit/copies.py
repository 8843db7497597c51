"""Which pictures of a set are copies: equal, nearly equal, or mirrored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.data.audit import hashes as hashing
from mien.data.audit.align import aligned_correlation
from mien.data.audit.candidates import DISTANCE, Candidates, Ties, search
from mien.data.audit.descriptor import Floats, Pixels, blocks, thumbnails
from mien.data.audit.groups import Groups, groups_of
from mien.data.audit.search import Pairs
from mien.data.dataset import Dataset
from mien.data.formats.base import Progress

# Hashes propose, the laying of one picture over the other decides: calibrated on FER2013, see docs/duplicates.md.
# The correlation that makes a copy. It may be lower, as heavy blur or a line of text printed over the picture leaves
# it, where hashes are nearer than those of strangers by more deviations: on FER2013, at 38, 28, 20 and 12 bits.
DEVIATIONS, CORRELATION = (4.0, 5.7, 7.0, 8.2), (0.98, 0.96, 0.90, 0.80)
SIDE = 24
# Shares of the side that inner parts of a picture lack at each edge: copies may be cut about twice as much at one.
CUTS = (1 / 24, 1 / 12)
# In smaller sets it is not known how near strangers come.
_FEWEST, _STRANGERS = 100, 20_000
# Pairs of a round, after which those go that other pairs tie already.
_ROUND_A_PICTURE, _ROUND_ALWAYS = 0.5, 10_000
# Strangers that are looked at closely, the nearest first: those who look alike grow with the square of the set.
_STRANGERS_A_PICTURE, _STRANGERS_ALWAYS = 1.0, 100_000


@dataclass(frozen=True, eq=False)
class Copies:
    """The copies in a set of N pictures.

    Attributes:
        first: position (N,) of the first picture with the very same pixels: its own where it is the first.
        pairs: positions (P, 2) of pictures that look the same without being equal, lower position first; of equal
            pictures only the first is named, and of a large group not every pair that others tie already.
        mirrored: whether they do so as mirror images (P,).
        correlation: of their grey levels, once laid over each other (P,).
        looked: candidates that were laid over each other.
        left: candidates that were not, in a large set with too many strangers who look alike.
    """

    first: NDArray[np.int64]
    pairs: Pairs
    mirrored: NDArray[np.bool_]
    correlation: Floats
    looked: int = 0
    left: int = 0

    @cached_property
    def exact(self) -> Pairs:
        """Pairs (E, 2) of the first picture and each later one with the very same pixels."""
        later = np.flatnonzero(self.first != np.arange(len(self.first)))
        return np.stack([self.first[later], later], axis=1)

    @cached_property
    def group(self) -> Groups:
        """Group ids (N,) of all copies, near and mirrored ones too; −1 for pictures without a copy."""
        ids: Groups = groups_of(len(self.first), np.concatenate([self.exact, self.pairs]))
        return ids

    @property
    def doubt(self) -> str:
        """A sentence where not all candidates were looked at; else empty."""
        if not self.left:
            return ""
        looked, whole = self.looked, self.looked + self.left
        return f"There may be more: of {whole:,} pairs that could be copies, the nearest {looked:,} were looked at."

    def linked(self, *, mirrored: bool) -> Pairs:
        """The near pairs (n, 2) that are mirrored, or that are not."""
        chosen: Pairs = self.pairs[self.mirrored == mirrored]
        return chosen


def find_copies(
    images: Pixels,
    *,
    digests: Sequence[str] | None = None,
    seed: int = 0,
    tell: Progress | None = None,
) -> Copies:
    """Find the copies among pictures (N, H, W) or (N, H, W, 3), which may be memory-mapped.

    Two pictures count as near when they are, as they are or one of them mirrored, the same photograph: another
    brightness, contrast, size, compression, slight blur, a mark printed over it, and a slightly other cut are allowed
    for. The test is the correlation once one is laid over the other (`align`), which must reach `CORRELATION`. Flat
    pictures (`descriptor.FLAT`) are compared for equality only.

    Args:
        images: the pictures.
        digests: one text a picture, the same for equal pixels only, such as the manifest's sha256; made if not given.
        seed: of the shuffles that the search for candidates draws in large sets.
        tell: called with the pictures done and their number.
    """
    first = _first_of_equals(digests if digests is not None else pixel_digests(images))
    middle = hashing.thresholds(images, seed=seed)
    plain, turned, flat = hashing.hashes(images, middle, tell=tell)
    rows = np.flatnonzero((first == np.arange(len(first))) & ~flat)
    inner = [hashing.hashes(_inner(images, cut), middle)[0] for cut in CUTS]
    return _in_rounds(images, first, rows, [view[rows] for view in (plain, turned, *inner)], seed)


def of(data: Dataset, tell: Progress | None = None) -> Copies:
    """The copies in a packed set, by the hashes in its manifest and its pixels."""
    return find_copies(data.images, digests=data.table.column("sha256").to_pylist(), tell=tell)


def pixel_digests(images: Pixels) -> list[str]:
    """sha256 of the pixels of each picture, as the manifest has it."""
    return [hashlib.sha256(np.ascontiguousarray(picture).data).hexdigest() for picture in np.asarray(images)]


def correlations(images: Pixels, pairs: Pairs, mirrored: NDArray[np.bool_]) -> Floats:
    """Correlation (P,) of the pictures of each pair laid over each other, the second one mirrored where said."""
    result = np.zeros(len(pairs), np.float32)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # so that a picture of many pairs is read and reduced once
    for block in blocks(len(pairs), images):
        part = order[block]
        which, place = np.unique(pairs[part], return_inverse=True)
        small, (own, partner) = thumbnails(images[which], SIDE), place.reshape(-1, 2).T
        other, flip = small[partner], mirrored[part]
        other[flip] = other[flip][:, :, ::-1]
        result[part] = aligned_correlation(small[own], other)
    return result


def _in_rounds(
    images: Pixels, first: NDArray[np.int64], rows: NDArray[np.int64], views: list[hashing.Hashes], seed: int
) -> Copies:
    """Look at the candidates among the pictures at `rows`, the nearest first, until others tie all that are left."""
    size = max(_ROUND_ALWAYS, int(_ROUND_A_PICTURE * len(rows)))
    most = max(_STRANGERS_ALWAYS, int(_STRANGERS_A_PICTURE * len(rows)))
    ties, reach, left, looked, strangers = Ties(len(rows)), -1, 0, 0, 0
    alike, measured = [], []
    while reach < DISTANCE and not left:
        waiting, reach = search(views, beyond=reach, seed=seed)
        waiting = waiting.at(~ties.has(waiting))
        while len(waiting) and strangers < most:
            batch, waiting = waiting.at(slice(size)), waiting.at(slice(size, None))
            correlation = correlations(images, rows[batch.pairs], batch.mirrored)
            same = correlation >= _least(batch, views[0], seed)
            alike.append(batch.at(same))
            measured.append(correlation[same])
            ties.add(alike[-1])
            waiting = waiting.at(~ties.has(waiting))
            looked, strangers = looked + len(batch), strangers + int((~same).sum())
        left = len(waiting)
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *(rows[found.pairs] for found in alike)])
    mirrored = np.concatenate([np.zeros(0, bool), *(found.mirrored for found in alike)])
    best = _best(pairs, mirrored, np.concatenate([np.zeros(0, np.float32), *measured]))
    return Copies(first, *best, looked, left)


def _first_of_equals(digests: Sequence[str]) -> NDArray[np.int64]:
    _, first, which = np.unique(np.array(digests, dtype=np.bytes_), return_index=True, return_inverse=True)
    return np.asarray(first[which], np.int64)


def _least(found: Candidates, plain: hashing.Hashes, seed: int) -> NDArray[np.float64]:
    """The correlation (P,) that makes each pair a copy."""
    return np.asarray(np.interp(_surprise(found.distance, plain, seed), DEVIATIONS, CORRELATION), np.float64)


def _surprise(distance: NDArray[np.int64], plain: hashing.Hashes, seed: int) -> NDArray[np.float64]:
    """By how many deviations each distance (P,) is less than those of pictures drawn at random; 0 in tiny sets."""
    if len(plain) < _FEWEST:
        return np.zeros(len(distance))
    a, b = np.random.default_rng(seed).integers(0, len(plain), (2, _STRANGERS))
    strangers = hashing.hamming(plain[a[a != b]], plain[b[a != b]])
    return np.asarray((strangers.mean() - distance) / max(strangers.std(), 1), np.float64)


def _inner(images: Pixels, cut: float) -> Pixels:
    """Pictures (N, H, W[, 3]) without a share `cut` of the side at each edge: what copies show that were cut."""
    down, across = (round(cut * side) for side in images.shape[1:3])
    return images[:, down : images.shape[1] - down, across : images.shape[2] - across]


def _best(pairs: Pairs, mirrored: NDArray[np.bool_], measured: Floats) -> tuple[Pairs, NDArray[np.bool_], Floats]:
    """Each pair once and in order: as it correlates more, unmirrored if that makes no difference."""
    order = np.lexsort((mirrored, -measured, pairs[:, 1], pairs[:, 0]))
    pairs, mirrored, measured = pairs[order], mirrored[order], measured[order]
    new = np.append(True, (pairs[1:] != pairs[:-1]).any(1))[: len(pairs)]
    return pairs[new], mirrored[new], measured[new]
