"""A phase at work: its pictures, batches and step, made when the training comes to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.core.errors import MienError
from mien.core.phases import Phase
from mien.data.sampling import Sampling
from mien.train.batches import Batches, Pictures
from mien.train.checkpoint import Progress
from mien.train.freeze import check_freeze, freeze, norms_at_work
from mien.train.inputs import reduced_sides
from mien.train.machine import Machine
from mien.train.mining import examine, hardest
from mien.train.objective import Objective
from mien.train.phase_rows import PhaseRows
from mien.train.step import Learner, Step

HARD, LEFT_OUT = "hard", "left-out"


@dataclass(frozen=True)
class Stage:
    """What the loop runs in one phase."""

    phase: Phase
    batches: Batches
    step: Step


@dataclass
class Stages:
    """The phases of a training.

    Attributes:
        phases: in order.
        rows: positions (n,) of the training pictures in the packed set.
        pictures: they themselves.
        objective: what a batch costs.
        evaluated: the net that is measured; asked for the hard examples.
        machine: processes and device.
        kept: the run's tables of pictures that a phase trains on or leaves out.
        left_out: positions in the packed set that phases leave out, by their number.
    """

    phases: tuple[Phase, ...]
    rows: NDArray[np.int64]
    pictures: Pictures
    objective: Objective
    evaluated: nn.Module
    machine: Machine
    kept: PhaseRows
    left_out: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    _now: Stage | None = field(default=None, init=False)

    def check(self) -> None:
        """Refuse now what would fail in a later phase.

        Raises:
            MienError: too few pictures, also for each process, a size that the net does not take, or parts of names
                that are not there.
        """
        for phase in self.phases:
            check_freeze(self.evaluated, phase.config.freeze, phase=phase.number)
            if phase.config.size is not None:
                self._try_size(phase.config.size, phase.number)
            is_hard = phase.config.pictures == HARD
            able = self._allowed(phase) & ((self._labels >= 0) | (not is_hard))
            if is_hard and not able.any():
                raise MienError(f"phase {phase.number}: pictures = hard needs labels, not votes alone")
            self._batches(phase, np.flatnonzero(able))
            self._check_share(phase)

    def at(self, learner: Learner, progress: Progress) -> Stage:
        """The stage of the epoch that comes next; a new phase is entered."""
        if self._now is None or not self._now.phase.first <= progress.epoch < self._now.phase.end:
            phase = next(p for p in self.phases if p.first <= progress.epoch < p.end)
            self._now = self._enter(phase, learner, progress)
        return self._now

    def is_last(self, phase: Phase) -> bool:
        """Whether no other phase follows."""
        return phase is self.phases[-1]

    def _check_share(self, phase: Phase) -> None:
        """Refuse single pictures for each process where batch norms are at work: one picture has no variance."""
        batch, world = phase.recipe.train.batch_size, self.machine.processes
        if batch // world < 2 and norms_at_work(self.evaluated, phase.config.freeze):
            raise MienError(
                f"train.batch_size = {batch} leaves each of {world} processes one picture, and batch norms need two",
                hint=f"train.batch_size of at least {2 * world}, or fewer processes",
            )

    def _enter(self, phase: Phase, learner: Learner, progress: Progress) -> Stage:
        if freeze(learner.model, phase.config.freeze):
            learner.wrapped = learner.model
            learner.wrapped = self.machine.wrap_anew(learner.model)
        learner.optimiser.complete()
        batches = self._batches(phase, self._chosen(phase, learner, progress))
        before = progress.position - progress.epoch * batches.per_epoch - progress.step
        step = Step(phase.recipe, self.pictures, self.machine, objective=self.objective, size=phase.config.size)
        return Stage(phase, replace(batches, offset=before), step)

    def _batches(self, phase: Phase, chosen: NDArray[np.int64]) -> Batches:
        recipe = phase.recipe
        sampling = Sampling.of(self._labels[chosen], recipe.data)
        return Batches(
            len(self.pictures),
            recipe.train.batch_size,
            recipe.train.seed,
            rank=self.machine.rank,
            world=self.machine.processes,
            sampling=replace(sampling, members=tuple(chosen[members] for members in sampling.members)),
        )

    @property
    def _labels(self) -> NDArray[np.int64]:
        return np.asarray(self.pictures.labels.cpu().numpy())

    def _allowed(self, phase: Phase) -> NDArray[np.bool_]:
        """Training pictures (n,) that a phase does not leave out."""
        return ~np.isin(self.rows, self.left_out.get(phase.number, ()))

    def _chosen(self, phase: Phase, learner: Learner, progress: Progress) -> NDArray[np.int64]:
        """Positions in the training set that a phase shows."""
        allowed = self._allowed(phase)
        if phase.config.pictures != HARD:
            return np.flatnonzero(allowed)
        if progress.epoch > phase.first or progress.step or self.kept.has(phase.number, HARD):
            return np.flatnonzero(np.isin(self.rows, self.kept.load(phase.number, HARD)))
        return self._mine(phase, learner, allowed)

    def _mine(self, phase: Phase, learner: Learner, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        train, labels = phase.recipe.train, self._labels
        self.evaluated.load_state_dict(learner.averaged())
        answers = examine(self.evaluated, self.pictures, self.machine, batch_size=train.eval_batch_size)
        chosen = hardest(labels, answers, allowed, least=train.batch_size)
        if self.machine.is_first:
            self.kept.save(
                phase.number,
                HARD,
                row=self.rows[chosen],
                label=labels[chosen],
                answer=answers.answer[chosen],
                loss=answers.loss[chosen],
            )
        self.machine.wait()
        return chosen

    @torch.no_grad()
    def _try_size(self, size: int, number: int) -> None:
        height, width = self.pictures.images.shape[2:]
        if size > min(height, width):
            raise MienError(
                f"phase {number}: size = {size} is larger than the pictures ({height}×{width})",
                hint="a phase reduces pictures; import the data with a larger --size",
            )
        fed = (size, size) if self.phases[0].recipe.data.crop else reduced_sides(height, width, size)
        try:
            channels = self.pictures.images.shape[1]
            self.evaluated(torch.zeros(1, channels, *fed, device=self.machine.device))
        except torch.OutOfMemoryError:
            raise  # no word on the size
        except (RuntimeError, AssertionError, ValueError) as error:
            raise MienError(
                f"phase {number}: the net takes no pictures of {fed[0]}×{fed[1]} px ({error})",
                hint="nets that end in a global mean take any size, such as mien-m and resnet-fer",
            ) from None
