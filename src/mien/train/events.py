"""TensorBoard event files of a run: the figures of history.csv, histograms, the net's graph, a sheet of pictures.

`tensorboard --logdir RUNS` shows them live; neither training nor reading back needs TensorBoard. A step is the number
of steps done since the training began. Scalars are the history's, as the format's 32-bit floats. A record is appended
each epoch; what a kill has cut off, or a resume from an earlier state would repeat, is dropped when a run goes on.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from mien.data.formats.event_proto import EVENT_FILES, event_class, read_events
from mien.data.formats.record_file import framed, write_records
from mien.models.graph import trace
from mien.train.checkpoint import Progress
from mien.train.event_graph import graph_def
from mien.train.histograms import activations, is_due, weights
from mien.train.loop import Parts, Watcher
from mien.train.step import Learner

_SHEET = (4, 8)  # rows and columns of the sheet
Row = Mapping[str, float | int]


class EventFile:
    """The one event file of a run folder, without events after step `last` and without a damaged end.

    A file that has to lose something is written anew under a later name, which a running TensorBoard goes on to.
    """

    def __init__(self, folder: Path, *, last: int) -> None:
        old = sorted(folder.glob(EVENT_FILES))
        kept = [event for path in old for event in read_events(path) if event.step <= last]
        self.steps = {event.step for event in kept if event.WhichOneof("what") == "summary"}
        self.has_graph = any(event.WhichOneof("what") == "graph_def" for event in kept)
        self.path = old[-1] if old else folder / _name(0)
        stands = b"".join(framed(event.SerializeToString()) for event in kept)
        if len(old) == 1 and stands == old[0].read_bytes():
            return
        self.path = folder / _name(max((int(path.name.split(".")[3]) for path in old), default=0) + 1)
        first = [] if kept else [_event(0, file_version="brain.Event:2")]
        write_records(self.path, [event.SerializeToString() for event in (*first, *kept)])
        for path in old:
            path.unlink()

    def add(self, step: int, values: list[dict[str, Any]]) -> None:
        """Append values, each a tag and its content, as one event."""
        self._append(_event(step, summary={"value": values}))
        self.steps.add(step)

    def add_graph(self, graph: bytes) -> None:
        """Append a serialised GraphDef, which TensorBoard shows as the run's."""
        self._append(_event(0, graph_def=graph))
        self.has_graph = True

    def _append(self, event: Any) -> None:
        with self.path.open("ab") as file:
            file.write(framed(event.SerializeToString()))


def _name(after: int) -> str:
    return EVENT_FILES.replace("*", f"{max(int(time.time()), after):010d}")


def _event(step: int, **what: Any) -> Any:
    return event_class()(wall_time=time.time(), step=step, **what)


def scalars(row: Row) -> list[dict[str, Any]]:
    """A row of the history as values tagged `split/figure`, so that TensorBoard groups them."""
    return [{"tag": _tag(name), "simple_value": float(value)} for name, value in row.items() if name != "step"]


def _tag(name: str) -> str:
    """val_accuracy as val/accuracy, train_eval_loss as train_eval/loss."""
    for group in ("train_eval", "train", "val"):
        if name.startswith(f"{group}_"):
            return f"{group}/{name.removeprefix(f'{group}_')}"
    return f"training/{name}"


def sheet(images: Tensor) -> dict[str, Any]:
    """The first pictures uint8 (N, C, H, W) as one PNG, `_SHEET` rows and columns."""
    rows, columns = _SHEET
    pixels = images[: rows * columns].cpu().numpy()
    count, channels, height, width = pixels.shape
    grid = np.zeros((rows * columns, channels, height, width), np.uint8)
    grid[:count] = pixels
    whole = grid.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    whole = whole.reshape(rows * height, columns * width, channels)
    buffer = io.BytesIO()
    Image.fromarray(whole[..., 0] if channels == 1 else whole).save(buffer, format="PNG")
    size = {"height": rows * height, "width": columns * width, "colorspace": channels}
    return size | {"encoded_image_string": buffer.getvalue()}


class _Recorded:
    """A watcher that also writes an event an epoch."""

    def __init__(self, inner: Watcher, parts: Parts, learner: Learner, progress: Progress) -> None:
        self.inner, self.parts, self.learner = inner, parts, learner
        self.file = EventFile(parts.store.run.path, last=progress.position)
        if not self.file.has_graph:
            channels, height, width = parts.val.images.shape[1:]
            self.file.add_graph(graph_def(trace(parts.evaluated, (channels, height, width))))
        if 0 not in self.file.steps:
            self.file.add(0, [{"tag": "pictures/val", "image": sheet(parts.val.images)}])
        for row in progress.rows:  # a kill may have come between the state and its event
            is_now = row is progress.rows[-1] and not progress.step
            if int(row["step"]) not in self.file.steps:
                self._write(row, with_histograms=is_now)

    def step(self, progress: Progress, *, waited: float) -> None:
        self.inner.step(progress, waited=waited)

    def epoch(self, row: dict[str, float | int]) -> None:
        self._write(row)
        self.inner.epoch(row)

    def _write(self, row: Row, *, with_histograms: bool = True) -> None:
        """The row's scalars; with them, now and then, histograms, which are those of the present."""
        due = with_histograms and is_due(int(row["epoch"]), self.parts.recipe.train.epochs)
        self.file.add(int(row["step"]), scalars(row) + (self._histograms() if due else []))

    def _histograms(self) -> list[dict[str, Any]]:
        """Of the weights that count, and of what they make of validation pictures."""
        parts, state = self.parts, self.learner.averaged()
        parts.evaluated.load_state_dict(state)
        return weights(state) + activations(parts.evaluated, parts.val.images, parts.machine)


def recorded(watcher: Watcher, parts: Parts, learner: Learner, progress: Progress) -> Watcher:
    """The watcher, made to write events too where the recipe wants them (`train.events`) and this process may."""
    if not parts.recipe.train.events or not parts.machine.is_first:
        return watcher
    return _Recorded(watcher, parts, learner, progress)
