"""A search as a table, as JSON, and as a picture of each key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from matplotlib.figure import Figure

from mien.core.files import write_json, write_text
from mien.evaluate.plots import BLUE, GREY, INK, PALE, save
from mien.train.store import to_csv
from mien.tune.slots import ATTEMPT, ERROR, counted
from mien.tune.space import Space

Row = dict[str, Any]


def rows(study: optuna.Study, space: Space) -> list[Row]:
    """A row for each slot that has a trial, the best first; pruned ones after the finished, by their last epoch."""
    found: list[Row] = []
    for slot, trial in counted(study.get_trials(deepcopy=False)).items():
        last = trial.last_step
        row: Row = {"trial": slot, "state": trial.state.name.lower(), "attempt": trial.user_attrs[ATTEMPT]}
        row |= {name: trial.params.get(name) for name in space.keys}
        row |= {"value": trial.value if trial.state.name == "COMPLETE" else None, "epochs": last or 0}
        row["last"] = None if last is None else trial.intermediate_values[last]
        row["error"] = trial.user_attrs.get(ERROR, "")
        found.append(row)
    return sorted(found, key=lambda r: (r["value"] is None, -(r["value"] or r["last"] or 0), r["trial"]))


def write(folder: Path, study: optuna.Study, space: Space) -> Row:
    """Write tune.json, tune.csv, tune.md and tune.png; what tune.json holds."""
    found = rows(study, space)
    best = found[0] if found and found[0]["value"] is not None else None
    facts = {"space": space.model_dump(mode="json"), "best": best, "trials": found}
    write_json(folder / "tune.json", facts)
    write_text(folder / "tune.csv", to_csv(found))
    write_text(folder / "tune.md", markdown(found, space))
    save(plot(found, space), folder / "tune.png")
    return facts


def headings(space: Space) -> list[str]:
    """The titles of `cells`."""
    return ["trial", *space.keys, "val, %", "epochs", "state"]


def cells(row: Row, space: Space) -> list[str]:
    """A row's cells: accuracy in %, in brackets that of the last epoch of a trial that was given up."""
    value, last = row["value"], row["last"]
    shown = f"{100 * value:.2f}" if value is not None else f"({100 * last:.2f})" if last is not None else "–"
    chosen = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in (row[name] for name in space.keys)]
    return [str(row["trial"]), *chosen, shown, str(row["epochs"]), row["state"]]


def markdown(found: list[Row], space: Space) -> str:
    """The table in Markdown."""
    titles = headings(space)
    lines = [titles, ["---"] * len(titles), *(cells(row, space) for row in found)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plot(found: list[Row], space: Space) -> Figure:
    """A panel for each key: accuracy over its values; hollow: given up, at its last epoch."""
    figure = Figure(figsize=(2.6 * len(space.keys) + 0.8, 3.2), layout="constrained")
    panels = figure.subplots(1, len(space.keys), sharey=True, squeeze=False)[0]
    for axes, (name, key) in zip(panels, space.keys.items(), strict=True):
        for row in found:
            value = row["value"] if row["value"] is not None else row["last"]
            if value is None or row[name] is None:
                continue
            place = key.choices.index(row[name]) if key.choices else row[name]
            face = BLUE if row["value"] is not None else "white"
            axes.scatter([place], [100 * value], s=22, facecolors=face, edgecolors=BLUE)
        if key.choices:
            axes.set_xticks(range(len(key.choices)), [str(choice) for choice in key.choices])
            axes.set_xlim(-0.5, len(key.choices) - 0.5)
        elif key.log:
            axes.set_xscale("log")
        axes.set_xlabel(name, color=GREY, fontsize=9)
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        axes.tick_params(colors=INK, labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    panels[0].set_ylabel("validation accuracy in %", color=GREY, fontsize=9)
    figure.suptitle(f"{space.name}: {len(found)} trials", x=0.01, ha="left", fontsize=11, color=INK)
    return figure
