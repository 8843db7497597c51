"""`mien video`: the faces of a video, followed from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from av.packet import Packet

from mien.cli.interrupt import until_interrupted
from mien.cli.options import HeadName, Labels, Model, Plot, SearchSide, Smooth, Threads, Timeline, UnsureBelow
from mien.cli.output import print_json, progress
from mien.cli.watching import Detection, Outputs, Wanted, check_wanted, facts, make_scene, open_outputs, print_summary
from mien.core.errors import MienError
from mien.deploy.runtime import Predictor
from mien.faces.centerface import LONGEST_SIDE
from mien.page.words import plural
from mien.video.clock import clock_text
from mien.video.scene import Scene
from mien.video.source import Frame, VideoFile
from mien.video.watch import Summary, watch

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_INTERRUPTED = 130


@app.command()
def command(
    file: Path = typer.Argument(help="The video."),
    model: Model = None,
    out: Path | None = typer.Option(None, "--out", "-o", help="Write the video with its faces marked, sound kept."),
    timeline: Timeline = None,
    plot: Plot = None,
    every: int = typer.Option(1, min=1, help="Look at every n-th frame only."),
    smooth: Smooth = 0.5,
    search_every: int = typer.Option(10, min=1, help="Search the whole of every n-th looked-at frame for new faces."),
    detect_size: SearchSide = LONGEST_SIDE,
    labels: Labels = None,
    head: HeadName = None,
    unsure_below: UnsureBelow = None,
    threads: Threads = None,
    as_json: bool = typer.Option(False, "--json", help="Print the summary as one JSON object."),
) -> None:
    """Expression labels of the faces in a video: how they look, not what a person feels.

    Faces keep their number as long as they are followed. Ctrl-C ends the work in good order: what was written so far
    is complete and can be played.
    """
    wanted = Wanted(out, timeline, plot)
    check_wanted(wanted, read=[file])
    predictor = Predictor(model, threads=threads, unsure_below=unsure_below)
    scene = make_scene(
        predictor, Detection(detect_size, search_every, threads), smooth_s=smooth, labels=labels, head=head
    )
    with until_interrupted() as stopped, VideoFile(file) as source:
        kept = source.sound if out else []
        with open_outputs(wanted, scene.label_names, title=file.name, rate=source.rate, sound=kept) as outputs:
            summary = watch(
                _watched(source, outputs, stopped),
                scene,
                outputs.watchers,
                every=every,
                sound=outputs.sound,
                stopped=stopped,
            )
            interrupted = stopped()
            if not summary.frames and not interrupted:  # said before a file to write says that it got none
                raise MienError(f"{file}: no picture of it can be read", hint="is it a video?")
        cut_off_s = None if interrupted else source.cut_off_s
    _report(summary, scene, source, cut_off_s, as_json=as_json)
    raise typer.Exit(_INTERRUPTED if interrupted else 0)


def _watched(source: VideoFile, outputs: Outputs, stopped: Callable[[], bool]) -> Iterator[Frame | Packet[Any]]:
    with progress("frames") as bar:
        task = bar.add_task(source.path.name, total=source.frame_count, note="")
        for item in source.frames_and_sound(sound=outputs.sound is not None, stopped=stopped):
            yield item
            if isinstance(item, Frame):
                bar.advance(task)


def _report(summary: Summary, scene: Scene, source: VideoFile, cut_off_s: float | None, *, as_json: bool) -> None:
    if as_json:
        read = {
            "video": str(source.path),
            "duration_s": source.duration_s and round(source.duration_s, 3),
            "cut_off_s": cut_off_s and round(cut_off_s, 3),
            "damaged_packets": source.damaged,
        }
        print_json(read | facts(summary, scene))
        return
    print_summary(summary, scene.label_names)
    if source.damaged:
        typer.echo(f"mien: {source.path}: {plural(source.damaged, 'damaged packet')} passed over", err=True)
    if cut_off_s is not None and source.stated_s is not None:
        ends, of = clock_text(cut_off_s), clock_text(source.stated_s)
        typer.echo(f"mien: {source.path}: its pictures end at {ends} of {of}; is the file cut off?", err=True)
