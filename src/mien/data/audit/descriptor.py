"""What a picture shows, in few numbers that brightness, contrast, blur and recompression hardly move."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

COEFFICIENTS = 128
# A picture whose grey levels deviate less than this shows nothing to compare.
FLAT = 2.0
# So many values are worked on at once: what numpy makes of them on the way stays around 100 MB.
_VALUES = 2**22
# ITU-R 601, as `core.picture` and pillow turn colour into grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def blocks(count: int, images: Pixels) -> Iterator[slice]:
    """Slices that cover 0…count, of so many pictures like `images` that a memory-mapped set never is in memory."""
    size = max(_VALUES // max(int(np.prod(images.shape[1:])), 1), 1)
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def grey(images: Pixels) -> Floats:
    """Pictures (n, H, W) or (n, H, W, 3) as grey levels (n, H, W), 0 to 255."""
    pixels = np.asarray(images).astype(np.float32)
    return pixels if pixels.ndim == 3 else pixels @ _LUMA


@lru_cache(maxsize=16)
def frequencies(count: int = COEFFICIENTS) -> NDArray[np.int64]:
    """The `count` lowest spatial frequencies (count, 2) as half periods down and across; (0, 0) is not among them."""
    side = int(count**0.5) * 2 + 2
    down, across = np.divmod(np.arange(1, side * side), side)
    order = np.lexsort((across, down, down**2 + across**2))[:count]
    return np.stack([down, across], axis=1)[order]


def odd(count: int = COEFFICIENTS) -> NDArray[np.bool_]:
    """Which coefficients (count,) change their sign, and nothing else, when a picture is mirrored left to right."""
    return np.asarray(frequencies(count)[:, 1] % 2 == 1, np.bool_)


@lru_cache(maxsize=16)
def _waves(length: int, count: int) -> Floats:
    """The first `count` waves of the DCT-II (count, length), whatever the number of pixels: sizes can be compared."""
    places = (np.arange(length) + 0.5) / length
    return np.cos(np.pi * np.arange(count)[:, None] * places).astype(np.float32)


def coefficients(images: Pixels) -> Floats:
    """The lowest DCT coefficients (n, COEFFICIENTS) of pictures (n, H, W[, 3]), each row of length 1.

    Leaving the mean out and the length at 1 makes a row independent of brightness and contrast; low frequencies
    keep through blur, resizing and recompression. A flat picture gives a row of zeros.
    """
    pixels = grey(images)
    down, across = frequencies().T
    waves_down = _waves(pixels.shape[1], int(down.max()) + 1)
    waves_across = _waves(pixels.shape[2], int(across.max()) + 1)
    across_first = pixels.reshape(-1, pixels.shape[2]) @ waves_across.T
    spectrum = waves_down @ across_first.reshape(*pixels.shape[:2], -1)
    return unit_rows(spectrum[:, down, across], keep=deviation(pixels) >= FLAT)


def thumbnails(images: Pixels, side: int) -> Floats:
    """Grey pictures (n, side, side), each averaged over equal areas."""
    pixels = grey(images)
    return np.asarray(areas(pixels.shape[1], side) @ pixels @ areas(pixels.shape[2], side).T, np.float32)


@lru_cache(maxsize=16)
def areas(length: int, parts: int) -> Floats:
    """The matrix (parts, length) that averages `length` pixels over `parts` equal areas, shared pixels by share."""
    edges = np.linspace(0, length, parts + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (overlap.clip(0) * parts / length).astype(np.float32)


def deviation(pixels: Floats) -> Floats:
    """Standard deviation (n,) of the grey levels of pictures (n, H, W)."""
    return np.asarray(pixels.reshape(len(pixels), -1).std(1), np.float32)


def unit_rows(rows: Floats, *, keep: NDArray[np.bool_]) -> Floats:
    """Rows (n, d) at length 1; those that are not kept, and rows of zeros, as zeros."""
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    scale = np.where(keep & (length > 0), 1 / np.maximum(length, 1e-12), 0)
    return (rows * scale[:, None]).astype(np.float32)
