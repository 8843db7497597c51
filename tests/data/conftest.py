"""Small sources of every kind, written by hand so that the tests know each byte of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 4


def pixels_of(seed: int, *, side: int = SIDE) -> np.ndarray:
    """A random grey picture (side, side)."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def text_of(pixels: np.ndarray) -> str:
    """Pixels as fer2013.csv writes them."""
    return " ".join(map(str, pixels.reshape(-1).tolist()))


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """`picture(seed, side=4)`: a random grey picture."""
    return pixels_of


@pytest.fixture
def as_text() -> Callable[[np.ndarray], str]:
    """`as_text(pixels)`: the pixels as fer2013.csv writes them."""
    return text_of


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """`write_csv([(label, pixels, usage), …])`: a fer2013.csv; pixels is a seed or the text of the cell."""

    def write(rows: list[tuple[object, int | str, str]], name: str = "fer2013.csv") -> Path:
        lines = ["emotion,pixels,Usage"]
        for label, pixels, usage in rows:
            cell = pixels if isinstance(pixels, str) else text_of(pixels_of(pixels))
            lines.append(f"{label},{cell},{usage}")
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def write_pictures(tmp_path: Path) -> Callable[..., Path]:
    """`write_pictures({"train/angry/a.png": seed or pixels}, "faces")`: picture files under a new folder."""

    def write(files: dict[str, int | np.ndarray], root: str = "faces") -> Path:
        for name, what in files.items():
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_of(what) if isinstance(what, int) else what).save(path)
        return tmp_path / root

    return write
