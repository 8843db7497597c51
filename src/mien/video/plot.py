"""A picture of a whole video: which face was there when, and what it looked like."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from matplotlib import get_data_path
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mien.core.files import atomic_path
from mien.deploy.annotate import colour_of, shown_name
from mien.deploy.fonts import font_file, in_ascii
from mien.video.clock import clock_text
from mien.video.scene import Seen
from mien.video.source import Frame

_MOST_STEPS = 1_000
_MOST_FACES = 6
# Of more faces than the upper one, the longest seen are kept, down to the lower, and those in sight.
_MOST_KEPT, _KEPT = 200, 100
_FIRST_STEP_S = 0.04
_MOST_BRIDGED = 2.5  # answered frames
_INK, _GREY, _PALE = "#222222", "#6B6B6B", "#D9D9D9"


@final
class TimelinePlot:
    """Gathers what is seen, as a `Watcher`, and draws it. Memory has a bound, however long the video is.

    Time is divided into steps; when there would be more than a thousand, two and two become one. Where there are more
    than 200 faces, those that were seen most briefly are forgotten, but for those that are in sight.

    Args:
        names: the classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.step_s = _FIRST_STEP_S
        self.end_s = 0.0
        self._answered = 0
        self._newest = self._count = 0
        # face: step: sum of probabilities and, behind them, the number of frames
        self._faces: dict[int, dict[int, NDArray[np.float64]]] = {}

    def __call__(self, frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:
        """Take in a frame."""
        self.end_s = max(frame.time_s, self.end_s)
        while self.end_s >= self.step_s * _MOST_STEPS:
            self._halve()
        if not answered:
            return
        self._answered += 1
        for number, face in seen:
            steps = self._faces.setdefault(number, {})
            row = np.array([*face.probabilities.values(), 1.0])
            step = int(frame.time_s / self.step_s)
            steps[step] = steps[step] + row if step in steps else row
        self._count_new([number for number, _ in seen])

    @property
    def begun(self) -> bool:
        """Whether a frame was taken in."""
        return self._answered > 0

    def _count_new(self, numbers: Sequence[int]) -> None:
        """Later faces have higher numbers."""
        self._count += sum(number > self._newest for number in numbers)
        self._newest = max(self._newest, *numbers, 0)
        if len(self._faces) > _MOST_KEPT:
            longest = set(self._longest_seen(_KEPT)) | set(numbers)
            self._faces = {number: steps for number, steps in self._faces.items() if number in longest}

    def _longest_seen(self, most: int) -> list[int]:
        return sorted(self._faces, key=lambda number: -len(self._faces[number]))[:most]

    def _halve(self) -> None:
        self.step_s *= 2
        for number, steps in self._faces.items():
            merged: dict[int, NDArray[np.float64]] = {}
            for step, row in steps.items():
                merged[step // 2] = merged[step // 2] + row if step // 2 in merged else row
            self._faces[number] = merged

    def save(self, path: Path, title: str) -> None:
        """Write a PNG: for each of the six longest seen faces the shares of the classes over time."""
        shown = sorted(self._longest_seen(_MOST_FACES))
        figure = Figure(figsize=(11, 1.3 + 1.1 * max(len(shown), 1)), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(max(len(shown), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, number in zip(grid, shown, strict=False):
            self._draw_face(axes, number)
        if not shown:
            grid[0].text(0.5, 0.5, "no face was seen", ha="center", color=_GREY, transform=grid[0].transAxes)
        self._decorate(figure, grid, title, self._count - len(shown))
        with atomic_path(path) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(temporary, format="png", dpi=120)

    def presence(self, number: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """When a face was seen without a break: for each time that, seconds (n + 1,) and shares of the classes (n, K).

        The last of the seconds is the end. A break is longer than about two answered frames.
        """
        steps = self._faces[number]
        order = np.array(sorted(steps))
        usual = self.end_s / max(self._answered - 1, 1) / self.step_s
        breaks = np.flatnonzero(np.diff(order) > max(_MOST_BRIDGED * usual, 2)) + 1
        found = []
        for piece in np.split(order, breaks):
            rows = np.stack([steps[int(step)] for step in piece])
            times = np.append(piece, piece[-1] + max(usual, 1)) * self.step_s
            found.append((times, rows[:, :-1] / rows[:, -1:]))
        return found

    def _draw_face(self, axes: Any, number: int) -> None:
        """Shares stacked to 1; white where the face was not seen."""
        colours = [colour_of(name, self.names) for name in self.names]
        for times, shares in self.presence(number):
            held = np.concatenate([shares, shares[-1:]]).T
            axes.stackplot(times, held, colors=colours, step="post", linewidth=0)
        axes.set_ylabel(f"face {number}", color=_INK, fontsize=9, rotation=0, ha="right", va="center")

    def _decorate(self, figure: Figure, grid: NDArray[Any], title: str, left_out: int) -> None:
        for axes in grid:
            axes.set(ylim=(0, 1), xlim=(0, max(self.end_s, self.step_s)), yticks=[])
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.spines["bottom"].set_color(_PALE)
            axes.tick_params(labelsize=8, color=_PALE, labelcolor=_GREY)
        grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock_text(seconds)))
        more = f"  ({left_out} more faces, seen more briefly)" if left_out > 0 else ""
        written = _legible(title)
        heading = written.replace("$", r"\$") + more
        grid[0].set_title(heading, fontproperties=_font(written, 10), loc="left", color=_INK)
        names = [shown_name(name, self.names) for name in self.names]
        handles = [
            figure.axes[0].fill_between([], [], color=colour_of(name, self.names), label=shown.replace("$", r"\$"))
            for name, shown in zip(self.names, names, strict=True)
        ]
        words = _font("".join(names), 8)
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, prop=words)


def _legible(text: str) -> str:
    return text if text.isascii() or font_file(text, first=[_usual_font()]) else in_ascii(text)


def _font(text: str, points: float) -> FontProperties:
    """The usual font where that has every letter, else one of the system's."""
    file = None if text.isascii() else font_file(text, first=[_usual_font()])
    return FontProperties(size=points) if file is None else FontProperties(fname=str(file), size=points)


def _usual_font() -> Path:
    return Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
