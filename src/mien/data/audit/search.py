"""Pairs of hashes that are near, out of all of them, without comparing each with each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.hashes import Hashes, hamming, unpack

Pairs = NDArray[np.int64]
# Found 96 % of FER2013's pairs within 36 bits, and every pair within 18, see docs/duplicates.md.
ORDERS, WINDOW = 48, 12
# Up to so many hashes each is compared with each, in a second.
FEW = 4096
_KEY_BITS = 32
_AT_ONCE = 1 << 17  # hashes or pairs, where all at once would fill memory
_NONE = np.zeros(0, np.int64)


def near_pairs(
    words: Hashes,
    distance: int,
    *,
    beyond: int = -1,
    enough: int | None = None,
    few: int = FEW,
    seed: int = 0,
) -> tuple[Pairs, NDArray[np.int64]]:
    """Pairs (P, 2) of positions, the lower first and each once, whose hashes differ in at most `distance` bits.

    The 64 bits of the first word, of the lowest frequencies and so the steadiest, are shuffled `ORDERS` times, the
    hashes sorted by 32 of them and each compared with the `WINDOW` that follow it: near hashes stand side by side as
    soon as one shuffle puts the bits in which they differ behind the leading ones (Charikar 2002, "Similarity
    estimation techniques from rounding algorithms", section 3). Time grows as N log N, memory as N. A pair may be
    missed, the more easily the more bits differ and the larger the set.

    Args:
        words: the hashes (N, w).
        distance: the most bits that may differ.
        beyond: pairs that differ in no more bits than this are left out.
        enough: of more than twice as many pairs the nearest are kept, this many and all that are as near.
        few: up to so many hashes each is compared with each.
        seed: of the shuffles.

    Returns:
        The pairs, sorted, and the number of bits (P,) in which each differs.
    """
    count, rng = len(words), np.random.default_rng(seed)
    columns = [np.ascontiguousarray(column) for column in words.T]
    if count <= few:
        keys = _side_by_side(columns, np.arange(count), (beyond, distance), count)
    else:
        bits, keys = _bits(words[:, :1]), _NONE
        for _ in range(ORDERS):
            order = _sorted_by(bits[rng.permutation(len(bits))[:_KEY_BITS]])
            new = _side_by_side([column[order] for column in columns], order, (beyond, distance), WINDOW)
            keys = _once(np.concatenate([keys, new]))
            if enough is not None and len(keys) > 2 * enough:
                keys, distance = _nearest(keys, words, enough)
    keys = _once(keys)
    return np.stack(np.divmod(keys, max(count, 1)), axis=1), _apart(keys, words).astype(np.int64)


def _bits(words: Hashes) -> NDArray[np.uint8]:
    """Words (N, 1) as bits (64, N) of 0 and 1, without holding them twice."""
    bits = np.empty((64, len(words)), np.uint8)
    for first in range(0, len(words), _AT_ONCE):
        bits[:, first : first + _AT_ONCE] = unpack(words[first : first + _AT_ONCE]).T
    return bits


def _apart(keys: NDArray[np.int64], words: Hashes) -> NDArray[np.uint8]:
    """In how many bits the pairs (P,) differ; their hashes are brought together some at a time."""
    different = np.empty(len(keys), np.uint8)
    for first in range(0, len(keys), _AT_ONCE):
        a, b = np.divmod(keys[first : first + _AT_ONCE], len(words))
        different[first : first + _AT_ONCE] = hamming(words[a], words[b])
    return different


def _once(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each number once, in order: `np.unique` of numpy 2.4 took .95 s for a million, sorting .015 s."""
    keys = np.sort(keys)
    once: NDArray[np.int64] = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    return once


def _nearest(keys: NDArray[np.int64], words: Hashes, enough: int) -> tuple[NDArray[np.int64], int]:
    """Of more pairs than `enough` those that differ no more than the nearest `enough` do, and that number of bits."""
    different = _apart(keys, words)
    reach = int(np.searchsorted(np.bincount(different).cumsum(), enough))
    return keys[different <= reach], reach


def _sorted_by(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions (N,) in the order of the numbers that bits (32, N) spell, the first bit the highest."""
    key = np.zeros(bits.shape[1], np.uint32)
    for bit in bits:
        key = (key << 1) | bit
    # Key and position in one number: sorting that is twice as fast as argsort.
    both = (key.astype(np.uint64) << 32) | np.arange(len(key), dtype=np.uint64)
    both.sort()
    return (both & 0xFFFFFFFF).astype(np.int64)


def _side_by_side(
    columns: list[NDArray[np.uint64]], order: NDArray[np.int64], bits: tuple[int, int], window: int
) -> NDArray[np.int64]:
    """Near pairs among ordered hashes, given word by word, that stand at most `window` places apart.

    They differ in more bits than the first of `bits` and at most in the second. Each as the lower position times N
    plus the higher.
    """
    count, found, (beyond, most) = len(order), [_NONE], bits
    for step in range(1, min(window, count - 1) + 1):
        different = np.zeros(count - step, np.uint8)
        for column in columns:
            different += np.bitwise_count(column[:-step] ^ column[step:])
        near = np.flatnonzero(different <= most)
        near = near[different[near] > beyond]
        a, b = order[near], order[near + step]
        found.append(np.minimum(a, b) * count + np.maximum(a, b))
    return np.concatenate(found)
