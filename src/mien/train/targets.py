"""What pictures count for in the loss, before a net has answered them."""

from __future__ import annotations

import numpy as np

from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.data.sampling import Sampling
from mien.diagnose.evidence import Targets
from mien.train.batches import vote_targets
from mien.train.prepare import training_rows


def targets(data: Dataset, recipe: Recipe) -> Targets:
    """Of the pictures that an epoch of the first phase shows, as often as its sampler draws them.

    Raises:
        MienError: as `training_rows`.
    """
    first = phases(recipe)[0].recipe
    rows = training_rows(data, first)
    shown = rows[Sampling.of(data.label[rows], first.data).order(np.random.default_rng(recipe.train.seed))]
    weight = data.column("weight")[shown].astype(np.float64)
    votes = np.zeros(len(shown))
    if recipe.data.votes and data.votes is not None:
        votes = weight * vote_targets(data.votes[shown], recipe.loss.vote_scheme).any(1)
    return Targets(weight * (data.label[shown] >= 0), votes)
