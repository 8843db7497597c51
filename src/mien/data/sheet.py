"""What a data set looks like: a bar chart of its counts and a sheet of samples, as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from mien.core.files import atomic_path
from mien.data.dataset import Dataset

# Distinguishable for all kinds of colour vision (Okabe and Ito 2008).
SPLIT_COLOURS = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73"}
UNLABELLED = "(no label)"
_TALLEST = 60  # classes beyond this make a chart nobody reads


def write_counts(dataset: Dataset, path: Path) -> None:
    """A horizontal bar for each class, in pieces for the splits, with the number at its end."""
    counts = dataset.info.counts
    names = [*dataset.info.labels[:_TALLEST], *([UNLABELLED] if any(UNLABELLED in c for c in counts.values()) else [])]
    figure = Figure(figsize=(8, 1.2 + 0.36 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    left = np.zeros(len(names))
    for split, row in counts.items():
        values = np.array([row.get(name, 0) for name in names])
        axes.barh(
            [*map(_plain, names)],
            values,
            left=left,
            label=f"{split} {sum(row.values()):,}",
            color=SPLIT_COLOURS.get(split),
        )
        left += values
    _decorate(axes, dataset, left)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _decorate(axes: Any, dataset: Dataset, totals: NDArray[np.float64]) -> None:
    whole = max(len(dataset), 1)
    for place, total in enumerate(totals):
        axes.annotate(f" {int(total):,} ({total / whole:.1%})", (total, place), va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(totals.max(initial=1) * 1.18, 1))
    axes.set_xlabel("pictures")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    info = dataset.info
    some = f", the first {_TALLEST} of {len(info.labels)} classes" if len(info.labels) > _TALLEST else ""
    axes.set_title(_plain(f"{info.name}: {info.count:,} pictures of {info.width}×{info.height}{some}"))
    axes.spines[["top", "right"]].set_visible(False)
    # Below the axes, where it covers no bar.
    axes.figure.legend(loc="outside lower right", ncols=3, frameon=False)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def write_samples(dataset: Dataset, path: Path, *, columns: int = 12, seed: int = 0) -> None:
    """A row of `columns` pictures for each class, drawn at random by `seed`, its name and number in front."""
    rng = np.random.default_rng(seed)
    side = min(max(dataset.info.height, dataset.info.width), 96)
    rows = [np.flatnonzero(dataset.label == label) for label in range(min(len(dataset.info.labels), _TALLEST))]
    margin = 0.3 + 0.09 * max(map(len, dataset.info.labels))
    figure = Figure(figsize=(margin + columns * 0.62, 0.3 + 0.66 * len(rows)))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=margin / figure.get_figwidth(), right=0.995, top=0.99, bottom=0.01)
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, name, members in zip(grid, dataset.info.labels, rows, strict=False):
        chosen = np.sort(rng.permutation(members)[:columns])
        axes.imshow(_strip(dataset, chosen, columns, side), interpolation="nearest")
        axes.set_ylabel(
            f"{_plain(name)}\n{len(members):,}", rotation=0, ha="right", va="center", fontsize=9, labelpad=6
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _strip(dataset: Dataset, chosen: NDArray[np.int64], columns: int, side: int) -> NDArray[np.uint8]:
    """Pictures side by side as (side, columns·(side + gap), 3), white where there are none."""
    gap = max(side // 16, 1)
    strip = np.full((side, columns * (side + gap), 3), 255, np.uint8)
    for place, row in enumerate(chosen.tolist()):
        picture = Image.fromarray(np.asarray(dataset.images[row])).convert("RGB")
        picture.thumbnail((side, side))
        pixels = np.asarray(picture)
        left = place * (side + gap)
        strip[: pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return strip
