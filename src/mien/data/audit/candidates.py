"""Pairs of pictures that may be copies: those whose hashes are near, as they are, mirrored, or one of them cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.groups import components
from mien.data.audit.hashes import Hashes
from mien.data.audit.search import Pairs, near_pairs

# Beyond so many of 128 bits most pairs that are found are strangers: these differ in 64 ± 6.3 on FER2013.
DISTANCE = 36
_PLAIN, _TURNED = 0, 1  # the views of a picture whose hashes are compared, before the inner parts
# Pairs of hashes that one search keeps.
_ENOUGH_A_PICTURE, _ENOUGH_ALWAYS = 8, 80_000
Bits = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of pictures.

    Attributes:
        pairs: positions (P, 2), the lower first.
        mirrored: whether as mirror images (P,).
        distance: in how many bits their hashes differ (P,).
    """

    pairs: Pairs
    mirrored: NDArray[np.bool_]
    distance: Bits

    def __len__(self) -> int:
        return len(self.pairs)

    def at(self, which: slice | NDArray[np.bool_]) -> Candidates:
        """Some of them."""
        return Candidates(self.pairs[which], self.mirrored[which], self.distance[which])


def search(views: Sequence[Hashes], *, beyond: int = -1, seed: int = 0) -> tuple[Candidates, int]:
    """Candidates, the nearest first, and up to how many bits they are all that the search finds.

    Near are the hashes of two pictures, of one and the mirror image of the other, or of either and an inner part of
    the other. Where there are more pairs than fit into memory it stops short of `DISTANCE` bits, and another search
    `beyond` that goes on.

    Args:
        views: hashes (N, w) of the pictures, of their mirror images, and of their inner parts.
        beyond: leave out what differs in no more bits than this.
        seed: of the shuffles.
    """
    count = len(views[0])
    enough = max(_ENOUGH_ALWAYS, int(_ENOUGH_A_PICTURE * count))
    found, distance = near_pairs(np.concatenate(views), DISTANCE, beyond=beyond, enough=enough, seed=seed)
    reach = DISTANCE if len(found) < enough else int(distance.max())
    view, place = np.divmod(found, max(count, 1))
    # What mirror images say of each other, the pictures say as well; two inner parts less. A picture that resembles
    # its own mirror image or inner part is no pair.
    wanted = (place[:, 0] != place[:, 1]) & (
        (view[:, 0] == _PLAIN) | ((view[:, 0] == _TURNED) & (view[:, 1] > _TURNED))
    )
    pairs = np.sort(place[wanted], axis=1)
    return _once(Candidates(pairs, (view[wanted] == _TURNED).any(1), distance[wanted]), count), reach


def _once(found: Candidates, count: int) -> Candidates:
    """Each pair as it is and as mirror images at most once, with the least distance; the nearest first."""
    order = np.lexsort((found.distance, found.mirrored, found.pairs[:, 1], found.pairs[:, 0]))
    key = ((found.pairs[:, 0] * count + found.pairs[:, 1]) * 2 + found.mirrored)[order]
    order = order[np.append(True, key[1:] != key[:-1])[: len(key)]]
    order = order[np.argsort(found.distance[order], kind="stable")]
    return Candidates(found.pairs[order], found.mirrored[order], found.distance[order])


class Ties:
    """What pairs of N pictures say about others: whether a chain of copies ties two, and which way round."""

    def __init__(self, count: int) -> None:
        # Of each picture as it is, and of its mirror image.
        self.part: NDArray[np.int64] = np.arange(2 * count).reshape(2, count)

    def add(self, found: Candidates) -> None:
        """Tie the pictures of each pair together."""
        (a, b), turned = found.pairs.T, found.mirrored.astype(np.int64)
        links = [np.stack([self.part[way, a], self.part[way ^ turned, b]], axis=1) for way in (0, 1)]
        self.part = components(self.part.size, np.concatenate(links))[self.part]

    def has(self, found: Candidates) -> NDArray[np.bool_]:
        """Which pairs (P,) are tied already."""
        a, b = found.pairs.T
        return np.asarray(self.part[0, a] == self.part[found.mirrored.astype(np.int64), b], np.bool_)
