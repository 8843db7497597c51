"""How the pictures of an explanation look: a title, lines that explain, and axes that keep in the background."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.evaluate.lettering import plain
from mien.evaluate.plots import GREY, INK, PALE

_MARGIN, _TITLE, _LINE = 0.15, 0.26, 0.17  # inches
_SIZE = 8  # points of the explaining lines


def titled(width: float, height: float, title: str, about: str) -> Figure:
    """An empty figure with room for axes of `height` inches below a title and its explanation, flush left.

    The explanation is wrapped to `width` inches; the figure grows by what title and lines need.
    """
    lines = [line for part in about.split("\n") for line in textwrap.wrap(part, int(width * 15.5))]
    header = _MARGIN + _TITLE + _LINE * len(lines) + 0.1
    whole = height + header
    figure = Figure(figsize=(width, whole), layout="constrained", facecolor="white")
    engine = figure.get_layout_engine()
    assert engine is not None  # "constrained" was asked for
    engine.set(rect=(0.0, 0.0, 1.0, 1 - header / whole))  # type: ignore[call-arg]
    left = _MARGIN / width
    figure.text(left, 1 - _MARGIN / whole, plain(title), va="top", fontsize=11, weight="bold", color=INK)
    place = 1 - (_MARGIN + _TITLE) / whole
    text = plain("\n".join(lines))
    figure.text(left, place, text, va="top", fontsize=_SIZE, color=GREY, linespacing=1.4)
    return figure


def quiet(axes: Axes) -> None:
    """Only the axes that are read, in pale grey."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(color=PALE, labelcolor=INK, labelsize=8)


def bare(axes: Axes) -> None:
    """Axes for a picture: no ticks, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
