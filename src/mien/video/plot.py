"""A picture of a whole video: which face was there when, and what it looked like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mien.core.files import atomic_path
from mien.deploy.annotate import colour_of
from mien.video.scene import Seen
from mien.video.source import Frame

_MOST_STEPS = 1_000
_MOST_FACES = 6
_FIRST_STEP_S = 0.04
_MOST_BRIDGED = 2.5  # answered frames
_INK, _GREY, _PALE = "#222222", "#6B6B6B", "#D9D9D9"


@final
class TimelinePlot:
    """Gathers what is seen, as a `Watcher`, and draws it. Memory stays the same however long the video is.

    Time is divided into steps; when there would be more than a thousand, two and two become one.

    Args:
        names: the classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.step_s = _FIRST_STEP_S
        self.end_s = 0.0
        self._answered = 0
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

    def _halve(self) -> None:
        self.step_s *= 2
        for number, steps in self._faces.items():
            merged: dict[int, NDArray[np.float64]] = {}
            for step, row in steps.items():
                merged[step // 2] = merged[step // 2] + row if step // 2 in merged else row
            self._faces[number] = merged

    def save(self, path: Path, title: str) -> None:
        """Write a PNG: for each of the six longest seen faces the shares of the classes over time."""
        shown = sorted(sorted(self._faces, key=lambda n: -len(self._faces[n]))[:_MOST_FACES])
        figure = Figure(figsize=(11, 1.3 + 1.1 * max(len(shown), 1)), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(max(len(shown), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, number in zip(grid, shown, strict=False):
            self._draw_face(axes, number)
        if not shown:
            grid[0].text(0.5, 0.5, "no face was seen", ha="center", color=_GREY, transform=grid[0].transAxes)
        self._decorate(figure, grid, title, len(self._faces) - len(shown))
        with atomic_path(path) as temporary:
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
        grid[-1].xaxis.set_major_formatter(FuncFormatter(_clock))
        more = f"  ({left_out} more faces, seen more briefly)" if left_out > 0 else ""
        grid[0].set_title(title.replace("$", r"\$") + more, fontsize=10, loc="left", color=_INK)
        handles = [
            figure.axes[0].fill_between([], [], color=colour_of(name, self.names), label=name) for name in self.names
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


def _clock(seconds: float, _: int) -> str:
    """Seconds as minutes:seconds, or with hours.

    >>> _clock(75, 0), _clock(3675, 0), _clock(2.5, 0)
    ('1:15', '1:01:15', '0:02.5')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:04.1f}" if rest % 1 else f"{int(rest):02d}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"
