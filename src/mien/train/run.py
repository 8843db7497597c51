"""Start, resume and finish a training: `train` and `resume` are the two public entries."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien import __version__
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import remove_temporaries, write_json
from mien.core.labels import FERPLUS8
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data.dataset import Dataset
from mien.models import zoo
from mien.models.classifier import build_classifier
from mien.models.store import read_weights
from mien.train import checkpoint
from mien.train.batches import PROBE, Batches, Pictures, generator, load_pictures
from mien.train.checkpoint import Progress
from mien.train.loop import Parts, Watcher, fit
from mien.train.machine import Machine
from mien.train.optim import build_optimiser
from mien.train.step import Learner, Step, make_learner
from mien.train.store import RunStore, environment, write_environment, write_recipe

# What a resumed run may change without pretending to be the run it was.
CHANGEABLE = ("optimiser.learning_rate", "train.epochs", "train.checkpoint_minutes", "stopping.patience_epochs")


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    run: RunDir
    progress: Progress
    spec: ModelSpec


def train(data: Dataset, recipe: Recipe, out: Path, watcher: Watcher) -> Finished:
    """Train a new run into the folder `out`.

    Raises:
        MienError: `out` exists, the device is not there, the recipe does not fit the data, or the loss is not finite.
    """
    machine, run = Machine(recipe.train), RunDir(out)
    if machine.is_first:
        _require_free(run)
    parts, learner = _prepare(data, recipe, run, machine)
    if machine.is_first:
        # The recipe makes the folder a run, so it comes when everything that a resume needs is there.
        checkpoint.save(run.resume, learner, Progress())
        write_json(run.data, _data_facts(data))
        write_environment(run, environment(machine))
        write_recipe(run, recipe)
    machine.wait()
    return Finished(run, fit(parts, learner, Progress(), _logged(watcher, run, machine)), parts.store.spec)


def resume(run: RunDir, data: Dataset, watcher: Watcher, *, settings: Sequence[str] = ()) -> Finished:
    """Go on with a run from its last saved state, to the same numbers as if it had never stopped.

    Raises:
        MienError: no run, other data than it was trained on, or a setting that would make the result dishonest.
    """
    recipe = changed(recipes.read(str(run.require().recipe)), settings)
    trained_on = str(run.read_json(run.data).get("fingerprint"))
    if trained_on != data.info.fingerprint:
        raise MienError(
            f"{data.path}: not the data this run was trained on (fingerprint {data.info.fingerprint[:12]}, "
            f"the run has {trained_on[:12]})"
        )
    before = run.read_json(run.environment)
    machine = Machine(recipe.train.model_copy(update={"precision": before.get("precision", "auto")}))
    parts, learner = _prepare(data, recipe, run, machine, fresh=False)
    progress = checkpoint.load(run.resume, learner)
    if settings:
        progress.stopped, progress.waited = False, 0
    if machine.is_first:
        remove_temporaries(run.path)
        now = {**environment(machine), "from_epoch": progress.epoch, "from_step": progress.step}
        write_environment(run, {**before, "resumed": [*before.get("resumed", []), now]})
        write_recipe(run, recipe)
    return Finished(run, fit(parts, learner, progress, _logged(watcher, run, machine)), parts.store.spec)


def _require_free(run: RunDir) -> None:
    """Raise MienError unless the folder is free; what a start that was killed at once has left is cleared away."""
    found = {path.name for path in run.path.iterdir()} if run.path.exists() else set()
    if not found:
        return
    if found <= {"weights", "data.json", "env.json"}:
        shutil.rmtree(run.path)
        return
    hint = f"mien resume {run.path} goes on with it; or choose another --out"
    raise MienError(f"{run.path}: exists already", hint=hint if run.recipe.is_file() else "choose another --out")


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with settings that a resumed run may change. Raises MienError for any other."""
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key not in CHANGEABLE:
            raise MienError(
                f"{key} cannot change in a resumed run: its history would be that of two recipes",
                hint=f"changeable: {', '.join(CHANGEABLE)}; else start a new run",
            )
    return recipes.build(recipes.apply_settings(recipes.to_tree(recipe), settings), source="resume")


def make_spec(data: Dataset, recipe: Recipe, rows: NDArray[np.int64]) -> ModelSpec:
    """What the trained model will know about itself; normalisation figures come from the training `rows`."""
    info = data.info
    with_votes = recipe.data.votes and data.has_votes
    # A set imported with FER+'s own labels still has the votes as something else: their distribution.
    name = "labels" if with_votes and data.labels.name == FERPLUS8.name else data.labels.name
    heads = [Head(name=name, labels=data.labels.names)]
    if with_votes:
        heads.append(Head(name=FERPLUS8.name, labels=FERPLUS8.names))
    crop = recipe.data.crop
    if crop is not None and crop > min(info.height, info.width):
        raise MienError(
            f"data.crop = {crop} is larger than the pictures ({info.height}×{info.width})",
            hint="lower data.crop, or import the data with a larger --size",
        )
    return ModelSpec(
        architecture=recipe.model.name,
        options=zoo.lasting_options(recipe.model.name, recipe.model.options),
        height=info.height,
        width=info.width,
        channels=info.channels,
        crop=crop,
        normalise=normalisation(data, recipe, rows),
        heads=tuple(heads),
        provenance={
            "mien": __version__,
            "recipe": recipe.name,
            "data": info.fingerprint,
            "data_name": info.name,
        },
    )


