"""What nets that never saw a picture say of it: k-fold training of a small net, for looking at the labels.

A net learns the labels that it is shown, wrong ones too. So each picture is judged by a net trained without it and
without its copies, which would tell it the answer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.data.formats.base import Progress, Shape
from mien.data.formats.resize import resize
from mien.data.split import divide
from mien.evaluate import tta
from mien.evaluate.answerer import Precision, TorchAnswerer
from mien.evaluate.predict import predict_probabilities
from mien.models.classifier import Classifier, build_classifier
from mien.train.batches import Batches, load_pictures
from mien.train.fold_store import FoldStore, Probabilities
from mien.train.machine import Machine
from mien.train.optim import build_optimiser
from mien.train.prepare import make_spec
from mien.train.step import Step, make_learner

RECIPE = "label-errors"
_FEWEST_OF_A_FOLD = 10
_BATCHES_OF_AN_EPOCH = 8


@dataclass(frozen=True)
class Plan:
    """How the nets are trained.

    Attributes:
        recipe: what each net is trained by; its `data.crop` is in pixels of the reduced pictures.
        folds: so many nets, each without its share of the pictures.
        side: pictures are reduced to this many pixels on their shorter side; smaller ones stay as they are.
        least_steps: small sets are shown more often than the recipe says, until a net has done so many steps.
    """

    recipe: Recipe = field(default_factory=lambda: recipes.read(RECIPE))
    folds: int = 3
    side: int = 36
    least_steps: int = 300


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers of nets that had not seen the picture.

    Attributes:
        probabilities: float32 (N, K); NaN for pictures without label, which nobody was asked about.
        fold: (N,) number of the net that answered, −1 for none.
    """

    probabilities: Probabilities
    fold: NDArray[np.int64]


def out_of_fold(
    data: Dataset, folder: Path, *, groups: NDArray[np.integer], plan: Plan | None = None, tell: Progress | None = None
) -> OutOfFold:
    """Train a net for each fold and let it answer the pictures that it has not seen.

    Each finished fold is kept in `folder`: a second call with the same data, groups and plan goes on from there.

    Args:
        data: a packed set; the pictures of all its splits that have a label take part.
        folder: where the answers of each fold are written.
        groups: (N,) copies have the same id and stay together; −1 stands alone.
        plan: how to train.
        tell: called with how many pictures have been shown to nets, and how many will be.

    Raises:
        MienError: too few labelled pictures, or a training that does not stay finite.
    """
    plan = plan or Plan()
    check_enough(data, plan)
    rows = np.flatnonzero(data.label >= 0)
    fold = np.full(len(data), -1, np.int64)
    fold[rows] = divide(data.label[rows], groups[rows], [1] * plan.folds, seed=plan.recipe.train.seed)
    store = FoldStore(folder, _facts(data, groups, plan))
    store.open()
    held = [np.flatnonzero(fold == number) for number in range(plan.folds)]
    others = [np.setdiff1d(rows, part) for part in held]
    count = _Count(plan, [len(part) for part in others], tell)
    answers = np.full((len(data), len(data.info.labels)), np.nan, np.float32)
    small: Dataset | None = None
    for number, asked in enumerate(held):
        found = store.load(number, (len(asked), answers.shape[1]))
        if found is None:
            small = small or reduced(data, plan.side)
            found = _train_and_ask(small, others[number], asked, count.recipes[number], count.add)
            store.save(number, found)
        answers[asked] = found
        count.finish(number)
    return OutOfFold(answers, fold)


def check_enough(data: Dataset, plan: Plan | None = None) -> None:
    """Raise MienError unless each fold gets some labelled pictures."""
    folds, count = (plan or Plan()).folds, int((data.label >= 0).sum())
    if count < _FEWEST_OF_A_FOLD * folds:
        raise MienError(f"{data.path or data.info.name}: {count} labelled pictures are too few for {folds} folds")


