"""Averaged weights of several checkpoints of one net, with norms estimated anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.core.errors import MienError
from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.core.spec import ModelSpec
from mien.data.dataset import Dataset
from mien.models.classifier import build_classifier
from mien.models.store import read_weights, save_weights
from mien.train.batches import NORMS, generator, load_pictures
from mien.train.freeze import freeze, frozen_norms
from mien.train.machine import Machine
from mien.train.norms import estimate_norms
from mien.train.prepare import training_rows


def average_weights(files: Sequence[Path], data: Dataset, recipe: Recipe, out: Path) -> ModelSpec:
    """Write the mean of the weights in `files` to `out`, batch norms estimated on training pictures.

    The mean of weights along one training or of fine-tunings of one start is a good net (arXiv 1803.05407,
    2203.05482); of trainings with different starts it is not.

    Args:
        files: weights of one net, two or more.
        data: the packed set that they were trained on.
        recipe: of the training; its `average.norm_pictures` are looked at.
        out: the weights file to write.

    Returns:
        The spec of what was written.

    Raises:
        MienError: fewer than two files, or files of different nets.
    """
    state, spec = mean_state(files)
    machine = Machine(recipe.train)
    model = build_classifier(spec, start=False)
    model.load_state_dict(state)
    model = model.to(machine.device).to(memory_format=torch.channels_last)
    rows = training_rows(data, recipe)
    count = min(recipe.average.norm_pictures, len(rows))
    chosen: NDArray[np.int64] = np.sort(generator(recipe.train.seed, NORMS).choice(rows, count, replace=False))
    pictures = load_pictures(data, chosen, device=machine.device, loss=None, with_votes=True)
    freeze(model, phases(recipe)[-1].config.freeze)
    size, kept = recipe.train.eval_batch_size, frozen_norms(model)
    estimate_norms(model, pictures.images, machine, batch_size=size, kept=kept)
    if machine.is_first:
        save_weights(out, model.state_dict(), spec)
    return spec


def mean_state(files: Sequence[Path]) -> tuple[dict[str, Tensor], ModelSpec]:
    """The mean of the floating tensors of weights files, the first one's whole numbers, and the spec they share.

    Raises:
        MienError: fewer than two files, or files of different nets.
    """
    if len(files) < 2:
        raise MienError(
            f"{len(files)} weights files have no mean of interest",
            hint="train with average.snapshots = 5, or give two or more",
        )
    read = [read_weights(path) for path in files]
    spec = read[0][1]
    for path, (_, other) in zip(files, read, strict=True):
        if _essence(other) != _essence(spec):
            raise MienError(f"{path}: not of the same net, labels and input as {files[0]}")
    state = {
        name: torch.stack([tensors[name].double() for tensors, _ in read]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first
        for name, first in read[0][0].items()
    }
    told = {"averaged": ", ".join(path.name for path in files)}
    kept = {k: v for k, v in spec.provenance.items() if k not in ("epoch", "val_accuracy")}
    return state, spec.model_copy(update={"provenance": kept | told})


def _essence(spec: ModelSpec) -> ModelSpec:
    return spec.model_copy(update={"provenance": {}})
