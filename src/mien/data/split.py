"""Names of splits, and dividing a set that comes without them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

_ALIASES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev", "eval", "publictest"),
    "test": ("test", "testing", "privatetest"),
}
_SPLITS = {alias: split for split, aliases in _ALIASES.items() for alias in aliases}
# FER2013's own words, which fer2013.csv and fer2013new.csv use.
USAGE = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


@lru_cache(maxsize=256)  # asked for every row, of a handful of names
def split_of(name: str) -> str | None:
    """train, val or test for a split's name in any case and usual spelling, else None.

    >>> split_of("PublicTest"), split_of("Training"), split_of("happy")
    ('val', 'train', None)
    """
    return _SPLITS.get(name.strip().lower())


def stratified(labels: NDArray[np.integer], fraction: float, seed: int) -> NDArray[np.bool_]:
    """A mask (N,) that draws `fraction` of each class, at random by `seed`.

    Each class gives its rounded share, but at least one picture when it has two or more and never all of them.
    The draw for a class depends on the seed and on how many pictures it has, not on the other classes.

    Raises:
        MienError: `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise MienError(f"a validation fraction of {fraction} is not between 0 and 1", hint="0.2 is usual")
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = min(max(round(len(members) * fraction), 1), len(members) - 1)
        order = np.random.default_rng((seed, int(label) + 1)).permutation(len(members))
        chosen[members[order[:wanted]]] = True
    return chosen


def complete(
    splits: list[str | None], labels: NDArray[np.integer], *, val_fraction: float, seed: int
) -> tuple[NDArray[np.str_], str | None]:
    """Splits (N,) with every gap filled, and a sentence on what was done (None when nothing was).

    Pictures without a split become train. When there are training pictures and no val, `val_fraction` of each of
    their classes becomes val: a given test split is never touched, since nothing may be chosen on it.
    """
    names = np.array([split or "train" for split in splits], dtype=np.str_)
    train = np.flatnonzero(names == "train")
    if not len(train) or (names == "val").any():
        unnamed = sum(split is None for split in splits)
        return names, f"{unnamed} pictures without a split went to train" if unnamed else None
    chosen = train[stratified(labels[train], val_fraction, seed)]
    names[chosen] = "val"
    kept = " (test is as it came)" if (names == "test").any() else ""
    return names, f"no validation split was given: {val_fraction:.0%} of each class of train, seed {seed}{kept}"
