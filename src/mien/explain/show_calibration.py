"""Calibration as pictures and sentences: the reliability diagram before and after, and what a threshold costs."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mien.core.files import write_json
from mien.evaluate.metrics import Reliability, wilson
from mien.evaluate.plots import BLUE, GREY, INK, save
from mien.explain.calibrate import Calibration, HeadCalibration
from mien.explain.figure import quiet, titled
from mien.explain.index import Shown, record
from mien.page.words import percent

GROUP, JSON = "calibration", "calibration.json"
_FEW = 10  # pictures in a bin below which a point is drawn hollow


def write(folder: Path, calibration: Calibration, *, weights: str = "") -> list[Shown]:
    """Write calibration.json and a diagram for each head below `folder`, and put them into its index.

    `weights` is the digest of the model's tensors, which a calibration leaves as they are.
    """
    write_json(folder / JSON, calibration.to_json())
    shown = []
    for head in calibration.heads:
        file = f"{GROUP}/{head.head}.png"
        save(diagram(head), folder / file)
        shown.append(Shown(f"Reliability of {head.head}", " ".join(sentences(calibration, head)), file, GROUP))
    return record(folder, GROUP, shown, weights=weights)


def sentences(calibration: Calibration, head: HeadCalibration) -> list[str]:
    """What was found about a head, in words."""
    before, after = head.before, head.honest.metrics
    sure = _mean(before.reliability)
    gap = 100 * (sure - before.accuracy)
    said = [
        f"Answers are right in {percent(before.accuracy, 1)} of {before.count:,} pictures and claim "
        f"{percent(sure, 1)} on average: {abs(gap):.1f} points {'too sure' if gap > 0 else 'too modest'}.",
        f"Temperature {head.temperature:.2f} (it was {head.was:.2f}; the two halves ask for "
        f"{head.was * head.honest.temperatures[0]:.2f} and {head.was * head.honest.temperatures[1]:.2f}).",
        f"On pictures the fit did not see, calibration error goes from {100 * before.calibration_error:.1f} to "
        f"{100 * after.calibration_error:.1f} points, log loss from {before.log_loss:.3f} to {after.log_loss:.3f}.",
    ]
    if calibration.abstention is not None and head.head == calibration.spec.head().name:
        said.append(abstaining(calibration))
    return said


def abstaining(calibration: Calibration) -> str:
    """What the threshold does, in a sentence; empty without one."""
    made = calibration.abstention
    if made is None:
        return ""
    text = f"Below {made.below:.2f} the answer is “unsure”"
    found = made.honest
    if found is None or found.interval is None:
        return f"{text}; a half of the pictures alone does not reach {percent(made.precision)}, so this is not checked."
    ends = f"{100 * found.interval.low:.1f}–{100 * found.interval.high:.1f}"
    return (
        f"{text}: {percent(found.coverage, 1)} of the pictures get an answer and {percent(found.precision, 1)} "
        f"({ends}) of those are right; wished for were {percent(made.precision)}."
    )


def diagram(head: HeadCalibration) -> Figure:
    """Accuracy against the probability of the answer, before and after, over how many answers fall into each bin."""
    after = head.honest.metrics
    about = (
        f"Temperature {head.temperature:.2f}. Calibration error {100 * head.before.calibration_error:.1f} → "
        f"{100 * after.calibration_error:.1f} points, each half measured under the other half's fit. Below the dashed "
        "line, answers are surer than they are right. Bars: 95 % intervals; hollow: fewer than ten pictures."
    )
    figure = titled(5.4, 5.6, f"{head.head}: is 80 % sure right in 80 %?", about)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    _points(upper, head.before.reliability, GREY, "before")
    _points(upper, after.reliability, BLUE, "calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("right answers", color=GREY, fontsize=9)
    upper.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    upper.legend(frameon=False, fontsize=9, loc="upper left", labelcolor=INK)
    _counts(lower, head.before.reliability, after.reliability)
    for axes in (upper, lower):
        quiet(axes)
    return figure


def _points(axes: Axes, bins: Reliability, colour: str, name: str) -> None:
    for n, sure, right in zip(bins.count, bins.confidence, bins.accuracy, strict=True):
        interval = wilson(round((right or 0) * n), n)
        if sure is not None and right is not None and interval is not None:
            axes.vlines(sure, interval.low, interval.high, color=colour, linewidth=1.4, alpha=0.45)
            face = colour if n >= _FEW else "white"
            axes.plot(sure, right, color=colour, marker="o", markersize=6, markerfacecolor=face, clip_on=False)
    axes.plot([], [], color=colour, marker="o", linestyle="", label=name)


def _counts(axes: Axes, before: Reliability, after: Reliability) -> None:
    bins = len(before.count)
    left = [i / bins for i in range(bins)]
    axes.bar([x + 0.28 / bins for x in left], before.count, width=0.42 / bins, color=GREY)
    axes.bar([x + 0.72 / bins for x in left], after.count, width=0.42 / bins, color=BLUE)
    axes.set_ylabel("pictures", color=GREY, fontsize=9)
    axes.set_xlabel("probability of the answer", color=GREY, fontsize=9)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def _mean(bins: Reliability) -> float:
    """Mean probability of the answer over all pictures."""
    return sum(n * (sure or 0) for n, sure in zip(bins.count, bins.confidence, strict=True)) / sum(bins.count)
