"""How a training looks: a bar with rate, data wait and time left, and a line for each epoch, which a log has too."""

from __future__ import annotations

import os
from math import isnan, nan
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mien.cli.output import progress
from mien.core.recipe import Recipe
from mien.page.words import plural

if TYPE_CHECKING:
    from mien.data.dataset import Dataset
    from mien.train.checkpoint import Progress

_SMOOTHING = 0.95


class Bar:
    """A watcher for `train.run.train`; silent when the process is not the first."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.bar = progress("steps", silent=os.environ.get("RANK", "0") != "0")
        self.task = self.bar.add_task(recipe.name, total=None, note="")
        self.rate, self.waiting = 0.0, 0.0
        self.seconds: float | None = None

    def __enter__(self) -> Bar:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin(self, data: Dataset, run: Path) -> None:
        """Say what is about to be trained, on what, and where it goes: the first epoch may take minutes."""
        # Loaded only now: `mien train` answers wrong keys before torch takes its seconds.
        from mien.train.prepare import shown_pictures

        epochs = plural(self.recipe.train.epochs, "epoch")
        pictures = plural(shown_pictures(data, self.recipe), "picture")
        self.bar.say(f"{self.recipe.name}: {epochs} of {pictures} of {data.info.name} → {run}")

    def go_on(self, progress: Progress, run: Path, note: str | None = None) -> None:
        """Say where a resumed run stands, with the figures of its last epoch and what else there is to note."""
        steps = f" and {plural(progress.step, 'step')}" if progress.step else ""
        where = f"{progress.epoch} of {plural(self.recipe.train.epochs, 'epoch')}{steps}"
        self.bar.say(f"{self.recipe.name}: going on after {where} → {run}")
        if progress.rows:
            self.epoch(progress.rows[-1])
        if note:
            self.bar.say(note)

    def prepare(self, done: int, total: int) -> None:
        """Show how many pictures the teachers of a distillation have answered, before the first step."""
        self.bar.update(self.task, total=total, completed=done, note="asking the teachers")

    def step(self, progress: Progress, *, waited: float) -> None:
        """Move the bar; rates are smoothed over some twenty steps."""
        done = progress.epoch * progress.per_epoch + progress.step
        if self.seconds is None:
            # The first step tells where the run stands: a resumed one does not begin at nothing.
            self.bar.reset(self.task, total=self.recipe.train.epochs * progress.per_epoch, completed=done)
        else:
            self._measure(max(progress.seconds - self.seconds, 1e-9), waited)
        self.seconds = progress.seconds
        loss = progress.loss_sum / progress.step
        speed = f"{self.rate:.0f} pictures/s  data wait {self.waiting:.0%}"
        total = self.recipe.train.epochs * progress.per_epoch  # phases may have epochs of other lengths
        note = f"epoch {progress.epoch + 1}  loss {loss:.3f}  {speed}"
        self.bar.update(self.task, total=total, completed=done, note=note)

    def _measure(self, took: float, waited: float) -> None:
        keep = _SMOOTHING if self.rate else 0.0
        self.rate = keep * self.rate + (1 - keep) * self.recipe.train.batch_size / took
        self.waiting = keep * self.waiting + (1 - keep) * waited / took

    def epoch(self, row: dict[str, float | int]) -> None:
        """Print the figures of an epoch."""
        named = {"train_eval_accuracy": "train", "val_accuracy": "val", "val_ferplus_accuracy": "FER+"}
        # A set with votes alone has no accuracy of labels.
        figures = "  ".join(f"{label} {row[key]:.2%}" for key, label in named.items() if not isnan(row.get(key, nan)))
        self.bar.say(f"epoch {row['epoch']:3d}  loss {row['train_loss']:.3f}  {figures}")
