"""Curves of several runs over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mien.evaluate.lettering import plain
from mien.evaluate.plots import GREY, INK, PALE

# Okabe and Ito 2008: told apart with every kind of colour vision. From the ninth run on lines are dashed as well.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
_STYLES = ("-", "--", ":")
Histories = Mapping[str, Sequence[Mapping[str, float]]]


def overlaid(histories: Histories) -> Figure:
    """Validation accuracy and loss by epoch, a colour a run; thin and pale the same on training pictures."""
    figure = Figure(figsize=(9, 4.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    _draw(left, histories, "accuracy")
    _draw(right, histories, "loss")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    left.set_title("Accuracy", loc="left", color=INK, fontsize=11, weight="bold")
    _keep_readable(right)
    right.set_title("Loss (nats)", loc="left", color=INK, fontsize=11, weight="bold")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    figure.supxlabel("thick: validation, with its best epoch · thin: training pictures", color=GREY, fontsize=8)
    return figure


def _draw(axes: Axes, histories: Histories, figure: str) -> None:
    for place, (name, rows) in enumerate(histories.items()):
        colour, style = _COLOURS[place % len(_COLOURS)], _STYLES[place // len(_COLOURS) % len(_STYLES)]
        x, y = _points(rows, f"val_{figure}")
        axes.plot(x, y, color=colour, linestyle=style, linewidth=2, label=plain(name))
        axes.plot(*_points(rows, f"train_eval_{figure}"), color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
        if y:
            best = y.index(max(y) if figure == "accuracy" else min(y))
            axes.plot(x[best], y[best], marker="o", markersize=6, color=colour)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch", color=GREY, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(color=PALE, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=PALE, linewidth=0.6)


def _keep_readable(axes: Axes) -> None:
    """A logarithmic scale where one run's excursion would press all others flat."""
    values = [float(y) for line in axes.get_lines() for y in np.asarray(line.get_ydata(), float) if y > 0]
    if values and max(values) > 10 * min(values):
        axes.set_yscale("log")


def _points(rows: Sequence[Mapping[str, float]], column: str) -> tuple[list[float], list[float]]:
    kept = [row for row in rows if column in row]
    return [row["epoch"] for row in kept], [row[column] for row in kept]