def _facts(data: Dataset, groups: NDArray[np.integer], plan: Plan) -> dict[str, Any]:
    """What the answers depend on."""
    return {
        "data": data.info.fingerprint,
        "groups": hashlib.sha256(np.asarray(groups, np.int64).tobytes()).hexdigest(),
        "folds": plan.folds,
        "side": plan.side,
        "least_steps": plan.least_steps,
        "recipe": plan.recipe.model_dump(mode="json"),
    }


class _Count:
    """Counts the pictures that have been shown to nets; a fold that was finished before counts as shown."""

    def __init__(self, plan: Plan, pictures: Sequence[int], tell: Progress | None) -> None:
        self.recipes = [fitted(plan, n) for n in pictures]
        self._tell, self._done = tell, 0
        trains = [recipe.train for recipe in self.recipes]
        # Batches are whole: the last, smaller one of an epoch is left out.
        shown = [(n - n % t.batch_size) * t.epochs for n, t in zip(pictures, trains, strict=True)]
        self._ends = np.cumsum(shown)

    def add(self, pictures: int) -> None:
        """So many more were shown."""
        self._done += pictures
        if self._tell is not None:
            self._tell(self._done, int(self._ends[-1]))

    def finish(self, fold: int) -> None:
        """A fold is done."""
        self.add(int(self._ends[fold]) - self._done)


def reduced(data: Dataset, side: int) -> Dataset:
    """The set in memory with its pictures reduced to `side` pixels on their shorter side."""
    info = data.info
    scale = min(side / min(info.height, info.width), 1)
    shape = Shape(round(info.height * scale), round(info.width * scale), info.channels)
    if scale == 1:
        return data
    images = np.empty((len(data), *shape[: 2 if info.channels == 1 else 3]), np.uint8)
    for i, picture in enumerate(data.images):
        images[i] = resize(Image.fromarray(np.asarray(picture)), shape)
    return replace(data, images=images, info=info.model_copy(update={"height": shape.height, "width": shape.width}))


def _train_and_ask(
    data: Dataset, rows: NDArray[np.int64], asked: NDArray[np.int64], recipe: Recipe, add: Callable[[int], None]
) -> Probabilities:
    """Answers (n, K) for the pictures at `asked` by a net that learned from those at `rows`."""
    machine = Machine(recipe.train)
    model = _train(data, rows, recipe, machine, add)
    precision: Precision = "bf16" if machine.precision == "bf16" else "fp32"
    answerer = TorchAnswerer(model, name=RECIPE, device=machine.device, precision=precision)
    views = tta.variants("none" if recipe.augment.flip == "off" else "flip", model.spec)
    answers = predict_probabilities(answerer, data.images, rows=asked, batch_size=512, variants=views)
    return answers[model.spec.heads[0].name]


def _train(
    data: Dataset, rows: NDArray[np.int64], recipe: Recipe, machine: Machine, add: Callable[[int], None]
) -> Classifier:
    """A net trained on `rows` to the end of the recipe: its averaged weights, in eval mode."""
    torch.manual_seed(recipe.train.seed)
    model = build_classifier(make_spec(data, recipe, rows)).to(machine.device)
    model = model.to(memory_format=torch.channels_last)
    pictures = load_pictures(data, rows, device=machine.device, loss=recipe.loss, with_votes=False)
    batches = Batches(len(pictures), recipe.train.batch_size, recipe.train.seed)
    learner = make_learner(model, build_optimiser(model, recipe.optimiser), recipe, machine)
    step = Step(recipe, pictures, machine)
    model.train()
    for epoch in range(recipe.train.epochs):
        for batch in batches.epoch(epoch):
            step(learner, batch)
            add(recipe.train.batch_size)
    model.load_state_dict(learner.averaged())
    return model.eval()


def fitted(plan: Plan, count: int) -> Recipe:
    """The recipe for a net that learns from `count` pictures: small sets have smaller batches and more epochs."""
    train = plan.recipe.train
    batch_size = max(min(train.batch_size, count // _BATCHES_OF_AN_EPOCH), 2)
    epochs = max(train.epochs, math.ceil(plan.least_steps / (count // batch_size)))
    changed = train.model_copy(update={"batch_size": batch_size, "epochs": epochs})
    return plan.recipe.model_copy(update={"train": changed})
