"""Climbing a ladder: every step with every seed, resumed where it stands, and what came out as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.core.files import read_table, write_json
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.page.words import plural
from mien.study import measured
from mien.study.compare import paired
from mien.study.ladder import DataRule, Ladder, Planned, plan
from mien.study.rules import foreseen, ruled
from mien.train.loop import Watcher
from mien.train.prepare import check_fit
from mien.train.repeat import FILE as REPEATED
from mien.train.repeat import repeat, spread

FILE = "study.json"
# Of each run, where it has them; "truth" is measured here, the others come from its history.
FIGURES = ("last_val_accuracy", "best_val_accuracy", "last_train_eval_accuracy", "truth")
_DEFAULT = "last_val_accuracy"  # which every run has, that of an ensemble too
Row = dict[str, Any]
Watch = Callable[[Recipe, str], Watcher]


def study(
    data: Dataset,
    ladder: Ladder,
    out: Path,
    watch: Watch,
    *,
    seeds: int | None = None,
    settings: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    told: Callable[[Row], None] | None = None,
) -> Row:
    """Train every step of a ladder with every seed below `out`, and compare each with the step before it.

    What is finished is not trained again and what was interrupted goes on, so the same call ends what was begun; a call
    with more seeds adds them. `study.json` is written after each step.

    Args:
        data: the packed set; steps may derive sets of their own from it, below `out`/data.
        ladder: the steps.
        out: the folder.
        watch: given a run's recipe and name, makes what sees its training go on.
        seeds: how many; None: as the ladder says.
        settings: put over the recipes of all steps, such as train.epochs=5; they are part of the result.
        only: names of the steps to train; none: all. A step whose earlier one has never been trained has no difference.
        told: called with what `study.json` holds after each step.

    Returns:
        What `study.json` holds: `steps`, a row each, with their runs.

    Raises:
        MienError: a recipe that does not stand, a step that is not there, or `out` belongs to another ladder, other
            settings or other data.
    """
    planned, count = plan(ladder, settings, only), seeds or ladder.seeds
    _require_labels(data)
    check(data, planned)
    _begin(out, ladder, settings, data)
    facts: Row = {"ladder": ladder.name, "about": ladder.about, "data": data.info.fingerprint, "seeds": count}
    facts |= {"settings": list(settings), "figure": ladder.figure, "date": time.strftime("%Y-%m-%d"), "steps": []}
    rows = _rows_before(out, count, [one.step.name for one in planned])
    order = [step.name for step in ladder.steps]
    for one in planned:
        runs = _runs(data, one, out, watch, count)
        rows[one.step.name] = _row(one, runs)
        # What an earlier call has measured of other steps stays; it is compared by the figure of this call.
        compared = (_compared(row, rows.get(row["before"]), ladder.figure) for row in rows.values())
        facts["steps"] = sorted(compared, key=lambda row: order.index(row["name"]))
        write_json(out / FILE, facts)
        if told is not None:
            told(facts)
    return facts


def check(data: Dataset, planned: Sequence[Planned]) -> None:
    """Refuse before anything trains what a step's training would refuse at its start.

    Raises:
        MienError: naming the step whose recipe or rule does not fit the data.
    """
    for one in planned:
        if one.step.snapshots is not None:
            continue
        try:
            check_fit(foreseen(data, one.data), one.recipe)
        except MienError as error:
            raise MienError(f"step {one.step.name}: {error.message}", hint=error.hint) from None
        if not data.has_votes and one.recipe.data.votes and any(s.startswith("data.votes") for s in one.step.set):
            raise MienError(
                f"step {one.step.name} turns data.votes on, and {data.path} has none: it would train the net before it",
                hint="import the set with its votes, or name the other steps with --step",
            )


def _require_labels(data: Dataset) -> None:
    if (data.label[data.rows("val")] < 0).all():
        raise MienError(
            f"{data.path}: no picture of val has a label, and a study compares by the labels",
            hint="import a source with labels; mien tune also chooses by FER+ votes",
        )


def _rows_before(out: Path, seeds: int, planned: Collection[str]) -> dict[str, Row]:
    """The rows of an earlier call with as many seeds, by the step's name.

    Raises:
        MienError: there are rows of steps that are not `planned` now, and of another number of seeds: one table cannot
            hold both.
    """
    path = out / FILE
    if not path.is_file():
        return {}
    before = _read(path, "seeds", "steps")
    rows = {row["name"]: row for row in before["steps"]}
    if before["seeds"] == seeds:
        return rows
    others = [name for name in rows if name not in planned]
    if others:
        raise MienError(
            f"{path}: has {', '.join(others)} with {plural(int(before['seeds']), 'seed')}, and {seeds} are asked for",
            hint=f"--seeds {before['seeds']}, or all steps: leave out --step",
        )
    return {}


def _read(path: Path, *keys: str) -> Row:
    """What an earlier call has written. Raises MienError when it is damaged or lacks one of the keys."""
    return read_table(path, *keys, hint="delete it; the same command then writes it anew")


def _begin(out: Path, ladder: Ladder, settings: tuple[str, ...], data: Dataset) -> None:
    """Note what `out` is for. Raises MienError when it is for something else."""
    facts = {
        "ladder": ladder.model_dump(mode="json", exclude={"seeds", "figure", "about"}),
        "settings": list(settings),
        "data": data.info.fingerprint,
    }
    path = out / "ladder.json"
    if not path.is_file():
        write_json(path, facts)
        return
    before = _read(path, *facts)
    for key, value in facts.items():
        if before[key] != value:
            raise MienError(f"{out}: the study there has another {key}", hint="choose another --out")


def _runs(data: Dataset, one: Planned, out: Path, watch: Watch, seeds: int) -> list[Row]:
    """A row for each seed of a step."""
    if one.step.snapshots is not None:
        return _ensembles(data, one, out, seeds)
    name, shown = one.step.name, ruled(data, one.data, out / "data")
    found = repeat(shown, one.recipe, out / name, lambda recipe, run: watch(recipe, f"{name} {run}"), seeds=seeds)
    # A study that was begun with more seeds keeps them on disk, and compares as many as are asked for.
    rows = [dict(row) for row in found["runs"]][:seeds]
    for row in rows:
        run = out / name / row["name"]
        # Trained on other pictures, a run is also asked about the validation pictures of the whole set.
        asked = one.data != DataRule()
        row["truth"] = measured.run_accuracy(run, data) if asked else row["last_val_accuracy"]
        row["parameters"] = measured.parameters(run)
    return rows


def _ensembles(data: Dataset, one: Planned, out: Path, seeds: int) -> list[Row]:
    count, folder = one.step.snapshots or 0, out / one.trained
    shown, rows = ruled(data, one.data, out / "data"), []
    before = _read(folder / REPEATED, "runs")["runs"][:seeds] if (folder / REPEATED).is_file() else []
    if len(before) < seeds:
        raise MienError(
            f"{folder}: {len(before) or 'no'} finished runs whose snapshots {one.step.name} could average, "
            f"{seeds} are asked for",
            hint=f"the same command with --step {one.trained} trains them",
        )
    for run in before:
        path = folder / run["name"]
        row = {
            "name": run["name"],
            "seed": run["seed"],
            "seconds": 0.0,
            "parameters": count * measured.parameters(path),
        }
        row["last_val_accuracy"] = measured.snapshot_accuracy(path, shown, count)
        row["truth"] = row["last_val_accuracy"]
        if one.data != DataRule():
            row["truth"] = measured.snapshot_accuracy(path, data, count)
        rows.append(row)
    return rows


def _row(one: Planned, runs: list[Row]) -> Row:
    """A step's row: its runs and the spread of each figure."""
    row: Row = {"name": one.step.name, "before": one.before, "about": one.step.about, "claim": one.step.claim}
    row |= {name: spread([run[name] for run in runs if name in run]) for name in FIGURES if name in runs[0]}
    row["seconds"] = spread([float(run["seconds"]) for run in runs])["mean"]
    return row | {"parameters": runs[0]["parameters"], "runs": runs}


def _compared(row: Row, previous: Row | None, figure: str) -> Row:
    """A step's row with the paired difference to the step before, by the ladder's figure where both have it.

    An ensemble has no best epoch: it is held against the last one, and what comes after it as well; `compared_by` then
    says so.
    """
    row = {key: value for key, value in row.items() if key not in ("difference", "compared_by")}
    if previous is None:
        return row
    both = [*row["runs"], *previous["runs"]]
    by = figure if all(figure in run for run in both) else _DEFAULT
    found = paired(_by_seed(row["runs"], by), _by_seed(previous["runs"], by))
    row["difference"] = None if found is None else asdict(found)
    return row if by == figure else row | {"compared_by": by}


def _by_seed(runs: list[Row], figure: str) -> dict[int, float]:
    return {run["seed"]: float(run[figure]) for run in runs}
