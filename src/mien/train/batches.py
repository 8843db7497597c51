"""The training set as tensors, and its batches: whole-epoch permutations that depend on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.core import votes as ferplus
from mien.core.errors import MienError
from mien.core.recipe_keys import LossConfig
from mien.data.dataset import Dataset
from mien.data.sampling import Sampling
from mien.page.words import plural

# Streams of random numbers, so that none disturbs another: default_rng([seed, stream, epoch or step]).
SHUFFLE, AUGMENT, TARGETS, PROBE, TORCH, NORMS = range(6)


def generator(seed: int, stream: int, *position: int) -> np.random.Generator:
    """The generator of one use at one place of a training; nothing has to be saved to resume it."""
    return np.random.default_rng([seed, stream, *position])


@dataclass(frozen=True)
class Pictures:
    """A split in memory.

    Attributes:
        images: uint8 (N, C, H, W) on the training device, one tensor.
        labels: int64 (N,), −1 for none.
        votes: float (N, 8) target distributions; rows of zeros take no part. None without a second head.
        weight: float (N,).
    """

    images: Tensor
    labels: Tensor
    votes: Tensor | None
    weight: Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Batch:
    """One process's part of a global batch.

    Attributes:
        epoch, step: from 0; `step` within the epoch.
        indices: positions in the training set of the whole global batch.
        part: this process's place in it.
        position: steps since the training began: what is random in a step depends on it and on the seed alone.
        time: in epochs.
    """

    epoch: int
    step: int
    indices: NDArray[np.int64]
    part: slice
    position: int
    time: float


def vote_targets(votes: NDArray[np.int64], scheme: str) -> NDArray[np.float32]:
    """Targets (N, 8) of a scheme; rows of zeros take no part. `soft` normalises all votes but single ones.

    Of `probability` this is the expectation, from which `step` draws at each presentation.
    """
    if scheme != "soft":
        return ferplus.SCHEMES["cross-entropy" if scheme == "probability" else scheme](votes)
    left = ferplus.without_single_votes(votes)[:, : ferplus.EXPRESSIONS].astype(np.float32)
    return np.asarray(left / np.maximum(left.sum(1, keepdims=True), 1), np.float32)


def load_pictures(
    data: Dataset, rows: NDArray[np.int64], *, device: torch.device, loss: LossConfig | None, with_votes: bool
) -> Pictures:
    """The pictures of `rows` as tensors. `loss` gives the vote scheme; without it votes follow the official majority.

    Raises:
        MienError: none of the pictures has a label or votes.
    """
    images = torch.from_numpy(np.ascontiguousarray(data.images[rows]))
    images = images.permute(0, 3, 1, 2).contiguous() if images.ndim == 4 else images.unsqueeze(1)
    votes = None
    if with_votes and data.votes is not None:
        chosen = data.votes[rows]
        scheme = loss.vote_scheme if loss else "majority"
        votes = torch.from_numpy(vote_targets(chosen, scheme)).to(device)
    labels = torch.from_numpy(data.label[rows])
    if not bool((labels >= 0).any()) and (votes is None or not bool(votes.any())):
        raise MienError(f"{data.path}: none of these {len(rows)} pictures has a label", hint="import labelled data")
    weight = torch.from_numpy(data.column("weight")[rows].astype(np.float32))
    return Pictures(images.to(device), labels.to(device), votes, weight.to(device))


@dataclass(frozen=True)
class Batches:
    """Global batches of a training set of `count` pictures; the last, smaller one of an epoch is left out.

    An epoch shows every picture once, unless `sampling` says otherwise. `offset` is added to the position of every
    batch, for a phase that comes after epochs of another length.
    """

    count: int
    batch_size: int
    seed: int
    rank: int = 0
    world: int = 1
    sampling: Sampling | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.world:
            raise MienError(
                f"train.batch_size = {self.batch_size} cannot be shared by {self.world} processes",
                hint=f"take a multiple of {self.world}",
            )
        if self.length < 2:
            raise MienError(
                f"the training set has {plural(self.length, 'picture')}: a batch needs 2", hint="import more pictures"
            )
        if self.length < self.batch_size:
            raise MienError(
                f"the training set has {self.length} pictures, fewer than one batch of {self.batch_size}",
                hint=f"--set train.batch_size={max(2, self.length // 4)}",
            )

    @property
    def length(self) -> int:
        """Pictures in one epoch."""
        return self.count if self.sampling is None else self.sampling.length

    @property
    def per_epoch(self) -> int:
        """Steps in one epoch."""
        return self.length // self.batch_size

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `first` on, in an order of the seed and epoch alone."""
        rng = generator(self.seed, SHUFFLE, epoch)
        order = rng.permutation(self.count) if self.sampling is None else self.sampling.order(rng)
        share = self.batch_size // self.world
        part = slice(self.rank * share, (self.rank + 1) * share)
        for step in range(first, self.per_epoch):
            indices = order[step * self.batch_size : (step + 1) * self.batch_size]
            position = self.offset + epoch * self.per_epoch + step
            yield Batch(epoch, step, indices.astype(np.int64), part, position, epoch + step / self.per_epoch)
