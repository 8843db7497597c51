"""Curves and pictures of the report, as text that goes into the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

# Stand-ins that become the page's own colours, so that the curves follow its light or dark scheme.
_COLOURS = {"#010101": "var(--ink)", "#020202": "var(--soft)", "#030303": "var(--line)", "#040404": "var(--accent)"}
_INK, _SOFT, _LINE, _ACCENT = _COLOURS


class CurvesLike(Protocol):
    """The attributes of `report.Curves` that are drawn."""

    @property
    def epoch(self) -> tuple[int, ...]: ...
    @property
    def train_accuracy(self) -> tuple[float, ...]: ...
    @property
    def val_accuracy(self) -> tuple[float, ...]: ...
    @property
    def train_loss(self) -> tuple[float, ...]: ...
    @property
    def val_loss(self) -> tuple[float, ...]: ...
    @property
    def best_epoch(self) -> int: ...


def accuracy_curve(curves: CurvesLike) -> str:
    """SVG of training and validation accuracy by epoch."""
    return _curve(curves, curves.train_accuracy, curves.val_accuracy, share=True)


def loss_curve(curves: CurvesLike) -> str:
    """SVG of training and validation loss by epoch."""
    return _curve(curves, curves.train_loss, curves.val_loss, share=False)


def picture_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture as a data URI (PNG)."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _curve(curves: CurvesLike, train: Sequence[float], val: Sequence[float], *, share: bool) -> str:
    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for values, colour, name in ((train, _SOFT, "training pictures"), (val, _ACCENT, "validation pictures")):
        if values:
            axes.plot(curves.epoch, values, color=colour, linewidth=2.2, label=name, marker="o", markersize=3)
    axes.axvline(curves.best_epoch, color=_SOFT, linewidth=1, linestyle=(0, (3, 3)))
    kept = axes.get_xaxis_transform()
    axes.text(curves.best_epoch, 1.02, "kept", color=_SOFT, fontsize=10, ha="center", transform=kept)
    _dress(axes, share=share)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=11, labelcolor=_INK)
    return _svg(figure, salt="accuracy" if share else "loss")


def _dress(axes: Axes, *, share: bool) -> None:
    axes.set_xlabel("epoch", color=_SOFT, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(color=_LINE, labelcolor=_INK, labelsize=11, length=0)


def _svg(figure: Figure, *, salt: str) -> str:
    """The figure as an inline SVG element without outer size; the same figure gives the same text."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    return svg
