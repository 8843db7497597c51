"""A study as a table in Markdown and CSV, and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mien.core.files import write_text
from mien.evaluate.plots import BLUE, GREY, INK, PALE, save
from mien.page.words import plural
from mien.train.store import to_csv

Row = dict[str, Any]
TITLES = {
    "last_val_accuracy": "val, last epoch",
    "best_val_accuracy": "val, best epoch",
    "last_train_eval_accuracy": "train",
    "truth": "truth",
}


def write(folder: Path, facts: Row) -> None:
    """Write study.md, study.csv (a row a run) and study.png."""
    write_text(folder / "study.md", markdown(facts))
    runs = [{"step": step["name"], **run} for step in facts["steps"] for run in step["runs"]]
    write_text(folder / "study.csv", to_csv(runs))
    save(plot(facts), folder / "study.png")


def columns(facts: Row) -> list[str]:
    """The figures that some step has; truth only where it is another one than that of the last epoch."""
    own = any(run.get("truth") != run["last_val_accuracy"] for step in facts["steps"] for run in step["runs"])
    return [name for name in TITLES if any(name in step for step in facts["steps"]) and (own or name != "truth")]


def cells(step: Row, figures: list[str]) -> list[str]:
    """A step's cells: name, figures in %, difference to the step before in points, minutes a run, parameters, claim."""
    shown = [show_spread(step[name]) if name in step else "–" for name in figures]
    compared = f"{show_difference(step.get('difference'))}" + (f" vs {step['before']}" if step["before"] else "")
    compared += f", {TITLES[step['compared_by']]}" if "compared_by" in step else ""
    return [step["name"], *shown, compared, f"{step['seconds'] / 60:.1f}", f"{step['parameters']:,}", step["claim"]]


def headings(figures: list[str]) -> list[str]:
    """The titles of `cells`."""
    return ["step", *(TITLES[name] for name in figures), "difference", "minutes", "parameters", "claim, %"]


def markdown(facts: Row) -> str:
    """The table in Markdown, accuracies in %."""
    figures = columns(facts)
    rows = [headings(figures), ["---"] * (len(figures) + 5), *(cells(step, figures) for step in facts["steps"])]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def show_spread(found: Row) -> str:
    """Mean ± deviation in %."""
    if found["mean"] is None:
        return "–"
    deviation = "" if found["deviation"] is None else f" ± {100 * found['deviation']:.1f}"
    return f"{100 * found['mean']:.1f}{deviation}"


def show_difference(found: Row | None) -> str:
    """Points with their interval."""
    if found is None:
        return "–"
    interval = "" if found["low"] is None else f" ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    return f"{100 * found['mean']:+.1f}{interval}"


def plot(facts: Row) -> Figure:
    """Steps from top to bottom: a dot for each run, a bar through their mean; training behind it in grey."""
    steps, figure_name = facts["steps"], facts["figure"]
    figure = Figure(figsize=(7.2, 1.3 + 0.34 * len(steps)), layout="constrained")
    axes = figure.subplots()
    for place, step in enumerate(steps):
        reported = [100 * run["last_val_accuracy"] for run in step["runs"]]
        chosen = [100 * run.get(figure_name, run["last_val_accuracy"]) for run in step["runs"]]
        if chosen != reported:
            axes.scatter(reported, [place] * len(reported), s=20, facecolors="white", edgecolors=GREY, zorder=2)
        axes.scatter(chosen, [place] * len(chosen), s=20, color=BLUE, zorder=3)
        mean = sum(chosen) / len(chosen)
        axes.plot([mean, mean], [place - 0.3, place + 0.3], color=BLUE, linewidth=2, zorder=3)
    axes.set_yticks(range(len(steps)), [step["name"] for step in steps])
    axes.invert_yaxis()
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    hollow = "; hollow: what validation reports" if figure_name == "truth" else ""
    axes.set_xlabel(f"{TITLES[figure_name]}: accuracy in %, a dot a seed{hollow}", color=GREY, fontsize=9)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"{facts['ladder']}: {plural(int(facts['seeds']), 'seed')}", loc="left", fontsize=11, color=INK)
    return figure
