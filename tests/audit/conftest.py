"""Pictures that several tests of the audit look at, and what happens to copies of them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mien.data.drawn.sets import Plan, draw_plan

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def drawn() -> np.ndarray:
    """420 drawn faces of 48×48 px, uint8; not to be changed."""
    images = draw_plan(Plan(count=420)).images
    images.flags.writeable = False
    return images


def _scenes(count: int, *, side: int = 48, seed: int = 0) -> Pixels:
    """Pictures (count, side, side) with the spectrum of natural ones (amplitude 1/f) and some noise, all different."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    amplitude = 1 / np.maximum(frequency, 1 / side)
    phase = np.exp(2j * np.pi * rng.random((count, *amplitude.shape)))
    waves = np.fft.irfft2(phase * amplitude * rng.rayleigh(size=phase.shape), s=(side, side))
    waves = (waves - waves.mean((1, 2), keepdims=True)) / waves.std((1, 2), keepdims=True)
    return np.clip(128 + 45 * waves + rng.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def scenes() -> Callable[..., Pixels]:
    """`scenes(count, side=48, seed=0)`: pictures with the spectrum of natural ones, all different."""
    return _scenes


def _by_pillow(change: Callable[[Image.Image], Image.Image]) -> Callable[[Pixels], Pixels]:
    return lambda images: np.stack([np.asarray(change(Image.fromarray(picture))) for picture in images])


def _jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("L")

    return change


def _through(side: int) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.resize((side, side), Image.Resampling.BICUBIC).resize(picture.size)


def _cut(left: float, top: float, side: float) -> Callable[[Image.Image], Image.Image]:
    box = (left, top, left + side, top + side)
    return lambda picture: picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)


ALTERATIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "jpeg 90": _by_pillow(_jpeg(90)),
    "jpeg 50": _by_pillow(_jpeg(50)),
    "blur 0.5 px": _by_pillow(lambda picture: picture.filter(ImageFilter.GaussianBlur(0.5))),
    "blur 1 px": _by_pillow(lambda picture: picture.filter(ImageFilter.GaussianBlur(1))),
    "through 64 px": _by_pillow(_through(64)),
    "through 40 px": _by_pillow(_through(40)),
    "cut by 1 px": _by_pillow(_cut(1, 0.5, 46.5)),
    "darker": lambda images: (images * 0.7 + 5).astype(np.uint8),
    "brighter": lambda images: (images * 0.8 + 50).astype(np.uint8),
    "gamma 0.7": lambda images: (255 * (images / 255) ** 0.7).astype(np.uint8),
}


@pytest.fixture(params=ALTERATIONS)
def altered(request: pytest.FixtureRequest) -> Callable[[Pixels], Pixels]:
    """Each way in turn in which copies come to differ."""
    return ALTERATIONS[request.param]
