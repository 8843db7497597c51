"""Video of 640×480 end to end: decoding, finding, following, answering, drawing, encoding; and whether a face is lost.

    python benchmarks/pipeline.py [MODEL] [--frames 240] [--repeats 5] [--threads 2] [--fer-python VENV/bin/python]

The clips are made on the spot, before a plain wall: in `one` the astronaut of scikit-image (NASA, public domain) sways,
nods, comes nearer and is gone for a second; in `far` she is small, her face 21 to 39 px high; in `four` she, Grace
Hopper (US Navy, public domain) and two people that mien drew move about, and two of them come and go. Without MODEL the
model that comes with mien answers.

`one` is timed: each way of finding faces takes its turn in each round, so that a busy machine slows all. p50 and p95
are of single frames without decoding, ten frames of warm-up left out, pooled over the rounds; the rate is that of the
whole work, decoding included, and where it says so drawing and encoding as well: median, least and most of the rounds.

Every clip is looked at with a full search at 640 px in each frame as well, once. "Found" is how many of the faces of
that search are there in the same frame with an overlap of at least half, "+n" how many more there are, and "gap" the
most frames in a row in which a face is missing: one that appears beside others, or too small for a quick look, waits
for the next full search.

`fer` answers the frames of `one` in an environment of its own, since it brings TensorFlow
(benchmarks/pipeline_fer.py says how): first with OpenCV's cascade, then with MTCNN, the latter on a quarter of them.
Exit code 1: fewer than 30 frames a second, drawn and encoded, as `mien video` does it, or a face of `one` was lost.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import skimage.data
from matplotlib.cbook import get_sample_data
from PIL import Image

from mien import Predictor
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.faces.boxes import overlaps
from mien.faces.centerface import LONGEST_SIDE, CenterFace
from mien.video.follow import Follower
from mien.video.recording import recording
from mien.video.scene import Scene
from mien.video.source import Frame, VideoFile
from mien.video.watch import drawn

HEIGHT, WIDTH, RATE = 480, 640, 30
WALL = (118, 124, 110)
WARM_UP = 10
BAR = 30.0  # frames a second
WORKER = Path(__file__).with_name("pipeline_fer.py")
Boxes = list[np.ndarray]  # (faces, 4) of each frame


class Way(NamedTuple):
    """How faces are found: side of a full search in pixels, how often there is one, and whether others are quick."""

    name: str
    size: int
    every: int
    quick: bool


FULL = Way("640 px, every frame", LONGEST_SIDE, 1, quick=False)
VIDEO = Way("640 px, every 10th (as mien does it)", LONGEST_SIDE, 10, quick=True)
SMALL = Way("320 px, every 10th", 320, 10, quick=True)
WITHOUT = Way("640 px, every 10th, no quick search", LONGEST_SIDE, 10, quick=False)
TIMED = (VIDEO, WITHOUT, SMALL)


class Run(NamedTuple):
    """One pass over a clip: seconds of each frame, seconds of all, boxes of each frame."""

    frames_s: list[float]
    total_s: float
    boxes: Boxes


def main() -> None:
    """Make the clips, run every way, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="for ONNX Runtime; else its own choice")
    parser.add_argument("--fer-python", type=Path, help="of the environment that `fer` is installed in")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = options.threads or "as ONNX Runtime chooses"
    predictor = Predictor(options.model, threads=options.threads)
    print(f"{platform.machine()}, {cores} cores allowed, threads {threads}, {predictor.path.stem}")
    with tempfile.TemporaryDirectory() as folder:
        clips = {name: film(Path(folder, f"{name}.mp4"), shown, options.frames) for name, shown in CLIPS.items()}
        bench = Bench(predictor, options.threads)
        references = {name: bench.run(clip, FULL) for name, clip in clips.items()}
        passed = bench.timed(clips["one"], references["one"], options.repeats)
        bench.losses(clips, references)
        if options.fer_python:
            against_fer(options.fer_python, clips["one"], references["one"].boxes, options.threads or cores or 1)
    sys.exit(0 if passed else 1)


