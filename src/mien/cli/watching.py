"""What `mien video` and `mien webcam` share: the scene, where it is written to, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from av.audio.stream import AudioStream
from av.packet import Packet
from rich.table import Table
from rich.text import Text

from mien.cli.output import console, harmless
from mien.cli.writable import check_file, check_files
from mien.core.errors import MissingExtraError
from mien.deploy.runtime import Predictor
from mien.faces.centerface import CenterFace
from mien.page.words import plural
from mien.video.failures import Failures, writing
from mien.video.follow import Follower
from mien.video.recording import recording
from mien.video.scene import Scene
from mien.video.timeline import timeline
from mien.video.watch import Summary, Watcher, into_recording, into_timeline

_MOST_LISTED = 20


class Wanted(NamedTuple):
    """Files to write, each None where it is not wanted."""

    out: Path | None
    timeline: Path | None
    plot: Path | None


class Outputs(NamedTuple):
    """Who is told of frames, and who takes the sound."""

    watchers: list[Watcher]
    sound: Callable[[Packet[Any]], None] | None


class Detection(NamedTuple):
    """How faces are found: longer side in px of a full search, how often there is one, with how many threads."""

    size: int
    every: int
    threads: int | None


def check_wanted(wanted: Wanted, *, read: Iterable[Path]) -> None:
    """Raise MienError when a file cannot be written, or one that is read or another kind of file would be lost."""
    check_files(wanted, read=read)
    if wanted.plot:
        check_file(wanted.plot, endings=(".png",))


def make_scene(
    predictor: Predictor, detection: Detection, *, smooth_s: float, labels: str | None, head: str | None
) -> Scene:
    """A scene with CenterFace and a model. Raises MienError as these do."""
    detector = CenterFace(longest_side=detection.size, threads=detection.threads)
    follower = Follower(detector, quick=detector.quicker(), every=detection.every)
    return Scene(predictor, follower, smooth_s=smooth_s, labels=labels, head=head)


@contextmanager
def open_outputs(
    wanted: Wanted, names: Sequence[str], *, title: str, rate: Fraction, sound: Sequence[AudioStream] = ()
) -> Iterator[Outputs]:
    """Everything that is written, complete when the block ends; what there is by then when an error ends it.

    Raises:
        MienError: an ending that is not known, a format that cannot hold the sound, or a file that cannot be written.
        MissingExtraError: a plot without matplotlib, Parquet without pyarrow.
    """
    watchers: list[Watcher] = []
    take: Callable[[Packet[Any]], None] | None = None
    with ExitStack() as stack:
        if wanted.timeline:
            watchers.append(into_timeline(stack.enter_context(timeline(wanted.timeline, names))))
        if wanted.out:
            made = stack.enter_context(recording(wanted.out, rate=rate, sound=sound))
            watchers.append(into_recording(made))
            take = made.add_sound if sound else None
        if wanted.plot:
            watchers.append(stack.enter_context(_plotted(wanted.plot, names, title)))
        yield Outputs(watchers, take)


@contextmanager
def _plotted(path: Path, names: Sequence[str], title: str) -> Iterator[Watcher]:
    """A watcher whose plot is written when the block ends, be it by an error; of no frame at all there is none."""
    try:  # here: matplotlib is large, and only a plot needs it
        from mien.video.plot import TimelinePlot
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "matplotlib", "video") from None
    plot, failures = TimelinePlot(names), Failures()
    with failures.noted():
        yield plot
    if plot.begun:
        with failures.noted(), writing(path, begun=False):
            plot.save(path, title)
    failures.tell()


def facts(summary: Summary, scene: Scene) -> dict[str, Any]:
    """A summary and what answered as plain dictionaries, lists and numbers."""
    names = scene.label_names
    return {
        "model": str(scene.predictor.path),
        "frames": summary.frames,
        "answered": summary.answered,
        "with_faces": summary.with_faces,
        "seconds": round(summary.seconds, 3),
        "faces": [
            {
                "face": number,
                "first_s": round(one.first_s, 3),
                "last_s": round(one.last_s, 3),
                "frames": one.frames,
                "label": names[int(one.mean.argmax())],
                "probabilities": {name: round(float(p), 4) for name, p in zip(names, one.mean, strict=True)},
            }
            for number, one in sorted(summary.faces.items())
        ],
    }


def print_summary(summary: Summary, names: Sequence[str]) -> None:
    """A line for each face, the longest seen first; and how many frames showed none."""
    if summary.faces:
        console.print(_table(summary, names))
    left_out = len(summary.faces) - _MOST_LISTED
    if left_out > 0:
        console.print(f"{left_out} more faces, seen more briefly")
    console.print(
        f"{plural(summary.frames, 'frame')}, {summary.seconds:.1f} s; {summary.answered:,} looked at, "
        f"{summary.with_faces:,} of them with a face",
        markup=False,
    )


def _table(summary: Summary, names: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("face", "from s", "to s", "frames", "mostly", "probabilities, averaged over its time"):
        table.add_column(column, justify="right" if column in ("face", "from s", "to s", "frames") else "left")
    longest = sorted(summary.faces.items(), key=lambda item: -item[1].frames)[:_MOST_LISTED]
    for number, one in longest:
        order = one.mean.argsort()[::-1]
        likeliest = ", ".join(f"{harmless(names[i])} {100 * one.mean[i]:.0f} %" for i in order[:3])
        seen = f"{one.first_s:.1f}", f"{one.last_s:.1f}", f"{one.frames:,}"
        table.add_row(str(number), *seen, Text(harmless(names[int(order[0])])), Text(likeliest))
    return table
