"""What a recipe really feeds the net: the same pictures as training and as evaluation prepare them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mien.augment import batched
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.models.classifier import centre_crop
from mien.models.normalise import Normalise
from mien.train.batches import AUGMENT, generator
from mien.train.prepare import make_spec, training_rows


@dataclass(frozen=True)
class Fed:
    """Inputs of the backbone, float32 (n, C, h, w), of the same n training pictures on both sides."""

    training: NDArray[np.float32]
    evaluation: NDArray[np.float32]


def fed(data: Dataset, recipe: Recipe, *, pictures: int = 512) -> Fed:
    """What the backbone gets of up to `pictures` pictures of train, by the code that trains and that evaluates.

    Raises:
        MienError: as `train`: the recipe does not fit the data.
    """
    rows = training_rows(data, recipe)
    spec = make_spec(data, recipe, rows)
    normalise = Normalise(spec.normalise, spec.channels)
    rng = generator(recipe.train.seed, AUGMENT, 0)
    chosen = np.sort(rng.choice(len(rows), min(pictures, len(rows)), replace=False)).astype(np.int64)
    images = torch.from_numpy(np.ascontiguousarray(data.images[rows[chosen]]))
    images = images.permute(0, 3, 1, 2).contiguous() if images.ndim == 4 else images.unsqueeze(1)
    crop = recipe.data.crop
    size = (images.shape[2], images.shape[3])
    params = batched.draw(recipe.augment, rng, chosen, epoch=0, size=size, crop=crop)
    augmented = batched.apply(images, params, recipe.augment, crop=crop)
    plain = centre_crop(images, spec.crop) if spec.crop is not None else images
    return Fed(*(np.asarray(normalise(x).numpy(), np.float32) for x in (augmented, plain)))
