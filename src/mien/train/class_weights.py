"""Weights of labels in the loss: given by name, or by how rare a label is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import unknown_name
from mien.core.labels import LabelSet
from mien.core.recipe_keys import LossConfig
from mien.data.sampling import effective_number


def class_weights(labels: NDArray[np.integer], label_set: LabelSet, config: LossConfig) -> NDArray[np.float32] | None:
    """Weights (K,) for training pictures with these labels (N,), −1 for none; None where all are 1.

    inverse-frequency: N / (K·n), so that the mean over pictures is 1. effective-number: (1 − β) / (1 − βⁿ), scaled so
    that they sum to K (Cui et al. 2019, arXiv 1901.05555, section 4). K counts labels that have pictures; the others
    keep 1. `class_weights` multiplies the labels that it names.

    Raises:
        MienError: a name that is no label of the set.
    """
    for name in config.class_weights:
        if name not in label_set.names:
            raise unknown_name("label in loss.class_weights:", name, label_set.names)
    counts = np.bincount(labels[labels >= 0], minlength=len(label_set))
    balance = np.ones(len(label_set))
    present = counts > 0
    if config.class_balance == "inverse-frequency":
        balance[present] = counts.sum() / (present.sum() * counts[present])
    elif config.class_balance == "effective-number":
        inverse = 1 / effective_number(counts[present], config.effective_number_beta)
        balance[present] = inverse * present.sum() / inverse.sum()
    elif not config.class_weights:
        return None
    given = np.array([config.class_weights.get(name, 1.0) for name in label_set.names])
    return np.asarray(balance * given, np.float32)
