"""A finding's charts as SVG text for the page."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mien.data.audit.finding import Plot
from mien.page.drawing import INK, LINE, SOFT, svg

# Okabe and Ito 2008: told apart with every kind of colour vision, and readable on light and dark pages.
_OF_SPLITS = {"train": "#0072B2", "val": "#E69F00", "test": "#009E73"}
_OTHERS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73", "#56B4E9")


_TALLEST = 60  # names beyond this make a chart that nobody reads and that takes seconds to draw


def draw(plot: Plot, *, salt: str) -> str:
    """The chart as an inline SVG element; `salt` keeps its inner names apart from those of others on the page."""
    plot = _cut(plot)
    bars = isinstance(plot.x, tuple)
    height = 1.1 + (0.16 + 0.13 * len(plot.series)) * len(plot.x) if bars else 2.8
    figure = Figure(figsize=(4.6, max(height, 2.0)), layout="constrained")
    axes = figure.subplots()
    _bars(axes, plot) if bars else _lines(axes, plot)
    axes.set_title(_plain(plot.title), color=INK, fontsize=11, loc="left")
    _dress(axes, plot)
    if len(plot.series) > 1:
        figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=10, labelcolor=INK)
    return svg(figure, salt=salt)


def _cut(plot: Plot) -> Plot:
    """The plot with the first `_TALLEST` of its names, which its title then says."""
    if not isinstance(plot.x, tuple) or len(plot.x) <= _TALLEST:
        return plot
    series = {name: values[:_TALLEST] for name, values in plot.series.items()}
    title = f"{plot.title}: the first {_TALLEST} of {len(plot.x):,}"
    return replace(plot, title=title, x=plot.x[:_TALLEST], series=series)


def _colours(plot: Plot) -> dict[str, str]:
    others = cycle(_OTHERS)
    if set(plot.series) <= set(_OF_SPLITS):
        return {name: _OF_SPLITS[name] for name in plot.series}
    return {name: next(others) for name in plot.series}


def _bars(axes: Axes, plot: Plot) -> None:
    """Horizontal bars, one group a name, the value at the end of each."""
    colours, count = _colours(plot), len(plot.series)
    thickness = 0.8 / count
    for place, (name, values) in enumerate(plot.series.items()):
        at = np.arange(len(plot.x)) - 0.4 + (place + 0.5) * thickness
        axes.barh(at, values, height=0.9 * thickness, color=colours[name], label=_plain(name))
        for y, value in zip(at, values, strict=True):
            axes.annotate(f" {value:,.6g}", (value, y), va="center", fontsize=8, color=SOFT)
    axes.set_yticks(range(len(plot.x)), [_plain(str(name)) for name in plot.x])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(float(np.max(values, initial=0)) for values in plot.series.values()) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter("{x:,.6g}")


def _lines(axes: Axes, plot: Plot) -> None:
    colours = _colours(plot)
    for name, values in plot.series.items():
        axes.plot(plot.x, values, color=colours[name], linewidth=1.8, label=_plain(name))
    axes.set_ylabel(_plain(plot.y_title), color=SOFT, fontsize=10)
    axes.set_ylim(bottom=min(0.0, *(float(np.min(values, initial=0)) for values in plot.series.values())))


def _dress(axes: Axes, plot: Plot) -> None:
    axes.set_xlabel(_plain(plot.x_title), color=SOFT, fontsize=10)
    axes.grid(axis="x" if isinstance(plot.x, tuple) else "y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(color=LINE, labelcolor=INK, labelsize=10, length=0)


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
