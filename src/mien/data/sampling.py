"""How often an epoch shows pictures of each class: as often as there are, equally often, or something in between.

A sampler gives each class a quota. A class shows all its pictures as many whole times as the quota holds, and a random
draw without repetition for the rest: so quotas are met to the picture, and no picture is shown twice more than another
of its class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError, unknown_name
from mien.core.recipe import DataConfig

Counts = NDArray[np.int64]


def effective_number(counts: NDArray[np.integer], beta: float) -> NDArray[np.float64]:
    """Effective number of samples (1 − βⁿ) / (1 − β) of n pictures (Cui et al. 2019, arXiv 1901.05555, section 3.2)."""
    return np.asarray(-np.expm1(counts * np.log(beta)) / (1 - beta) if beta > 0 else np.ones(len(counts)))


def quotas(counts: Counts, sampler: str, *, beta: float = 0.999) -> Counts:
    """How many pictures of each class (K,) an epoch shows, for classes that have `counts` (K,), none of them 0.

    shuffle: all, once. label-shuffling: as many of each class as the largest has, so an epoch is longer (HikVision at
    ImageNet 2016, PaddleClas). The others keep the length of an epoch: class-balanced shows the same number of each,
    square-root in proportion to the root of the counts (Mahajan et al. 2018, arXiv 1805.00932), effective-number in
    proportion to n / effective_number(n), the sampling that its weights amount to.

    Raises:
        MienError: no such sampler.
    """
    if sampler == "shuffle":
        return counts
    if sampler == "label-shuffling":
        return np.full(len(counts), counts.max())
    shares = {
        "class-balanced": np.ones(len(counts)),
        "square-root": np.sqrt(counts),
        "effective-number": counts / effective_number(counts, beta),
    }
    if sampler not in shares:
        raise unknown_name("sampler", sampler, ["shuffle", "label-shuffling", *shares])
    return _whole(shares[sampler] / shares[sampler].sum() * counts.sum())


def _whole(exact: NDArray[np.float64]) -> Counts:
    """Whole numbers with the same sum, each the nearest below or above, and none 0 (largest remainders first)."""
    rounded = np.maximum(np.floor(exact), 1).astype(np.int64)
    left = round(exact.sum()) - int(rounded.sum())
    order = np.argsort(rounded - exact, kind="stable")
    rounded[order[: max(left, 0)]] += 1
    return rounded


@dataclass(frozen=True, eq=False)
class Sampling:
    """What an epoch shows: positions in the training set, class by class, and how many of each."""

    members: tuple[NDArray[np.int64], ...]
    quotas: tuple[int, ...]

    @classmethod
    def of(cls, labels: NDArray[np.integer], config: DataConfig) -> Sampling:
        """The sampling of a training set with these labels (N,); pictures without one (−1) are shown once an epoch.

        Raises:
            MienError: none of the pictures has a label, and the sampler needs them.
        """
        if config.sampler == "shuffle":
            return cls((np.arange(len(labels)),), (len(labels),))
        classes = [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
        if not classes:
            raise MienError(f"data.sampler = {config.sampler!r} needs labels", hint='--set data.sampler="shuffle"')
        counts = np.array([len(members) for members in classes])
        numbers = quotas(counts, config.sampler, beta=config.effective_number_beta).tolist()
        without = np.flatnonzero(labels < 0)
        if not len(without):
            return cls(tuple(classes), tuple(numbers))
        return cls((*classes, without), (*numbers, len(without)))

    @property
    def length(self) -> int:
        """Pictures in an epoch."""
        return sum(self.quotas)

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The positions (length,) of one epoch in random order. All that is random comes from `rng`."""
        pairs = zip(self.members, self.quotas, strict=True)
        return rng.permutation(np.concatenate([_shown(members, quota, rng) for members, quota in pairs]))


def _shown(members: NDArray[np.int64], quota: int, rng: np.random.Generator) -> NDArray[np.int64]:
    whole, rest = divmod(quota, len(members))
    drawn = [rng.permutation(members)[:rest]] if rest else []
    return np.concatenate([*[members] * whole, *drawn])
