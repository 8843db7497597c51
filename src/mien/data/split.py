"""Names of splits, and dividing a set: into train and val where it comes without, or anew with copies kept together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError

VAL_FRACTION = 0.2  # of each class of train, where there is no val
_ALIASES = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev", "eval", "publictest"),
    "test": ("test", "testing", "privatetest"),
}
_SPLITS = {alias: split for split, aliases in _ALIASES.items() for alias in aliases}
# The words of a file name, and the words in CamelCase within them; FER2013's own two stay together.
_WORD = re.compile(r"(?i:public|private)[ _-]?(?i:test)|[A-Za-z]+")
_PART = re.compile(r"(?i:public|private)[ _-]?(?i:test)|[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# FER2013's own words, which fer2013.csv and fer2013new.csv use.
USAGE = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


@lru_cache(maxsize=256)  # asked for every row, of a handful of names
def split_of(name: str) -> str | None:
    """train, val or test for a split's name in any case and usual spelling, else None.

    >>> split_of("PublicTest"), split_of("public test"), split_of("Training"), split_of("happy")
    ('val', 'val', 'train', None)
    """
    return _SPLITS.get(re.sub(r"[\s_-]", "", name.lower()))


def split_in(stem: str) -> str | None:
    """The split that a name speaks of in one of its words, else in a part of one.

    >>> split_in("train_list"), split_in("my-validation"), split_in("FER2013TrainAug"), split_in("labels")
    ('train', 'val', 'train', None)
    """
    words = (split_of(word) for word in _WORD.findall(stem))
    parts = {split for part in _PART.findall(stem) if (split := split_of(part))}
    return next(filter(None, words), None) or (parts.pop() if len(parts) == 1 else None)


def stratified(labels: NDArray[np.integer], fraction: float, seed: int) -> NDArray[np.bool_]:
    """A mask (N,) that draws `fraction` of each class, at random by `seed`.

    Each class gives its rounded share, but at least one picture when it has two or more and never all of them.
    The draw for a class depends on the seed and on how many pictures it has, not on the other classes.

    Raises:
        MienError: `fraction` is not between 0 and 1.
    """
    check_fraction(fraction)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = min(max(round(len(members) * fraction), 1), len(members) - 1)
        order = np.random.default_rng((seed, int(label) + 1)).permutation(len(members))
        chosen[members[order[:wanted]]] = True
    return chosen


def check_fraction(fraction: float) -> None:
    """Raise MienError unless `fraction` is between 0 and 1."""
    if not 0 < fraction < 1:
        raise MienError(f"a fraction of {fraction} is not between 0 and 1", hint="0.2 is usual")


def complete(
    splits: list[str | None],
    labels: NDArray[np.integer],
    *,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
    people: Sequence[str | None] | None = None,
) -> tuple[NDArray[np.str_], str | None]:
    """Splits (N,) with every gap filled, and a sentence on what was done (None when nothing was).

    Pictures without a split become train. When there are training pictures and no val, `val_fraction` of each of
    their classes becomes val: a given test split is never touched, since nothing may be chosen on it. Where `people`
    says who is shown, nobody is put on both sides.
    """
    names = np.array([split or "train" for split in splits], dtype=np.str_)
    train = np.flatnonzero(names == "train")
    if not len(train) or (names == "val").any():
        return names, "; ".join(_undrawn(splits, val_fraction, seed)) or None
    chosen = stratified(labels[train], val_fraction, seed)  # refuses a fraction that is none
    shown = [people[i] for i in train.tolist()] if people else []
    known = any(shown)
    if known:
        chosen = divide(labels[train], numbered(shown), (1 - val_fraction, val_fraction), seed=seed) == 1
    names[train[chosen]] = "val"
    kept = ", no person in both" if known else ""
    kept += " (test is as it came)" if (names == "test").any() else ""
    return names, f"no validation split was given: {val_fraction:.0%} of each class of train, seed {seed}{kept}"


def _undrawn(splits: list[str | None], val_fraction: float, seed: int) -> Iterator[str]:
    """What there is to say where no val is drawn."""
    unnamed = sum(split is None for split in splits)
    if unnamed:
        yield f"{unnamed} pictures without a split went to train"
    if (val_fraction, seed) != (VAL_FRACTION, 0):
        why = "val is there" if "val" in splits else "there is no train"
        yield f"{why}, so none was drawn: --val-fraction and --seed change nothing"


def numbered(people: Sequence[str | None]) -> NDArray[np.int64]:
    """A number (N,) for each name, the same for the same name; −1 where there is none."""
    number = {name: i for i, name in enumerate(sorted({name for name in people if name}))}
    return np.array([number.get(name or "", -1) for name in people], np.int64)


def divide(
    label: NDArray[np.integer], group: NDArray[np.integer], shares: Sequence[float], *, seed: int
) -> NDArray[np.int64]:
    """Divide N pictures into parts that hold the given shares of every class and never part a group.

    Groups are dealt out first, the largest first, each to the part that lacks the largest part of its own share of
    the group's classes and has room for it; pictures that are alone then fill up every class to its share, drawn at
    random by `seed`. So a class meets its shares to the picture unless groups alone exceed them.

    Args:
        label: class ids (N,); −1, for none, is a class of its own.
        group: group ids (N,), −1 for a picture that is alone.
        shares: of the P parts, positive; they are taken relative to their sum.
        seed: of the draw.

    Returns:
        The part (N,) of each picture, 0 to P − 1. Every part gets a picture of each class that has P or more that are
        alone.

    Raises:
        MienError: a share that is not positive.
    """
    if min(shares) <= 0:
        raise MienError(f"shares of {list(shares)}: each must be more than 0")
    classes, kind = np.unique(label, return_inverse=True)
    rng = np.random.default_rng(seed)
    missing = _targets(np.bincount(kind, minlength=len(classes)), np.asarray(shares, np.float64))
    part = np.full(len(label), -1, np.int64)
    for members in _shuffled_groups(group, rng):
        wanted = np.bincount(kind[members], minlength=len(classes))
        chosen = _neediest(missing, wanted, np.asarray(shares))
        part[members] = chosen
        missing[chosen] -= wanted
    for c in range(len(classes)):
        alone = rng.permutation(np.flatnonzero((kind == c) & (part < 0)))
        part[alone] = np.repeat(np.arange(len(shares)), _fill(missing[:, c], len(alone)))
    return part


def _targets(counts: NDArray[np.integer], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers (P, K) nearest to the shares of each class, of sum `counts` (K,); none 0 where that can be."""
    exact = shares[:, None] / shares.sum() * counts
    whole: NDArray[np.int64] = np.floor(exact + 1e-9).astype(np.int64)
    for c, total in enumerate(counts):
        order = np.argsort(whole[:, c] - exact[:, c], kind="stable")
        whole[order[: total - whole[:, c].sum()], c] += 1
        while total >= len(shares) and whole[:, c].min() == 0:
            whole[whole[:, c].argmax(), c] -= 1
            whole[whole[:, c].argmin(), c] += 1
    return whole


def _shuffled_groups(group: NDArray[np.integer], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """The members of each group, the largest group first, those of one size in random order."""
    together = np.flatnonzero(group >= 0)
    order = together[np.argsort(group[together], kind="stable")]
    starts = np.flatnonzero(np.diff(group[order])) + 1
    found = np.split(order, starts) if len(order) else []
    return sorted((found[i] for i in rng.permutation(len(found))), key=len, reverse=True)


def _neediest(missing: NDArray[np.int64], wanted: NDArray[np.int64], shares: NDArray[np.float64]) -> int:
    """The part that gets a group with `wanted` (K,) pictures of each class, where parts lack `missing` (P, K)."""
    room = missing.sum(1)
    fits = room >= wanted.sum()
    need = (missing @ wanted) / shares if fits.any() else room
    return int(np.lexsort((shares, need, fits))[-1])


def _fill(missing: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many of `count` pictures each part gets that lacks `missing` (P,); what is over the mark elsewhere is cut."""
    wanted: NDArray[np.int64] = missing.clip(0)
    while wanted.sum() > count:  # groups took more than their share in another part
        wanted[wanted.argmax()] -= 1
    return wanted
