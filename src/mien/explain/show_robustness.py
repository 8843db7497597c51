"""Robustness as pictures: a curve for each change, and what the changes look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from mien.core.files import write_json
from mien.evaluate import report_words as words
from mien.evaluate.metrics import wilson
from mien.evaluate.plots import BLUE, GREY, INK, save
from mien.explain.figure import bare, quiet, titled
from mien.explain.index import Shown
from mien.explain.robustness import CHANGES, Change, Curve, Pixels, curve
from mien.explain.subject import Subject, Tell
from mien.page.words import listed, plural

GROUP, PICTURES = "robustness", 1000
_LOSS = 0.05


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """Accuracy of up to `PICTURES` pictures under each of `CHANGES`."""
    which = of.sample(PICTURES)
    images, ids = of.images(which), of.ids[which]
    levels, asked = sum(len(change.levels) for change in CHANGES), 0

    def ask(changed: Pixels) -> NDArray[np.floating]:
        nonlocal asked
        tell(asked, levels)
        asked += 1
        return of.ask(changed)

    curves = [curve(change, images, ids, ask) for change in CHANGES]
    facts = [{"change": c.change.name, "levels": c.change.levels, "accuracy": c.accuracy} for c in curves]
    write_json(folder / GROUP / "robustness.json", {"pictures": len(which), "curves": facts})
    text = sentence(curves, at_chance=words.at_chance(of.metrics))
    save(drawn(curves, text), folder / GROUP / "curves.png")
    save(examples(images[len(images) // 2]), folder / GROUP / "levels.png")
    return [
        Shown("Accuracy against changes of the picture", text, f"{GROUP}/curves.png", GROUP),
        Shown("What the changes look like", "One picture at every level.", f"{GROUP}/levels.png", GROUP),
    ]


def sentence(curves: list[Curve], *, at_chance: bool = False) -> str:
    """At which level each change costs five points; of a net that answers at chance there is nothing to say."""
    pictures = f"{plural(curves[0].count, 'picture')}."
    if at_chance:
        return f"{pictures} The net answers at chance: its robustness says nothing."
    found = [(c, c.tolerates(_LOSS)) for c in curves]
    losing = [_said(c.change, level) for c, level in found if level is not None]
    never = [c.change.name for c, level in found if level is None]
    parts = [
        f"Five points are lost at {listed(losing)}." if losing else "",
        f"No level tried costs five points for: {listed(never)}." if never else "",
    ]
    return " ".join([pictures, *(part for part in parts if part)])


def _said(change: Change, level: float) -> str:
    """rotation 10 degrees, JPEG quality 71."""
    figures = f"{change.unit} {level:.2g}" if change.unit == "quality" else f"{level:.2g} {change.unit}"
    return f"{change.name} {figures}"


def drawn(curves: list[Curve], text: str) -> Figure:
    """Small multiples with a common scale; the band is the 95 % interval, the dashed line the untouched pictures."""
    rows = -(-len(curves) // 4)
    figure = titled(9.6, 2.2 * rows, "Accuracy against changes of the picture", text)
    grid = figure.subplots(rows, 4, sharey=True, squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes, one in zip(grid.flat, curves, strict=False):
        intervals = [wilson(hits, one.count) for hits in one.hits]
        ends = [(i.low, i.high) for i in intervals if i is not None]
        place = np.arange(len(one.hits))
        axes.fill_between(place, [a for a, _ in ends], [b for _, b in ends], color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(place, one.accuracy, "o-", color=BLUE, markersize=4, linewidth=1.5)
        axes.axhline(one.accuracy[0], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xticks(place, [f"{level:g}" for level in one.change.levels])
        axes.set_title(one.change.name, fontsize=9, color=INK, loc="left")
        axes.set_xlabel(one.change.unit, fontsize=8, color=GREY)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        quiet(axes)
    return figure


def examples(image: Pixels) -> Figure:
    """One picture (H, W[, 3]) at all levels of all changes, a change a row."""
    most = max(len(change.levels) for change in CHANGES)
    figure = titled(1.0 * most + 1.2, 1.15 * len(CHANGES), "What the changes look like", "Levels above the pictures.")
    grid = figure.subplots(len(CHANGES), most, squeeze=False)
    for row, change in zip(grid, CHANGES, strict=True):
        for axes, level in zip(row, change.levels, strict=True):
            axes.imshow(change.apply(image[None], level)[0], cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"{level:g}", fontsize=7, color=GREY, pad=2)
            bare(axes)
        row[0].set_ylabel(f"{change.name}\n{change.unit}", rotation=0, ha="right", va="center", fontsize=8, color=INK)
    return figure