class Bench:
    """A model, and the passes that it is asked for."""

    def __init__(self, predictor: Predictor, threads: int | None) -> None:
        self.predictor, self.threads = predictor, threads

    def scene(self, way: Way) -> Scene:
        """A fresh scene for one pass."""
        detector = CenterFace(longest_side=way.size, threads=self.threads)
        return Scene(
            self.predictor, Follower(detector, quick=detector.quicker() if way.quick else None, every=way.every)
        )

    def run(self, clip: Path, way: Way, *, out: Path | None = None) -> Run:
        """One pass over a clip; with `out`, what is seen is drawn and encoded."""
        self.scene(way).look(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0.0)  # pages of the net's file are in memory
        looks = self.scene(way)
        frames_s, boxes = [], []
        started = time.perf_counter()
        with recording(out, rate=Fraction(RATE)) if out else nullcontext() as made:
            for frame in frames(clip):
                before = time.perf_counter()
                seen = looks.look(frame.pixels, frame.time_s)
                frames_s.append(time.perf_counter() - before)
                boxes.append(np.array([one.face.box for one in seen], np.float32).reshape(-1, 4))
                if made:
                    made.add_frame(drawn(frame.pixels, seen), frame.time_s)
        return Run(frames_s, time.perf_counter() - started, boxes)

    def timed(self, clip: Path, reference: Run, repeats: int) -> bool:
        """Every way by turns, as often as asked; whether the bar is reached and no face lost."""
        runs: dict[Way, list[Run]] = {FULL: [reference]} | {way: [] for way in TIMED}
        marked: list[Run] = []
        for _ in range(repeats):
            for way in TIMED:
                runs[way].append(self.run(clip, way))
            marked.append(self.run(clip, VIDEO, out=clip.with_name("marked.mp4")))
        print(f"\none: {len(reference.boxes)} frames of {WIDTH}×{HEIGHT}, {repeats} rounds")
        print("| full search | p50 ms | p95 ms | frames a second (least to most) | found |\n|---|---|---|---|---|")
        for way, of in runs.items():
            print(f"| {way.name} | {told(of)} | {told_found(reference.boxes, of[0].boxes)} |")
        print(f"| {VIDEO.name}, drawn and encoded | {told(marked)} | {told_found(reference.boxes, marked[0].boxes)} |")
        rate = median(len(one.boxes) / one.total_s for one in marked)
        lost = sum(map(len, reference.boxes)) - found(reference.boxes, marked[0].boxes).there
        passed = rate >= BAR and not lost
        print(f"{'pass' if passed else 'FAIL'}: {rate:.1f} frames a second, drawn and encoded; {lost} faces lost")
        return passed

    def losses(self, clips: dict[str, Path], references: dict[str, Run]) -> None:
        """What each way finds in each clip of what the full search does; once, as it does not vary."""
        print("\n| clip | faces | " + " | ".join(way.name for way in TIMED) + " |\n|---|---" + "|---" * 3 + "|")
        for name, clip in clips.items():
            reference = references[name].boxes
            cells = [told_found(reference, self.run(clip, way).boxes) for way in TIMED]
            print(f"| {name} | {sum(map(len, reference))} | {' | '.join(cells)} |")


def frames(clip: Path) -> Iterator[Frame]:
    """Its frames in their order."""
    with VideoFile(clip) as video:
        yield from (item for item in video.frames_and_sound() if isinstance(item, Frame))


def told(runs: Sequence[Run]) -> str:
    """Three cells: p50, p95 and rate."""
    p50, p95 = (1e3 * np.percentile([s for run in runs for s in run.frames_s[WARM_UP:]], p) for p in (50, 95))
    rates = [len(run.boxes) / run.total_s for run in runs]
    return f"{p50:.1f} | {p95:.1f} | {median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})"


class Found(NamedTuple):
    """Faces of the reference that are there, others, and the most frames in a row in which one is missing."""

    there: int
    more: int
    gap: int


def found(reference: Boxes, boxes: Boxes) -> Found:
    """What is found of the reference's faces, frame by frame."""
    there = more = missing = gap = 0
    for expected, got in zip(reference, boxes, strict=True):
        hits = int((overlaps(expected, got).max(1, initial=0) >= 0.5).sum())
        there, more = there + hits, more + max(len(got) - len(expected), 0)
        missing = missing + 1 if hits < len(expected) else 0
        gap = max(gap, missing)
    return Found(there, more, gap)


