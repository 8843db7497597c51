"""A sheet of what a recipe feeds the net: the same training pictures in epochs from the first to the last."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from mien.core.files import atomic_path
from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.models.classifier import centre_crop
from mien.train.batches import Batch
from mien.train.inputs import Inputs, make_inputs
from mien.train.prepare import make_spec, training_rows

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Column:
    """Pictures below each other, (C, h, w) each, under a heading; a caption for each, which may be empty."""

    heading: str
    pictures: list[Pixels]
    captions: list[str]


@dataclass(frozen=True)
class Sheet:
    """Columns of as many pictures as there are rows, and the names of the rows."""

    title: str
    rows: list[str]
    columns: list[Column]


def preview(data: Dataset, recipe: Recipe, *, pictures: int = 8, epochs: int = 9) -> Sheet:
    """Up to `pictures` of train, as evaluated and in up to `epochs` epochs from first to last, by the code that trains.

    Pictures are taken from all labels in turn, by `train.seed`, and mixed with each other where the recipe mixes.

    Raises:
        MienError: as `train`: the recipe does not fit the data.
    """
    rows = training_rows(data, recipe)
    spec = make_spec(data, recipe, rows)
    chosen = _spread(data.label[rows], pictures, recipe.train.seed)
    images = torch.from_numpy(np.ascontiguousarray(data.images[rows[chosen]]))
    images = images.permute(0, 3, 1, 2).contiguous() if images.ndim == 4 else images.unsqueeze(1)
    names = [(*data.labels.names, "no label")[label] for label in data.label[rows[chosen]].tolist()]
    plain = centre_crop(images, spec.crop) if spec.crop is not None else images
    columns = [Column("as evaluated", pixels(plain), [""] * len(names))]
    for epoch in np.unique(np.linspace(0, recipe.train.epochs - 1, epochs).round().astype(int)).tolist():
        fed = _fed(images, recipe, epoch)
        columns.append(Column(f"epoch {epoch + 1}", pixels(fed.pictures), _shares(fed, names)))
    title = f"{recipe.name}: {', '.join(recipe.augment.on) or 'no augmentation'}"
    return Sheet(title, names, columns)


def _spread(label: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Positions of pictures that take turns among the labels, each label's in a random order."""
    order = np.random.default_rng(seed).permutation(len(label))
    turn = np.empty(len(label), np.int64)
    for name in np.unique(label):
        members = order[label[order] == name]
        turn[members] = np.arange(len(members))
    return np.lexsort((label, turn))[:count]


def _fed(images: Tensor, recipe: Recipe, epoch: int) -> Inputs:
    phase = next(phase for phase in phases(recipe) if phase.first <= epoch < phase.end)
    n = len(images)
    batch = Batch(epoch, 0, np.arange(n), slice(0, n), position=epoch, time=float(epoch))
    return make_inputs(images, batch, phase.recipe, size=phase.config.size)


def _shares(fed: Inputs, names: list[str]) -> list[str]:
    """What was mixed into each picture, in words."""
    if fed.mixing is None:
        return [""] * len(names)
    mixed = zip(fed.mixing.partner.tolist(), fed.mixing.weight.tolist(), strict=True)
    return [f"{1 - weight:.0%} {names[partner]}" if weight < 1 else "" for partner, weight in mixed]


def pixels(pictures: Tensor) -> list[Pixels]:
    """Pictures (n, C, h, w) in units of 0–255, one by one and rounded to whole levels."""
    return list(pictures.float().round().clamp(0, 255).to(torch.uint8).contiguous().numpy())


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Draw a sheet as a PNG file."""
    rows, columns = len(sheet.rows), len(sheet.columns)
    figure = Figure(figsize=(0.9 + 0.95 * columns, 0.75 + 1.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(textwrap.fill(sheet.title.replace("$", r"\$"), 14 * columns), fontsize=10)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, column in zip(grid.T, sheet.columns, strict=True):
        axes[0].set_title(column.heading, fontsize=8)
        for cell, picture, caption in zip(axes, column.pictures, column.captions, strict=True):
            cell.imshow(np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0), interpolation="nearest")
            cell.set_xlabel(caption, fontsize=6, labelpad=1)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
    for cell, name in zip(grid[:, 0], sheet.rows, strict=True):
        cell.set_ylabel(name, fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
