"""Pictures of an evaluation: the confusion matrix and the reliability diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from mien.core.files import atomic_path
from mien.evaluate.lettering import lettered, plain, shown
from mien.evaluate.metrics import Metrics, wilson

# One hue from light to dark reads the same with every kind of colour vision, and in print.
SHADES, BLUE = "Blues", "#0B559F"
INK, GREY, PALE = "#222222", "#6B6B6B", "#D9D9D9"
MOST_NUMBERED = 16
PIXELS_AN_INCH = 144
_MARGIN, _HEADER = 0.15, 0.75  # inches


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG atomically. Figures are made without pyplot, so nothing global is touched.

    Letters that matplotlib's own font lacks are drawn with another one of this machine.
    """
    with atomic_path(path) as temporary:
        lettered(figure).savefig(temporary, format="png", dpi=PIXELS_AN_INCH)


def confusion(metrics: Metrics, title: str) -> Figure:
    """Right classes in rows, answers in columns; colour and the large figure are shares of the row.

    Above `MOST_NUMBERED` classes only the colour is left.
    """
    counts = np.array(metrics.confusion)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    numbered = len(counts) <= MOST_NUMBERED
    side = 2.2 + (0.68 if numbered else 0.16) * len(counts)
    cells = (
        "Cells: % of the label's pictures, and their number" if numbered else "Colour: share of the label's pictures"
    )
    figure = _figure(max(side, 5.0), side + _HEADER, title, f"{_accuracy(metrics)}\n{cells}")
    axes = figure.subplots()
    axes.imshow(share, cmap=SHADES, vmin=0, vmax=1)
    if numbered:
        _write_cells(axes, counts, share)
    labels = shown(metrics.labels)
    names = [f"{name} ({one.support:,})" for name, one in zip(labels, metrics.classes, strict=True)]
    axes.set_xticks(range(len(counts)), labels, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(counts)), names)
    axes.tick_params(length=0, pad=2, labelsize=9 if numbered else 5, colors=INK, top=True, labeltop=True)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.set_xlabel("answer", color=GREY, fontsize=9)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("label (pictures)", color=GREY, fontsize=9)
    _separate_cells(axes, len(counts))
    return figure


def _write_cells(axes: Axes, counts: NDArray[np.int64], share: NDArray[np.float64]) -> None:
    for (i, j), part in np.ndenumerate(share):
        centred: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if part > 0.55 else INK}
        if counts[i, j] == 0 and i != j:
            axes.text(j, i, "·", fontsize=11, **centred | {"color": GREY})
            continue
        percent = f"{100 * part:.0f}" if counts[i].sum() else "–"
        axes.text(j, i - 0.1, percent, fontsize=11, weight="bold" if i == j else "normal", **centred)
        axes.text(j, i + 0.26, f"{counts[i, j]:,}", fontsize=6.5, **centred)


def _separate_cells(axes: Axes, count: int) -> None:
    axes.set_xticks(np.arange(-0.5, count), minor=True)
    axes.set_yticks(np.arange(-0.5, count), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


def reliability(metrics: Metrics, title: str) -> Figure:
    """Accuracy against the probability of the answer in equal bins, over how many answers fall into each."""
    about = (
        f"{_accuracy(metrics)}, calibration error {100 * metrics.calibration_error:.1f} points\n"
        "Below the dashed line, answers are surer than they are right. Bars: 95 % intervals"
    )
    figure = _figure(5.4, 6.0 + _HEADER, title, about)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    _draw_accuracy(upper, metrics)
    bins = len(metrics.reliability.count)
    lower.bar((np.arange(bins) + 0.5) / bins, metrics.reliability.count, width=0.88 / bins, color=PALE)
    lower.set_ylabel("pictures", color=GREY, fontsize=9)
    lower.set_xlabel("probability of the answer", color=GREY, fontsize=9)
    lower.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(PALE)
        axes.tick_params(color=PALE, labelcolor=INK, labelsize=9)
    return figure


def _draw_accuracy(axes: Axes, metrics: Metrics) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    bins = metrics.reliability
    for n, sure, right in zip(bins.count, bins.confidence, bins.accuracy, strict=True):
        interval = wilson(round((right or 0) * n), n)
        if sure is not None and right is not None and interval is not None:
            axes.vlines(sure, interval.low, interval.high, color=BLUE, linewidth=1.4, alpha=0.45)
            # A hollow point stands for so few pictures that its place means little.
            face = BLUE if n >= 10 else "white"
            axes.plot(sure, right, color=BLUE, marker="o", markersize=6, markerfacecolor=face, clip_on=False, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("right answers", color=GREY, fontsize=9)


def _accuracy(metrics: Metrics) -> str:
    interval = metrics.accuracy_interval
    return (
        f"{metrics.count:,} pictures, accuracy {100 * metrics.accuracy:.1f} % "
        f"({100 * interval.low:.1f}–{100 * interval.high:.1f})"
    )


def _figure(width: float, height: float, title: str, about: str) -> Figure:
    """An empty figure with a title and two explaining lines, flush left; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    engine = figure.get_layout_engine()
    assert engine is not None  # "constrained" was asked for
    engine.set(rect=(0, 0, 1, 1 - _HEADER / height))  # type: ignore[call-arg]
    left = _MARGIN / width
    figure.text(left, 1 - _MARGIN / height, plain(title), va="top", fontsize=11, weight="bold", color=INK)
    figure.text(left, 1 - (_MARGIN + 0.24) / height, about, va="top", fontsize=8, color=GREY, linespacing=1.4)
    return figure