def normalisation(data: Dataset, recipe: Recipe, rows: NDArray[np.int64]) -> Normalise:
    """The recipe's normalisation; `dataset` measures mean and deviation per channel over `rows`, in units of 0–1."""
    kind = recipe.data.normalise
    if kind == "model":
        return zoo.normalisation(recipe.model.name, channels=data.info.channels)
    if kind != "dataset":
        return Normalise(kind=kind)
    total, squares, count = np.zeros(data.info.channels), np.zeros(data.info.channels), 0
    for start in range(0, len(rows), 4096):
        pixels = data.images[rows[start : start + 4096]].reshape(-1, data.info.channels) / 255.0
        total, squares, count = total + pixels.sum(0), squares + (pixels**2).sum(0), count + len(pixels)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1e-8))
    return Normalise(kind="dataset", mean=tuple(mean.tolist()), std=tuple(deviation.tolist()))


def _training_rows(data: Dataset, recipe: Recipe) -> NDArray[np.int64]:
    rows = data.rows("train")
    if recipe.data.train_on_val:
        rows = np.concatenate([rows, data.rows("val")])
    used = data.label[rows] >= 0
    if recipe.data.votes and data.votes is not None:
        used |= data.votes[rows].any(1)
    return rows[used & (data.column("weight")[rows] > 0)]


def _prepare(
    data: Dataset, recipe: Recipe, run: RunDir, machine: Machine, *, fresh: bool = True
) -> tuple[Parts, Learner]:
    """Model, optimiser and data in memory; `fresh` brings starting weights, which a resumed run does not need."""
    rows = _training_rows(data, recipe)
    spec = make_spec(data, recipe, rows)
    torch.manual_seed(recipe.train.seed)
    device = machine.device
    first = spec.model_copy(update={"options": recipe.model.options})
    model = build_classifier(first if fresh else spec, start=fresh).to(device)
    if fresh and recipe.model.start_from:
        _start_from(model, spec, Path(recipe.model.start_from))
    model = model.to(memory_format=torch.channels_last)
    evaluated = build_classifier(spec, start=False).to(device).to(memory_format=torch.channels_last).eval()
    learner = make_learner(model, build_optimiser(model, recipe.optimiser), recipe, machine)
    with_votes = len(spec.heads) > 1
    pictures = load_pictures(data, rows, device=device, loss=recipe.loss, with_votes=with_votes)
    val = load_pictures(data, data.rows("val"), device=device, loss=None, with_votes=with_votes)
    batches = Batches(
        len(pictures),
        recipe.train.batch_size,
        recipe.train.seed,
        machine.rank,
        machine.processes,
    )
    parts = Parts(
        recipe=recipe,
        machine=machine,
        batches=batches,
        step=Step(recipe, pictures, machine, per_epoch=batches.per_epoch),
        evaluated=evaluated,
        val=val,
        probe=_probe(data, rows, recipe, device, with_votes),
        store=RunStore(run, spec),
    )
    return parts, learner


def _probe(
    data: Dataset, rows: NDArray[np.int64], recipe: Recipe, device: torch.device, with_votes: bool
) -> Pictures | None:
    """Training pictures, the same ones each epoch, measured as validation is: the honest training accuracy."""
    if not recipe.train.probe:
        return None
    count = min(recipe.train.probe, len(rows))
    chosen = generator(recipe.train.seed, PROBE).choice(rows, count, replace=False)
    return load_pictures(data, np.sort(chosen), device=device, loss=None, with_votes=with_votes)


def _start_from(model: torch.nn.Module, spec: ModelSpec, path: Path) -> None:
    """Backbone weights of an earlier run of the same net; heads are taken where their labels are the same."""
    tensors, other = read_weights(path)
    own = model.state_dict()
    found = {name: t for name, t in tensors.items() if name.startswith("backbone.")}
    theirs = {head.labels: j for j, head in enumerate(other.heads)}
    for i, head in enumerate(spec.heads):
        for part in ("weight", "bias") if head.labels in theirs else ():
            found[f"heads.{i}.{part}"] = tensors[f"heads.{theirs[head.labels]}.{part}"]
    fitting = {name: t for name, t in found.items() if name in own and own[name].shape == t.shape}
    missing = [name for name in own if name.startswith("backbone.") and name not in fitting]
    if missing:
        raise MienError(f"{path}: not of the same net ({len(missing)} tensors differ, such as {missing[0]})")
    model.load_state_dict(own | fitting)


def _data_facts(data: Dataset) -> dict[str, object]:
    info = data.info
    return {
        "path": str(data.path.resolve()) if data.path else None,
        "name": info.name,
        "fingerprint": info.fingerprint,
        "labels": list(info.labels),
        "counts": info.counts,
        "provenance": info.provenance,
    }


class _Logged:
    """A watcher that also writes a line an epoch to the run's log."""

    def __init__(self, inner: Watcher, logger: logging.Logger) -> None:
        self.inner, self.logger = inner, logger

    def step(self, progress: Progress, *, waited: float) -> None:
        self.inner.step(progress, waited=waited)

    def epoch(self, row: dict[str, float | int]) -> None:
        self.logger.info("  ".join(f"{k} {v:.5g}" for k, v in row.items()))
        self.inner.epoch(row)


def _logged(watcher: Watcher, run: RunDir, machine: Machine) -> Watcher:
    if not machine.is_first:
        return watcher
    logger = logging.getLogger(f"mien.train.{run.path}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for old in list(logger.handlers):
        old.close()
        logger.removeHandler(old)
    handler = logging.FileHandler(run.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
    logger.addHandler(handler)
    return _Logged(watcher, logger)
