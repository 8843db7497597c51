"""The picture of a learning-rate range test."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.evaluate.plots import BLUE, GREY, INK, PALE
from mien.train.rate_range import RateRange


def plot(found: RateRange, title: str) -> Figure:
    """Loss over the learning rate, with the three rates that were found."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color=PALE, linewidth=1)
    axes.plot(found.rates, found.smoothed, color=BLUE, linewidth=2)
    for name, rate, side in (("falls fastest", found.steepest, "right"), ("lowest", found.lowest, "left")):
        _mark(axes, rate, f"{name}\n{rate:.2g}", side=side, colour=GREY)
    _mark(axes, found.suggestion, f"suggestion\n{found.suggestion:.2g}", side="center", colour=INK)
    axes.set_xscale("log")
    low, high = np.percentile(found.losses, [2, 95])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.35 * (high - low))
    axes.set_xlabel("learning rate", color=GREY)
    axes.set_ylabel("training loss of the step", color=GREY)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    return figure


def _mark(axes: Axes, rate: float, text: str, *, side: str, colour: str) -> None:
    """A line at a rate, with its name beside it, or below the others' in the middle."""
    centred = side == "center"
    axes.axvline(rate, color=colour, linewidth=1.2 if centred else 0.8, linestyle="-" if centred else ":")
    axes.annotate(
        text,
        (rate, 0.84 if centred else 0.98),
        xycoords=("data", "axes fraction"),
        xytext=({"left": 4, "right": -4, "center": 0}[side], 0),
        textcoords="offset points",
        ha=side,
        va="top",
        fontsize=8,
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )
