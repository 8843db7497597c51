"""Slices as a picture: a point with its interval a slice, around the accuracy of all pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from mien.core.files import write_json
from mien.data.audit.measures import measure
from mien.data.dataset import VOTE_COLUMNS
from mien.evaluate.lettering import plain
from mien.evaluate.plots import BLUE, GREY, INK, save
from mien.explain import landmarks
from mien.explain.figure import quiet, titled
from mien.explain.index import Shown
from mien.explain.slices import Slice, slices, worst
from mien.explain.subject import Subject, Tell
from mien.page.words import percent

GROUP = "slices"
_RED = "#B5382A"
# Columns that number the pictures, or say what is known already.
_NOT_SLICED = {"row", "source", "label", "split", "group", "weight", "sha256", *VOTE_COLUMNS, *landmarks.COLUMNS}


def write(of: Subject, folder: Path, tell: Tell) -> list[Shown]:
    """Accuracy by light, detail, size and pose of the face, agreement of votes and each further column."""
    columns = _columns(of, tell)
    found = slices(of.hit, columns)
    overall = float(of.hit.mean())
    named = worst(found, overall)
    facts = [
        {"column": one.column, "slice": one.name, "pictures": one.count, "accuracy": one.accuracy}
        | {"low": one.interval.low, "high": one.interval.high}
        | {"strict_low": one.strict.low, "strict_high": one.strict.high}
        for one in found
    ]
    write_json(folder / GROUP / "slices.json", {"overall": overall, "slices": facts})
    if not found:
        return []
    text = sentence(found, named, overall)
    save(drawn(found, named, overall, text), folder / GROUP / "slices.png")
    return [Shown("Accuracy by kind of picture", text, f"{GROUP}/slices.png", GROUP)]


def _columns(of: Subject, tell: Tell) -> dict[str, NDArray[Any]]:
    measures = measure(of.images(np.arange(len(of.rows))), tell=tell)
    columns: dict[str, NDArray[Any]] = {
        "brightness (mean level)": measures.brightness,
        "contrast (deviation)": measures.contrast,
        "sharpness (detail)": measures.detail,
    }
    if of.landmarks is not None:
        columns |= landmarks.columns(of.landmarks, of.dataset.images.shape[1])
    if of.dataset.votes is not None:
        votes = of.dataset.votes[of.rows]
        columns["FER+ votes of the top class"] = votes.max(1)
    further = [name for name in of.dataset.table.column_names if name not in _NOT_SLICED]
    return columns | {name: of.dataset.column(name)[of.rows] for name in further}


def sentence(found: list[Slice], named: Slice | None, overall: float) -> str:
    """The worst slice, or that there is none to speak of."""
    if named is None:
        return (
            f"Of {len(found)} slices none is below the {percent(overall, 1)} of all pictures by more than chance "
            "explains (intervals corrected for their number)."
        )
    ends = f"{100 * named.strict.low:.1f}–{100 * named.strict.high:.1f}"
    return (
        f"Worst: {named.column} {named.name}, right in {percent(named.accuracy, 1)} of {named.count:,} pictures, all "
        f"together in {percent(overall, 1)}. Its interval corrected for {len(found)} slices ({ends}) excludes that."
    )


def drawn(found: list[Slice], named: Slice | None, overall: float, text: str) -> Figure:
    """One line a slice, grouped by column; the worst is red."""
    columns = list(dict.fromkeys(one.column for one in found))
    height = 0.5 + 0.24 * (len(found) + len(columns))
    figure = titled(6.6, height, "Accuracy by kind of picture", f"{text} Bars: 95 % intervals; thin: corrected.")
    axes = figure.subplots()
    axes.axvline(overall, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ticks: list[tuple[float, str]] = []
    place = 0.0
    for column in columns:
        ticks.append((place, column))
        for one in (s for s in found if s.column == column):
            place += 1
            colour = _RED if one is named else BLUE
            axes.hlines(place, one.strict.low, one.strict.high, color=colour, linewidth=1, alpha=0.5)
            axes.hlines(place, one.interval.low, one.interval.high, color=colour, linewidth=3, alpha=0.35)
            axes.plot(one.accuracy, place, "o", color=colour, markersize=5)
            ticks.append((place, f"{one.name}  ({one.count:,})"))
        place += 1.2
    axes.set_yticks([at for at, _ in ticks], [plain(name) for _, name in ticks])
    axes.set_ylim(place - 0.6, -0.7)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.set_xlabel("right answers", color=GREY, fontsize=9)
    quiet(axes)
    for label, (_, name) in zip(axes.get_yticklabels(), ticks, strict=True):
        label.set(color=INK, weight="bold" if name in columns else "normal")
    axes.tick_params(axis="y", length=0)
    return figure
