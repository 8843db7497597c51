"""Curves of the report, as text that goes into the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mien.page.drawing import ACCENT, INK, LINE, SOFT, svg


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
    @property
    def marks(self) -> Mapping[int, str]: ...


def accuracy_curve(curves: CurvesLike) -> str:
    """SVG of training and validation accuracy by epoch."""
    return _curve(curves, curves.train_accuracy, curves.val_accuracy, share=True)


def loss_curve(curves: CurvesLike) -> str:
    """SVG of training and validation loss by epoch."""
    return _curve(curves, curves.train_loss, curves.val_loss, share=False)


def _curve(curves: CurvesLike, train: Sequence[float], val: Sequence[float], *, share: bool) -> str:
    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    axes = figure.subplots()
    for values, colour, name in ((train, SOFT, "training pictures"), (val, ACCENT, "validation pictures")):
        if values:
            axes.plot(curves.epoch, values, color=colour, linewidth=2.2, label=name, marker="o", markersize=3)
    for epoch, name in _marks(curves).items():
        axes.axvline(epoch, color=SOFT, linewidth=1, linestyle=(0, (3, 3)))
        axes.text(epoch, 1.02, name, color=SOFT, fontsize=10, ha="center", transform=axes.get_xaxis_transform())
    _dress(axes, share=share)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=11, labelcolor=INK)
    return svg(figure, salt="accuracy" if share else "loss")


def _marks(curves: CurvesLike) -> dict[int, str]:
    """Texts by epoch, those of the same epoch in one."""
    told = {curves.best_epoch: "kept"}
    for epoch, name in curves.marks.items():
        told[epoch] = f"{told[epoch]}, {name}" if epoch in told else name
    return told


def _dress(axes: Axes, *, share: bool) -> None:
    axes.set_xlabel("epoch", color=SOFT, fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(color=LINE, labelcolor=INK, labelsize=11, length=0)
