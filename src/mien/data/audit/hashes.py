"""Perceptual hashes: 128 bits a picture, near in Hamming distance for pictures that look the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.descriptor import COEFFICIENTS, Floats, Pixels, blocks, coefficients, odd
from mien.data.formats.base import Progress

Hashes = NDArray[np.uint64]
WORDS = COEFFICIENTS // 64
# Enough for medians within one percent of the pictures, and read in a second.
_SAMPLE = 20_000
# In smaller sets a median would lie between two copies often enough to tear their hashes apart.
_FEWEST = 100


def thresholds(images: Pixels, *, seed: int = 0) -> Floats:
    """Medians (COEFFICIENTS,) of the coefficients over at most 20,000 pictures, so that every bit divides the set.

    Those that change sign in the mirror get 0: a hash and the hash of the mirror image then need the same figures.
    Sets of fewer than a hundred pictures get zeros.
    """
    rows = np.arange(len(images))
    if len(images) > _SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(len(images), _SAMPLE, replace=False))
    values = [coefficients(images[rows[part]]) for part in blocks(len(rows), images)]
    seen = np.concatenate([block[block.any(1)] for block in values]) if values else np.zeros((0, COEFFICIENTS))
    if len(seen) < _FEWEST:
        return np.zeros(COEFFICIENTS, np.float32)
    return np.where(odd(), 0, np.median(seen, axis=0)).astype(np.float32)


def hashes(images: Pixels, middle: Floats, *, tell: Progress | None = None) -> tuple[Hashes, Hashes, NDArray[np.bool_]]:
    """Hashes (N, WORDS) of pictures, of their mirror images, and which pictures (N,) are flat and so without one.

    Bit i says whether coefficient i exceeds `middle[i]`.
    """
    plain, mirrored = np.zeros((2, len(images), WORDS), np.uint64)
    flat = np.zeros(len(images), bool)
    sign = np.where(odd(), -1, 1).astype(np.float32)
    for part in blocks(len(images), images):
        values = coefficients(images[part])
        plain[part], mirrored[part] = pack(values > middle), pack(values * sign > middle)
        flat[part] = ~values.any(1)
        if tell is not None:
            tell(part.stop, len(images))
    return plain, mirrored, flat


def pack(bits: NDArray[np.bool_]) -> Hashes:
    """Bits (n, 64·w) as words (n, w), the first bit the highest of the first word, on every machine."""
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8").astype(np.uint64)


def unpack(words: Hashes) -> NDArray[np.uint8]:
    """Words (n, w) as bits (n, 64·w) of 0 and 1: the inverse of `pack`."""
    return np.unpackbits(np.ascontiguousarray(words, ">u8").view(np.uint8), axis=1)


def hamming(a: Hashes, b: Hashes) -> NDArray[np.int64]:
    """Number of bits (n,) in which words (n, w) differ."""
    return np.asarray(np.bitwise_count(a ^ b).sum(axis=1), np.int64)
