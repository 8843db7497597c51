"""`mien webcam`: expression labels live in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import typer
from rich.live import Live
from rich.text import Text

from mien.cli.interrupt import until_interrupted
from mien.cli.options import HeadName, Labels, Model, Plot, SearchSide, Smooth, Threads, Timeline, UnsureBelow
from mien.cli.output import console, harmless, print_json
from mien.cli.watching import Detection, Wanted, check_wanted, facts, make_scene, open_outputs, print_summary
from mien.deploy.annotate import colour_of
from mien.deploy.runtime import Predictor
from mien.faces.centerface import LONGEST_SIDE
from mien.video.camera import Camera
from mien.video.scene import Seen
from mien.video.source import Frame
from mien.video.watch import watch

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_USUAL_RATE = 30
_BAR_CELLS = 30


@app.command()
def command(
    device: str | None = typer.Argument(None, help="Camera, as the system calls it; a video file stands in for one."),
    model: Model = None,
    size: str | None = typer.Option(None, help="Picture size to ask the camera for, such as 640x480."),
    rate: int | None = typer.Option(None, min=1, help="Frames a second to ask the camera for."),
    seconds: float | None = typer.Option(None, min=0, help="Stop after so long; else on Ctrl-C."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Record what is seen, faces marked: .mp4, .mkv …"),
    timeline: Timeline = None,
    plot: Plot = None,
    smooth: Smooth = 0.5,
    search_every: int = typer.Option(10, min=1, help="Search the whole of every n-th frame for new faces."),
    detect_size: SearchSide = LONGEST_SIDE,
    labels: Labels = None,
    head: HeadName = None,
    unsure_below: UnsureBelow = None,
    threads: Threads = None,
    as_json: bool = typer.Option(False, "--json", help="Print the summary as one JSON object."),
) -> None:
    """Expression labels of the faces before a camera, live: how they look, not what a person feels.

    Nothing is stored but what --out, --timeline and --plot ask for. Ctrl-C ends it; files are then complete.
    """
    wanted = Wanted(out, timeline, plot)
    check_wanted(wanted, read=[Path(device)] if device else [])
    predictor = Predictor(model, threads=threads, unsure_below=unsure_below)
    scene = make_scene(
        predictor, Detection(detect_size, search_every, threads), smooth_s=smooth, labels=labels, head=head
    )
    with until_interrupted() as stopped, Camera(device, size=size, rate=rate) as camera:
        title, hz = camera.device or "camera", Fraction(rate or _USUAL_RATE)
        with open_outputs(wanted, scene.label_names, title=title, rate=hz) as outputs, _Screen(as_json) as screen:
            ended = _ended(stopped, seconds)
            summary = watch(camera.frames(stopped=ended), scene, [*outputs.watchers, screen.show], stopped=ended)
    if as_json:
        print_json({"camera": camera.device, **facts(summary, scene)})
    else:
        print_summary(summary, scene.label_names)


def _ended(stopped: Callable[[], bool], seconds: float | None) -> Callable[[], bool]:
    end = None if seconds is None else time.monotonic() + seconds
    return lambda: stopped() or (end is not None and time.monotonic() >= end)


class _Screen:
    """The terminal while it lasts; nothing when nobody watches."""

    def __init__(self, quiet: bool) -> None:
        self.live = Live(console=console, transient=True, auto_refresh=False)
        self.quiet = quiet or not console.is_terminal

    def __enter__(self) -> _Screen:
        if not self.quiet:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self.quiet:
            self.live.stop()

    def show(self, frame: Frame, seen: Sequence[Seen], *, answered: bool) -> None:  # noqa: ARG002
        """Bars for every face; a `Watcher`."""
        if not self.quiet:
            rate = frame.index / frame.time_s if frame.time_s else 0.0
            self.live.update(panel(seen, rate), refresh=True)


def panel(seen: Sequence[Seen], rate: float) -> Text:
    """What the terminal shows of one frame: a line a class for each face, the likeliest marked."""
    text = Text(f"{rate:.0f} frames/s   Ctrl-C ends\n", style="dim")
    for number, face in seen:
        text.append(f"\nface {number}{'  unsure' if face.unsure else ''}\n", style="bold")
        for name, probability in face.probabilities.items():
            filled = round(_BAR_CELLS * probability)
            bold = "bold" if name == face.label else ""
            text.append(f"  {harmless(name):<12}", style=bold)
            text.append("█" * filled, style=colour_of(name, list(face.probabilities)))
            text.append("░" * (_BAR_CELLS - filled), style="dim")
            text.append(f" {100 * probability:3.0f} %\n", style=bold)
    if not seen:
        text.append("\nno face\n")
    return text
