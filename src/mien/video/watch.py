"""Through a video from its first frame to its last, to every place that wants to know what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray
from PIL import Image

from mien.core.picture import Pixels
from mien.deploy.annotate import annotate
from mien.video.recording import Recording
from mien.video.scene import Scene, Seen
from mien.video.source import Frame
from mien.video.timeline import Timeline
from mien.video.track import PATIENCE_S


class Watcher(Protocol):
    """Is told of each frame of a video in its order."""

    def __call__(self, frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:
        """What is seen in a frame; not `answered`, it is what was seen in the last answered one."""
        ...


@final
@dataclass
class Presence:
    """A face over the whole video: when it was seen, its last probabilities, and their integral over its time.

    Longer than the tracker's patience without an answer counts no more than that.
    """

    first_s: float
    last_s: float
    last: NDArray[np.float64]
    integral: NDArray[np.float64]
    seconds: float = 0.0
    frames: int = 0

    def add(self, time_s: float, row: NDArray[np.float64]) -> None:
        """Its probabilities (K,) in the next answered frame."""
        passed_s = min(time_s - self.last_s, PATIENCE_S)
        self.integral = self.integral + passed_s * (self.last + row) / 2
        self.last_s, self.last = time_s, row
        self.frames, self.seconds = self.frames + 1, self.seconds + passed_s

    @property
    def mean(self) -> NDArray[np.float64]:
        """Probabilities (K,) over its time, whatever the frame rate; of a single moment those it had."""
        return self.integral / self.seconds if self.seconds else self.last


@final
@dataclass
class Summary:
    """What a video showed; grows with the number of different faces only.

    Attributes:
        frames: all that were read.
        answered: those that were looked at.
        with_faces: of these, those that showed a face.
        seconds: time of the last frame.
        faces: by their number.
    """

    frames: int = 0
    answered: int = 0
    with_faces: int = 0
    seconds: float = 0.0
    faces: dict[int, Presence] = field(default_factory=dict)

    def add(self, frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:
        """Count a frame; a `Watcher`."""
        self.frames, self.seconds = self.frames + 1, frame.time_s
        if not answered:
            return
        self.answered += 1
        self.with_faces += bool(seen)
        for number, face in seen:
            row = np.fromiter(face.probabilities.values(), np.float64)
            first = Presence(frame.time_s, frame.time_s, row, np.zeros_like(row))
            self.faces.setdefault(number, first).add(frame.time_s, row)


def watch(
    source: Iterable[Frame | Packet[Any]],
    scene: Scene,
    watchers: Sequence[Watcher],
    *,
    every: int = 1,
    sound: Callable[[Packet[Any]], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Look at a video and tell everyone.

    Args:
        source: frames, and sound in between.
        scene: of this video alone.
        watchers: told of every frame.
        every: look at every n-th frame only.
        sound: is given the packets of sound.
        stopped: asked after each frame and each packet of sound; when it says so, the rest is left.

    Raises:
        MienError: as in `Scene.look`.
    """
    summary, seen = Summary(), list[Seen]()
    for item in source:
        if not isinstance(item, Packet):
            answered = item.index % every == 0
            if answered:
                seen = scene.look(item.pixels, item.time_s)
            for watcher in (summary.add, *watchers):
                watcher(item, seen, answered=answered)
        elif sound is not None:
            sound(item)
        if stopped():
            break
    return summary


def into_timeline(timeline: Timeline) -> Watcher:
    """A watcher that writes the answered frames down."""

    def write(frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:
        if answered:
            timeline(frame.index, frame.time_s, seen)

    return write


def into_recording(made: Recording) -> Watcher:
    """A watcher that draws what is seen into every frame."""

    def draw(frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:  # noqa: ARG001
        made.add_frame(drawn(frame.pixels, seen), frame.time_s)

    return draw


def drawn(pixels: Pixels, seen: Sequence[Seen]) -> Pixels:
    """A frame with its faces marked and numbered."""
    if not seen:
        return pixels
    titles = [f"#{one.number}" for one in seen]
    return np.asarray(annotate(Image.fromarray(pixels), [one.face for one in seen], titles=titles))
