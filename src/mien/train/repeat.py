"""The same training several times: with other seeds, on other folds, or both; mean and spread of what came out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import read_table, write_json, write_text
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.data.redivide import take_fold
from mien.evaluate.answerer import open_answerer
from mien.models.store import read_weights
from mien.train.checkpoint import Progress
from mien.train.folds import with_folds
from mien.train.loop import Watcher
from mien.train.machine import Machine
from mien.train.run import resume, train
from mien.train.start import weights_file
from mien.train.store import to_csv
from mien.train.teachers import teacher_file

FILE, TABLE = "repeat.json", "repeat.csv"
Row = dict[str, Any]
# What is summed up over the runs, of the last epoch and of the best one.
FIGURES = ("val_accuracy", "val_loss", "val_ferplus_accuracy", "train_eval_accuracy")
_KEYS = {"name", "seed", "fold"}  # of every row


@dataclass(frozen=True)
class Member:
    """One of the trainings."""

    name: str
    seed: int
    fold: int | None


def members(recipe: Recipe, *, seeds: int, folds: int | None) -> list[Member]:
    """The trainings, seeds counted from the recipe's; every seed sees every fold."""
    numbers: list[int | None] = [None] if folds is None else list(range(folds))
    found = []
    for i, fold in product(range(seeds), numbers):
        seed = recipe.train.seed + i
        parts = ([] if fold is None else [f"fold-{fold}"]) + ([f"seed-{seed}"] if seeds > 1 or fold is None else [])
        found.append(Member("-".join(parts), seed, fold))
    return found


def repeat(
    data: Dataset,
    recipe: Recipe,
    out: Path,
    watch: Callable[[Recipe, str], Watcher],
    *,
    seeds: int = 1,
    folds: int | None = None,
) -> Row:
    """Train every member into a folder of its own below `out`, and sum up.

    Finished members are not trained again and an interrupted one goes on, so the same call ends what was begun, and a
    call with more seeds adds them. `repeat.json` says from the first member on what `out` is for.

    Args:
        data: a packed set. Folds divide its train and val together; its test is never touched.
        recipe: its seed is the first one.
        out: the folder.
        watch: given a member's recipe and name, makes what sees its training go on.
        seeds: how many.
        folds: how many, each once val; None: the set's own train and val.

    Returns:
        What `repeat.json` holds: `runs`, a row each, and `summary`.

    Raises:
        MienError: nothing to repeat, folds that are trained on, or `out` or a member's folder belongs to another
            recipe, data set or folds.
    """
    _require_sense(recipe, seeds, folds)
    if folds is not None:
        _require_other_pictures(recipe, data)
    first = Machine(recipe.train).is_first
    facts = {"recipe": recipe.model_dump(mode="json"), "data": data.info.fingerprint, "folds": folds}
    before = _begun(out, facts, recipe)
    rows = before or []
    known = {(row["seed"], row["fold"]) for row in rows}
    divided = data
    if folds is not None:
        # Folds of a start from which no training came are those of another seed or number, maybe.
        divided = with_folds(data, out, folds, seed=recipe.train.seed, write=first, anew=before is None)
    if first and not rows:
        write_json(out / FILE, {**facts, "runs": [], "summary": {}})
    for member in members(recipe, seeds=seeds, folds=folds):
        if (member.seed, member.fold) in known:
            continue
        rows.append(_train(divided, recipe, out, _found(member, recipe, out), watch))
        if first:
            write_text(out / TABLE, to_csv(rows))
            write_json(out / FILE, {**facts, "runs": rows, "summary": summary(rows)})
    return {**facts, "runs": rows, "summary": summary(rows)}


def _require_sense(recipe: Recipe, seeds: int, folds: int | None) -> None:
    if seeds < 1 or (folds is not None and folds < 2):
        raise MienError(f"{seeds} seeds and {folds} folds: nothing to repeat", hint="at least 1 seed, and 2 folds")
    if folds is not None and recipe.data.train_on_val:
        raise MienError(
            "data.train_on_val = true would train on the fold that each training is measured on",
            hint="data.train_on_val=false; without --folds it may be",
        )


def _require_other_pictures(recipe: Recipe, data: Dataset) -> None:
    """Raise MienError where folds would begin with, or be taught by, what was trained on the same set."""
    start = recipe.model.start_from
    known = [("model.start_from", start, weights_file(Path(start)))] if start else []
    known += [("distill.teachers", name, teacher_file(name)) for name in recipe.distill.teachers]
    for key, name, file in known:
        spec = read_weights(file)[1] if file.suffix == ".safetensors" else open_answerer(file).spec
        if spec.provenance.get("data") == data.info.fingerprint:
            raise MienError(
                f"{key} = {name}: was trained on this set, so on pictures of every fold's val",
                hint="one that was trained on another set, or no --folds",
            )


