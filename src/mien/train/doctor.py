"""Checks of a recipe on a data set before a training, each a few seconds or a minute: the list of
Karpathy 2019, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.diagnose import advice, material
from mien.diagnose.evidence import Evidence
from mien.diagnose.rates import guessing
from mien.diagnose.reading import compare_splits
from mien.diagnose.thresholds import LIMITS
from mien.diagnose.verdict import Verdict
from mien.evaluate.truth import of_classes
from mien.train.batches import Batch, Batches
from mien.train.checkpoint import Progress
from mien.train.fed_check import fed_facts
from mien.train.machine import Machine
from mien.train.prepare import prepare, training_rows
from mien.train.step import DivergedError
from mien.train.targets import targets

FITTED, STEPS = 64, 200
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, whether it passed, and what was seen, with the way out where it failed."""

    name: str
    passed: bool
    seen: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.name, "passed": self.passed, "seen": self.seen, "hint": self.hint}


def examine(data: Dataset, recipe: Recipe, *, tell: Tell | None = None) -> list[Check]:
    """All checks of a recipe on a packed set.

    Args:
        data: the packed set.
        recipe: that is to be trained.
        tell: called with the steps of the fit that are done, and their number.

    Raises:
        MienError: as `train`: the recipe does not fit the data.
    """
    facts = Evidence(
        recipe,
        {},
        counts=of_classes(data.info.counts),
        splits=compare_splits(data),
        fed=fed_facts(data, recipe, pictures=512),
    )
    return [
        _of("leakage", material.leaked(facts), "no validation picture stands in training"),
        _of("splits", material.unlike(facts), "validation is like training in brightness, contrast and classes"),
        _of("feed", material.fed(facts), "training and evaluation feed the net alike"),
        _of("normalisation", material.normalisation(facts), _fed(facts)),
        _balance(data, recipe),
        *_fit(data, recipe, tell),
    ]


def _of(name: str, verdict: Verdict | None, well: str) -> Check:
    return Check(name, True, well) if verdict is None else Check(name, False, verdict.evidence, verdict.try_first)


def _fed(facts: Evidence) -> str:
    return "" if facts.fed is None else f"the net is fed {facts.fed.mean:.2f} ± {facts.fed.deviation:.2f}"


def _balance(data: Dataset, recipe: Recipe) -> Check:
    """Whether the rarest class of training is far behind and the recipe does nothing about it."""
    counts = {name: n for name, n in of_classes(data.info.counts).get("train", {}).items() if n}
    if not counts:
        return Check("balance", True, "no picture of train has a label")
    rare, common = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    passed = advice.rebalances(recipe) or counts[common] < LIMITS.imbalance * counts[rare]
    seen = f"{rare} has {counts[rare]:,} training pictures, {common} {counts[common]:,}"
    return Check("balance", passed, seen, "" if passed else advice.rebalancing(recipe))


def _small(data: Dataset, recipe: Recipe) -> Dataset:
    """The set with at most `FITTED` pictures in train, of all classes in turn where there are so many."""
    rows = training_rows(data, recipe)
    label = data.label[rows]
    turn = np.array([(label[:i] == one).sum() for i, one in enumerate(label[: 40 * FITTED].tolist())])
    chosen = rows[np.lexsort((label[: len(turn)], turn))[:FITTED]]
    weight = np.isin(np.arange(len(data)), chosen) | (data.split != "train")
    table = data.table.set_column(data.table.column_names.index("weight"), "weight", [weight.astype(np.float32)])
    return Dataset(data.images, table, data.info, data.path)


def _plain(recipe: Recipe) -> Recipe:
    """The recipe at its rate, without anything that keeps a net from learning by heart."""
    tree = recipes.to_tree(recipe)
    for name in ("augment", "phases", "average", "stopping", "distill", "schedule"):
        tree.pop(name, None)
    tree["model"]["options"] = {k: v for k, v in tree["model"]["options"].items() if "dropout" not in k}
    tree["schedule"] = {"name": "constant"}
    tree["data"] |= {"sampler": "shuffle", "train_on_val": False}
    tree["optimiser"] |= {"weight_decay": 0.0}
    tree["train"] |= {"batch_size": min(FITTED, recipe.train.batch_size), "probe": FITTED}
    return recipes.build(tree, source="doctor")


def _fit(data: Dataset, recipe: Recipe, tell: Tell | None) -> Iterator[Check]:
    """The first loss, and whether 64 pictures are learned by heart within 200 steps at the recipe's rate."""
    machine, plain, small = Machine(recipe.train), _plain(recipe), _small(data, recipe)
    with TemporaryDirectory() as folder:
        parts, learner = prepare(small, plain, RunDir(Path(folder)), machine)
        stage = parts.stages.at(learner, Progress())
        learner.model.train()
        losses, broken = [], ""
        for batch in islice(_batches(stage.batches), STEPS):
            try:
                losses.append(stage.step(learner, batch).loss)
            except DivergedError as error:
                broken = error.message
                break
            if _has_fitted(losses):
                break
            if tell is not None:
                tell(len(losses), STEPS)
    if losses and (guess := guessing(plain, len(data.labels), targets(small, plain))) is not None:
        expected, room = guess
        passed = abs(losses[0] - expected) <= room or (recipe.model.start_from is not None and losses[0] < expected)
        seen = f"first loss {losses[0]:.3f}, guessing gives {expected:.3f}"
        yield Check("first loss", passed, seen, "" if passed else "look at data.normalise, the labels, the start")
    yield _fitted(losses, broken, recipe)


def _fitted(losses: list[float], broken: str, recipe: Recipe) -> Check:
    """Fitted: the last steps have half the first loss at most; soft votes and smoothing leave a rest of it."""
    lower = f"--set optimiser.learning_rate={recipe.optimiser.learning_rate / 10:.2g}; mien lr DATA finds the range"
    if broken:
        return Check("fits 64 pictures", False, broken, lower)
    first, last = losses[0], float(np.mean(losses[-10:]))
    passed = _has_fitted(losses)
    seen = f"loss {first:.3f} → {last:.3f} in {len(losses)} steps on {FITTED} pictures, without augmentation"
    return Check("fits 64 pictures", passed, seen, "" if passed else f"labels, normalisation or rate: {lower}")


def _has_fitted(losses: list[float]) -> bool:
    """Whether the last ten steps have less than half of the first loss in the mean."""
    return len(losses) > 10 and float(np.mean(losses[-10:])) < 0.5 * losses[0]


def _batches(batches: Batches) -> Iterator[Batch]:
    for epoch in count():
        yield from batches.epoch(epoch)
