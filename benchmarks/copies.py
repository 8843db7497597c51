"""Finding copies in made-up sets of growing size: time, memory, and what is found of the copies that were put in.

    python benchmarks/copies.py [--sizes 8000 32000 128000 500000] [--packed FER]

Each set holds pictures of 48×48 with the spectrum of natural ones around a common mean face, so that they resemble
one another as faces do, and 10 % altered copies, of every kind in turn, half of them mirrored. With --packed, copies
are planted among the pictures of that set in which none were found instead, and `false_pairs` are those in which a
planted copy is taken for one of another picture. Each set is searched in a process of its own; memory is the peak of
what the process holds itself, without the pages of the memory-mapped pictures.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mien.data.audit.copies import find_copies, of
from mien.data.dataset import load
from mien.data.drawn.sets import Plan, draw_plan
from mien.data.pixel_file import PixelFile

Change = Callable[[Image.Image], Image.Image]
SIDE, BLOCK, COPIED = 48, 2000, 0.1


def scenes(count: int, face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Different pictures (count, 48, 48): random waves of amplitude 1/f over the mean face."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    shape = (count, *frequency.shape)
    waves = np.fft.irfft2((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.maximum(frequency, 1 / SIDE))
    waves = (waves - waves.mean((1, 2), keepdims=True)) / waves.std((1, 2), keepdims=True)
    return np.clip(128 + 40 * (0.7 * waves + 0.7 * face), 0, 255).astype(np.uint8)


def jpeg(quality: int) -> Change:
    """Through JPEG."""

    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("L")

    return change


def blur(radius: float) -> Change:
    """Blurred by a Gauss of this deviation in px."""
    return lambda picture: picture.filter(ImageFilter.GaussianBlur(radius))


def through(side: int) -> Change:
    """Resized to `side` and back."""
    return lambda picture: picture.resize((side, side), Image.Resampling.BICUBIC).resize((SIDE, SIDE))


def light(gain: float, more: float) -> Change:
    """Other contrast and brightness, cut off at black and white."""
    return lambda picture: picture.point(lambda level: min(max(gain * level + more, 0), 255))


def cut(pixels: float) -> Change:
    """Cut by so many px at the left and half as many at the top, and enlarged to the full size again."""
    box = (pixels, pixels / 2, SIDE, SIDE - pixels / 2)
    return lambda picture: picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


KINDS: dict[str, Change] = {
    **{f"jpeg {quality}": jpeg(quality) for quality in (90, 60, 30)},
    **{f"blur {radius} px": blur(radius) for radius in (0.5, 1, 2)},
    **{f"through {side} px": through(side) for side in (64, 36, 24)},
    **{f"contrast {gain}": light(gain, 128 * (1 - gain)) for gain in (0.7, 0.4)},
    **{f"brightness {more:+}": light(1, more) for more in (40, -40)},
    **{f"cut by {pixels} px": cut(pixels) for pixels in (1, 2, 4)},
}


def altered(images: np.ndarray, first: int) -> np.ndarray:
    """Copies: the kinds of alteration in turn, every other one mirrored."""
    kinds = list(KINDS.values())
    copies = [np.asarray(kinds[(first + i) % len(kinds)](Image.fromarray(p))) for i, p in enumerate(images)]
    return np.stack([copy[:, ::-1] if (first + i) // len(kinds) % 2 else copy for i, copy in enumerate(copies)])


def made_up(count: int) -> Iterator[np.ndarray]:
    """`count` different pictures, block by block."""
    rng = np.random.default_rng(0)
    face = draw_plan(Plan(count=140)).images.mean(0)
    face = (face - face.mean()) / face.std()
    return (scenes(min(BLOCK, count - first), face, rng) for first in range(0, count, BLOCK))


def alone(packed: Path) -> Iterator[np.ndarray]:
    """The pictures of a packed set that have no copy in it, shuffled."""
    data = load(packed)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(of(data).group < 0))
    return (data.images[rows[first : first + BLOCK]] for first in range(0, len(rows), BLOCK))


def with_copies(originals: Iterator[np.ndarray], copied: int) -> Iterator[np.ndarray]:
    """The pictures, and altered copies of the first `copied` of them after them."""
    kept, first = [], 0
    for block in originals:
        kept.append(block[: max(copied - first, 0)])
        first += len(block)
        yield block
    first = 0
    for block in kept:
        if len(block):
            yield altered(block, first)
        first += len(block)


def held() -> int:
    """Bytes of memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def measure(path: Path, copied: int) -> dict[str, object]:
    """Find the copies in the pictures at `path`, of which the last are copies of the first."""
    images = np.load(path, mmap_mode="r", allow_pickle=False)
    peak, done = [held()], threading.Event()
    watcher = threading.Thread(target=lambda: [peak.append(held()) for _ in iter(lambda: done.wait(0.05), True)])
    watcher.start()
    started = time.perf_counter()
    copies = find_copies(images)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    count = len(images)
    found = {(int(a), int(b), bool(m)) for (a, b), m in zip(copies.pairs, copies.mirrored, strict=True)}
    kinds = list(KINDS)
    planted = [(i, count - copied + i, bool(i // len(kinds) % 2)) for i in range(copied)]
    recall = {kind: np.mean([p in found for p in planted[k :: len(kinds)]]).round(4) for k, kind in enumerate(kinds)}
    return {
        "pictures": count,
        "seconds": round(seconds, 1),
        "own_mb": round(max(peak) / 1e6),
        "false_pairs": sum(b >= count - copied for _, b, _ in found - set(planted)),
        **recall,
    }


def search(originals: Iterator[np.ndarray], copied: int) -> None:
    """Write a set and measure it in a fresh process, which prints a line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        with PixelFile(path, (SIDE, SIDE)) as file:
            for block in with_copies(originals, copied):
                file.append(block)
        subprocess.run([sys.executable, __file__, "--measure", str(path), str(copied)], check=True)


def main() -> None:
    """Measure each size, or the packed set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8_000, 32_000, 128_000, 500_000])
    parser.add_argument("--packed", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(Path(options.measure[0]), int(options.measure[1]))), flush=True)
    elif options.packed is not None:
        search(alone(options.packed), int(COPIED * len(load(options.packed))))
    else:
        for count in options.sizes:
            copied = int(COPIED * count)
            search(made_up(count - copied), copied)


if __name__ == "__main__":
    main()
