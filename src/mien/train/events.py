"""TensorBoard event files of a run: the figures of history.csv, weights as histograms, a sheet of pictures.

`tensorboard --logdir RUNS` shows them live; neither training nor reading back needs TensorBoard. A step is the number
of steps done since the training began. Scalars are the history's, as the format's 32-bit floats. A record is appended
each epoch; what a kill has cut off, or a resume from an earlier state would repeat, is dropped when a run goes on.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.data.formats.record_file import framed, read_records, write_records
from mien.train.checkpoint import Progress
from mien.train.event_proto import event_class
from mien.train.loop import Parts, Watcher
from mien.train.step import Learner

HISTOGRAM_EPOCHS = 5  # and after the first
BINS = 64
_SHEET = (4, 8)  # rows and columns of the sheet
_PATTERN = "events.out.tfevents.*.mien"
Row = Mapping[str, float | int]


class EventFile:
    """The one event file of a run folder, without events after step `last` and without a damaged end.

    A file that has to lose something is written anew under a later name, which a running TensorBoard goes on to.
    """

    def __init__(self, folder: Path, *, last: int) -> None:
        old = sorted(folder.glob(_PATTERN))
        kept = [event for path in old for event in read_events(path) if event.step <= last]
        self.steps = {event.step for event in kept if event.WhichOneof("what") == "summary"}
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
        event = _event(step, summary={"value": values})
        with self.path.open("ab") as file:
            file.write(framed(event.SerializeToString()))
        self.steps.add(step)


def read_events(path: Path) -> Iterator[Any]:
    """The events of a file up to the first damaged one. Raises MienError when it cannot be opened."""
    for _, data, fault in read_records(path):
        if fault:
            return
        yield event_class().FromString(data)


def _name(after: int) -> str:
    return _PATTERN.replace("*", f"{max(int(time.time()), after):010d}")


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


def histogram(values: NDArray[np.floating]) -> dict[str, Any]:
    """Finite values of any shape in `BINS` equal bins, as the format wants them; empty where there are none."""
    flat = np.asarray(values, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    if not len(flat):
        return {}
    counts, edges = np.histogram(flat, bins=BINS)
    about = {"min": flat.min(), "max": flat.max(), "num": len(flat), "sum": flat.sum(), "sum_squares": flat @ flat}
    return {name: float(value) for name, value in about.items()} | {
        "bucket_limit": edges[1:].tolist(),
        "bucket": counts.astype(float).tolist(),
    }


def weights(state: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """A histogram for every floating-point tensor of more than one value."""
    large = {name: t for name, t in state.items() if t.is_floating_point() and t.numel() > 1}
    return [
        {"tag": f"weights/{name}", "histo": histogram(t.detach().float().cpu().numpy())} for name, t in large.items()
    ]


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
        self.inner, self.learner = inner, learner
        self.file = EventFile(parts.store.run.path, last=progress.position)
        if 0 not in self.file.steps:
            self.file.add(0, [{"tag": "pictures/val", "image": sheet(parts.val.images)}])
        for row in progress.rows:  # a kill may have come between the state and its event
            is_now = row is progress.rows[-1] and not progress.step
            if int(row["step"]) not in self.file.steps:
                self._write(row, with_weights=is_now)

    def step(self, progress: Progress, *, waited: float) -> None:
        self.inner.step(progress, waited=waited)

    def epoch(self, row: dict[str, float | int]) -> None:
        self._write(row)
        self.inner.epoch(row)

    def _write(self, row: Row, *, with_weights: bool = True) -> None:
        """The row's scalars; with them, now and then, the weights that count, which are those of the present."""
        due = with_weights and (row["epoch"] == 1 or row["epoch"] % HISTOGRAM_EPOCHS == 0)
        self.file.add(int(row["step"]), scalars(row) + (weights(self.learner.averaged()) if due else []))


def recorded(watcher: Watcher, parts: Parts, learner: Learner, progress: Progress) -> Watcher:
    """The watcher, made to write events too where the recipe wants them (`train.events`) and this process may."""
    if not parts.recipe.train.events or not parts.machine.is_first:
        return watcher
    return _Recorded(watcher, parts, learner, progress)