def told_found(reference: Boxes, boxes: Boxes) -> str:
    """In words."""
    there, more, gap = found(reference, boxes)
    words = f"{there} of {sum(map(len, reference))}"
    return words + (f", +{more}" if more else "") + (f", gap {gap}" if gap else "")


def against_fer(python: Path, clip: Path, reference: Boxes, threads: int) -> None:
    """The package `fer` on the same frames, in its own environment."""
    print()
    with tempfile.TemporaryDirectory() as folder:
        for name, share in (("haar", 1), ("mtcnn", 4)):
            file = Path(folder, "frames.npy")
            some = [frame.pixels for frame in frames(clip)]
            some = some[: len(some) // share]
            np.save(file, np.stack(some), allow_pickle=False)
            command = [str(python), str(WORKER), str(file), name, str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
                print(f"fer with {name}: cannot run: {last}")
                continue
            answer = json.loads(done.stdout.splitlines()[-1])
            boxes = [np.array(one, np.float32).reshape(-1, 4) for one in answer["boxes"]]
            run = Run(answer["frames_s"], sum(answer["frames_s"]), boxes)
            print(f"| fer {answer['version']}, {name}, {len(some)} frames, without decoding | ", end="")
            print(f"{told([run])} | {told_found(reference[: len(some)], boxes)} |")


def film(path: Path, shown: Callable[[float], list[tuple[Image.Image, int, int]]], count: int) -> Path:
    """A clip of pictures pasted on a wall: `shown` gives them and their places at a time in seconds."""
    with recording(path, rate=Fraction(RATE)) as made:
        for i in range(count):
            frame = Image.new("RGB", (WIDTH, HEIGHT), WALL)
            for picture, x, y in shown(i / RATE):
                frame.paste(picture, (x, y))
            made.add_frame(np.asarray(frame), i / RATE)
    return path


def head(picture: Image.Image, side: float, degrees: float = 0) -> Image.Image:
    """A head in another size, tilted."""
    resized = picture.resize((round(side), round(side)))
    return resized.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=WALL) if degrees else resized


def people() -> list[Image.Image]:
    """The astronaut, Grace Hopper and two drawn people."""
    astronaut = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 400, 340))
    with Image.open(get_sample_data("grace_hopper.jpg")) as opened:
        hopper = opened.convert("RGB").crop((90, 20, 440, 370))
    happy = draw(np.random.default_rng(3), 2, expressions=("happy",), strength=(0.8, 1.0), spread=0.2)
    return [astronaut, hopper, *(Image.fromarray(draw_face(one, size=200, colour=True)) for one in happy)]


PEOPLE = people()


def one(time_s: float) -> list[tuple[Image.Image, int, int]]:
    """A head that sways, nods, comes nearer and is out of the picture for a second of every eight."""
    if 5 <= time_s % 8 < 6:
        return []
    side = 300 + 70 * math.sin(0.9 * time_s)
    x = WIDTH / 2 - side / 2 + 140 * math.sin(1.3 * time_s)
    y = HEIGHT / 2 - side / 2 + 40 * math.sin(2.1 * time_s)
    return [(head(PEOPLE[0], side, 12 * math.sin(1.7 * time_s)), round(x), round(y))]


def far(time_s: float) -> list[tuple[Image.Image, int, int]]:
    """The same far away, on her way through the room."""
    if 3 <= time_s % 5 < 4:
        return []
    side = 85 + 25 * math.sin(1.1 * time_s)
    return [(head(PEOPLE[0], side, 8 * math.sin(1.7 * time_s)), round(60 + 55 * (time_s % 8)), 190)]


def four(time_s: float) -> list[tuple[Image.Image, int, int]]:
    """Four people; the second is gone for two seconds, the last comes late."""
    sway = [round(18 * math.sin(1.5 * time_s + i)) for i in range(4)]
    sides, here = (170, 150, 120, 120), (True, not 2 <= time_s % 8 < 4, True, time_s % 8 >= 5)
    places = ((30, 30), (240, 40), (440, 60), (330, 270))
    return [
        (head(person, side), x + dx, y + dx // 2)
        for person, side, (x, y), dx, is_here in zip(PEOPLE, sides, places, sway, here, strict=True)
        if is_here
    ]


CLIPS = {"one": one, "far": far, "four": four}


if __name__ == "__main__":
    main()
