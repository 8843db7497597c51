"""Everything that a training needs in memory: data, net, optimiser, what it aims at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien import __version__
from mien.core.errors import MienError
from mien.core.labels import FERPLUS8
from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec, Normalise
from mien.data.dataset import Dataset
from mien.data.sampling import Sampling
from mien.models import zoo
from mien.models.classifier import build_classifier
from mien.page.words import plural
from mien.train.batches import NORMS, PROBE, Pictures, generator, load_pictures, vote_targets
from mien.train.class_weights import class_weights
from mien.train.freeze import check_freeze
from mien.train.loop import Parts
from mien.train.machine import Machine
from mien.train.objective import Objective
from mien.train.optim import build_optimiser
from mien.train.phase_rows import PhaseRows, left_out
from mien.train.present_teachers import PresentTeachers
from mien.train.rates import check_parts
from mien.train.stages import LEFT_OUT, Stages
from mien.train.start import begin
from mien.train.step import Learner, make_learner
from mien.train.store import RunStore
from mien.train.teachers import Tell, taught

# Of the side. Crops are there to shift faces about, as 44 of 48 px do, not to cut them.
_LEAST_SEEN, _USUAL_CROP = 0.75, 44 / 48


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
    _check_crop(crop, info.height, info.width)
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


def _check_crop(crop: int | None, height: int, width: int) -> None:
    """Raise MienError where pictures have no such crop, or a net would see a part of each face in it."""
    side = min(height, width)
    if crop is None or side * _LEAST_SEEN <= crop <= side:
        return
    larger = f"import the data with --size {round(crop / _USUAL_CROP)}"
    if crop > side:
        raise MienError(
            f"data.crop = {crop} is larger than the pictures ({height}×{width})", hint=f"lower data.crop, or {larger}"
        )
    raise MienError(
        f"data.crop = {crop} is {crop**2 / (height * width):.0%} of a picture of {height}×{width}: the net would see "
        "a part of each face",
        hint=f"{larger}, or --set data.crop={round(side * _USUAL_CROP)}",
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


def training_rows(data: Dataset, recipe: Recipe) -> NDArray[np.int64]:
    """Positions (n,) of the pictures that a recipe trains on: with a weight, and a label or a target of votes.

    Raises:
        MienError: there are none.
    """
    rows = data.rows("train")
    if recipe.data.train_on_val:
        rows = np.concatenate([rows, data.rows("val")])
    used = data.label[rows] >= 0
    if recipe.data.votes and data.votes is not None:
        used[~used] = vote_targets(data.votes[rows[~used]], recipe.loss.vote_scheme).any(1)
    if not used.any():
        raise MienError(
            f"{data.path}: none of {plural(len(rows), 'training picture')} has a label, or votes that are a target",
            hint="import labelled data",
        )
    weighed = used & (data.column("weight")[rows] > 0)
    if not weighed.any():
        raise MienError(
            f"{data.path}: none of {plural(len(rows), 'training picture')} has a weight above 0, so nothing is learned",
            hint="raise them in the column weight",
        )
    return rows[weighed]


def shown_pictures(data: Dataset, recipe: Recipe) -> int:
    """How many pictures the first epoch shows, as its sampler draws them; `leave_out` of its phase not counted.

    Raises:
        MienError: as `training_rows`, or the sampler needs labels.
    """
    first = phases(recipe)[0].recipe
    return Sampling.of(data.label[training_rows(data, first)], first.data).length


def prepare(
    data: Dataset, recipe: Recipe, run: RunDir, machine: Machine, *, fresh: bool = True, tell: Tell | None = None
) -> tuple[Parts, Learner]:
    """Model, optimiser and data in memory; `fresh` brings starting weights, which a resumed run does not need.

    Raises:
        MienError: keys of the recipe that do not fit the data, the net or the teachers.
    """
    rows = training_rows(data, recipe)
    spec = make_spec(data, recipe, rows)
    _require_a_choice(data, rows, spec)
    torch.manual_seed(recipe.train.seed)
    device = machine.device
    first = spec.model_copy(update={"options": recipe.model.options})
    model = build_classifier(first if fresh else spec, start=fresh).to(device)
    if fresh:
        begin(model, recipe.model, data.images, rows)
    model = model.to(memory_format=torch.channels_last)
    evaluated = build_classifier(spec, start=False).to(device).to(memory_format=torch.channels_last).eval()
    learner = make_learner(model, build_optimiser(model, recipe.optimiser), recipe, machine)
    with_votes = len(spec.heads) > 1
    pictures = load_pictures(data, rows, device=device, loss=recipe.loss, with_votes=with_votes)
    weights = class_weights(data.label[rows], data.labels, recipe.loss)
    objective = Objective(recipe, pictures, class_weights=weights)
    stages = Stages(phases(recipe), rows, pictures, objective, evaluated, machine, PhaseRows(run.phases))
    stages.left_out = _left_out(data, stages, fresh=fresh)
    stages.check()
    val = load_pictures(data, data.rows("val"), device=device, loss=None, with_votes=with_votes)
    probe = _probe(data, rows, recipe, device, with_votes)
    # Last, since it can take minutes.
    if recipe.distill.teachers and recipe.distill.views == "augmented":
        objective.present = PresentTeachers(spec, recipe.distill, folder=run.teachers, machine=machine, kept=not fresh)
    else:
        objective.teachers = taught(
            data, rows, spec, recipe.distill, folder=run.teachers, machine=machine, kept=not fresh, tell=tell
        )
    parts = Parts(
        recipe=recipe,
        machine=machine,
        stages=stages,
        evaluated=evaluated,
        val=val,
        probe=probe,
        norms=_drawn(pictures, recipe) if learner.average and learner.average.stale_norms else None,
        store=RunStore(run, spec, recipe),
    )
    return parts, learner


def check_fit(data: Dataset, recipe: Recipe) -> None:
    """Refuse what `prepare` would of a net and its parts, and of labels, without the pictures and the start's weights.

    Raises:
        MienError: keys of the recipe that do not fit the data or the net.
    """
    rows = training_rows(data, recipe)
    net = build_classifier(make_spec(data, recipe, rows[:1]), start=False)
    check_parts(net, recipe.optimiser)
    for phase in phases(recipe):
        check_freeze(net, phase.config.freeze, phase=phase.number)
    class_weights(data.label[rows], data.labels, recipe.loss)


def _require_a_choice(data: Dataset, rows: NDArray[np.int64], spec: ModelSpec) -> None:
    """Raise MienError where there is nothing to tell apart."""
    labels = np.unique(data.label[rows])
    if len(spec.heads) == 1 and len(labels) == 1:
        name = data.labels.names[labels[0]]
        raise MienError(
            f"{data.path}: all training pictures are {name}, so any net would be right without looking",
            hint="a second class is needed",
        )


def _left_out(data: Dataset, stages: Stages, *, fresh: bool) -> dict[int, NDArray[np.int64]]:
    """The rows that phases leave out, by number, written down in the run: their files may be gone at a resume."""
    found = {}
    for phase in stages.phases:
        if phase.config.leave_out is None:
            continue
        if fresh:
            rows = left_out(Path(phase.config.leave_out), data, stages.rows)
            if stages.machine.is_first:
                stages.kept.save(phase.number, LEFT_OUT, row=rows)
        else:
            rows = stages.kept.load(phase.number, LEFT_OUT)
        found[phase.number] = rows
    return found


def _drawn(pictures: Pictures, recipe: Recipe) -> torch.Tensor:
    """Training pictures, always the same ones, on which the norms of averaged weights are estimated."""
    count = min(recipe.average.norm_pictures, len(pictures))
    chosen = generator(recipe.train.seed, NORMS).choice(len(pictures), count, replace=False)
    return pictures.images[torch.from_numpy(np.sort(chosen)).to(pictures.images.device)]


def _probe(
    data: Dataset, rows: NDArray[np.int64], recipe: Recipe, device: torch.device, with_votes: bool
) -> Pictures | None:
    """Training pictures, the same ones each epoch, measured as validation is: the honest training accuracy."""
    if not recipe.train.probe:
        return None
    count = min(recipe.train.probe, len(rows))
    chosen = generator(recipe.train.seed, PROBE).choice(rows, count, replace=False)
    return load_pictures(data, np.sort(chosen), device=device, loss=None, with_votes=with_votes)