def _begun(out: Path, facts: Row, recipe: Recipe) -> list[Row] | None:
    """The rows of members that are finished; None where no training has begun.

    Raises:
        MienError: they, or one that is under way, belong to something else, or the file is damaged.
    """
    path, begun = out / FILE, any(out.glob("*/recipe.toml"))
    if not path.is_file():
        return [] if begun else None
    told = _told(path)
    if not told["runs"] and not begun:
        return None  # what was asked for then could not even begin
    own = recipes.build(told["recipe"], source=str(path), begun=True)
    same = {"recipe": _deciding(own) == _deciding(recipe)}
    same |= {key: told[key] == value for key, value in facts.items() if key != "recipe"}
    for key, is_same in same.items():
        if not is_same:
            raise MienError(f"{out}: its runs have another {key}", hint="choose another --out")
    return list(told["runs"])


def _told(path: Path) -> Row:
    """What repeat.json holds. Raises MienError when it is damaged."""
    hint = "choose another --out, or delete it with its runs"
    told = read_table(path, "recipe", "data", "folds", "runs", hint=hint)
    rows = told["runs"] if isinstance(told["runs"], list) else [None]
    if not isinstance(told["recipe"], dict) or not all(isinstance(row, dict) and row.keys() >= _KEYS for row in rows):
        raise MienError(f"{path}: damaged, its recipe or its runs are not as mien writes them", hint=hint)
    return told


def _found(member: Member, recipe: Recipe, out: Path) -> Member:
    """The member under the name of the folder that it has: with one seed only, folds are not named after it."""
    names = [member.name, f"fold-{member.fold}-seed-{member.seed}"]
    names += [f"fold-{member.fold}"] if member.seed == recipe.train.seed else []
    begun = (name for name in names if (out / name / "recipe.toml").is_file())
    return replace(member, name=next(begun, member.name))


def _train(data: Dataset, recipe: Recipe, out: Path, member: Member, watch: Callable[[Recipe, str], Watcher]) -> Row:
    seeded = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": member.seed})})
    shown = data if member.fold is None else take_fold(data, member.fold)
    run, watcher = RunDir(out / member.name), watch(seeded, member.name)
    begun = run.recipe.is_file()
    if begun and _deciding(recipes.read_own(run.recipe)) != _deciding(seeded):
        raise MienError(f"{run.path}: was begun with another recipe", hint="choose another --out, or move it away")
    finished = resume(run, shown, watcher) if begun else train(shown, seeded, run.path, watcher)
    return _row(member, finished.progress)


def _deciding(recipe: Recipe) -> Recipe:
    """A recipe but for what decides nothing: its name, what is said about it, and how often it saves."""
    timeless = recipe.train.model_copy(update={"checkpoint_minutes": 0})
    return recipe.model_copy(update={"name": "", "about": "", "train": timeless})


def _row(member: Member, progress: Progress) -> Row:
    last, best = progress.rows[-1], progress.rows[progress.best_epoch - 1]
    row: Row = {"name": member.name, "seed": member.seed, "fold": member.fold}
    row |= {"epochs": progress.epoch, "best_epoch": progress.best_epoch, "seconds": round(progress.seconds, 1)}
    for which, found in (("last", last), ("best", best)):
        row |= {f"{which}_{name}": found[name] for name in FIGURES if name in found}
    return row


def summary(rows: Sequence[Row]) -> dict[str, dict[str, float | int | None]]:
    """Of each figure of the runs: mean, deviation (n − 1, None for one run), least, most and number."""
    names = [f"{which}_{name}" for which in ("last", "best") for name in FIGURES]
    return {name: spread([row[name] for row in rows if name in row]) for name in names if rows and name in rows[0]}


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, deviation, least, most and number of values that are not NaN."""
    found = np.array([value for value in values if not math.isnan(value)])
    if not len(found):
        return {"mean": None, "deviation": None, "least": None, "most": None, "n": 0}
    deviation = float(found.std(ddof=1)) if len(found) > 1 else None
    extremes = {"least": float(found.min()), "most": float(found.max())}
    return {"mean": float(found.mean()), "deviation": deviation, **extremes, "n": len(found)}
