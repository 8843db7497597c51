"""A 640×480 video with one face, end to end: decoding, finding, following, answering, drawing, encoding.

    python benchmarks/pipeline.py MODEL [--frames 300] [--repeats 3] [--threads 2]

The video is made on the spot: the astronaut of scikit-image (NASA, public domain) wanders and tilts before a plain wall
and is gone for a second. Each way of finding faces takes its turn in each round, so that a busy machine slows all; of
each the first ten frames are left out as warm-up. p50 and p95 are of single frames without decoding and encoding; the
rate is that of the whole work, encoding included or not as said. "Found" compares with a full search at 640 px in every
frame: the share of its faces that is there with an overlap of at least half. Where the package `fer` is installed, it
answers the same frames with its own detector.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from PIL import Image

from mien import Predictor
from mien.core.picture import Pixels
from mien.faces.boxes import overlaps
from mien.faces.centerface import CenterFace
from mien.faces.detector import Faces
from mien.video.follow import Follower
from mien.video.recording import recording
from mien.video.scene import Scene
from mien.video.source import Frame, VideoFile
from mien.video.watch import drawn

HEIGHT, WIDTH, RATE = 480, 640, 30
WARM_UP = 10


class Way(NamedTuple):
    """How faces are found: longer side of a full search in pixels, and how often there is one."""

    size: int
    every: int

    @property
    def name(self) -> str:
        return f"{self.size} px, " + ("every frame" if self.every == 1 else f"every {self.every}th, windows between")


WAYS = (Way(640, 1), Way(640, 10), Way(320, 1), Way(320, 10))


class Run(NamedTuple):
    """One pass over the video: seconds of each frame, seconds of all, boxes of each frame."""

    frames_s: list[float]
    total_s: float
    boxes: list[np.ndarray]


def main() -> None:
    """Make the video, run every way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="for ONNX Runtime; else its own choice")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.machine()}, {cores} cores allowed, threads {arguments.threads or 'as ONNX Runtime chooses'}")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        with recording(clip, rate=Fraction(RATE)) as made:
            for i in range(arguments.frames):
                made.add_frame(wanderer(i), i / RATE)
        compare(clip, arguments.model, arguments.repeats, arguments.threads)


def wanderer(i: int) -> Pixels:
    """Frame `i`: a head that sways, nods, comes nearer and is out of the picture for a second of every eight."""
    time_s = i / RATE
    frame = Image.new("RGB", (WIDTH, HEIGHT), (118, 124, 110))
    if time_s % 8 < 5 or time_s % 8 >= 6:
        side = round(300 + 70 * math.sin(0.9 * time_s))
        head = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 400, 340)).resize((side, side))
        x = round(WIDTH / 2 - side / 2 + 140 * math.sin(1.3 * time_s))
        y = round(HEIGHT / 2 - side / 2 + 40 * math.sin(2.1 * time_s))
        frame.paste(head.rotate(12 * math.sin(1.7 * time_s), Image.Resampling.BILINEAR), (x, y))
    return np.asarray(frame)


def compare(clip: Path, model: Path, repeats: int, threads: int | None) -> None:
    """Every way by turns, as often as asked."""
    predictor = Predictor(model, threads=threads)
    runs: dict[Way, list[Run]] = {way: [] for way in WAYS}
    marked: list[float] = []
    for _ in range(repeats):
        for way in WAYS:
            runs[way].append(run(clip, scene(predictor, way, threads)))
        marked.append(run(clip, scene(predictor, WAYS[-1], threads), out=clip.with_name("out.mp4")).total_s)
    reference = runs[WAYS[0]][0].boxes
    print(f"\n{len(reference)} frames of {WIDTH}×{HEIGHT}, {repeats} rounds; median of the rounds")
    print(f"{'full search':<34} {'p50 ms':>7} {'p95 ms':>7} {'frames/s':>9} {'found':>8}")
    for way, of in runs.items():
        p50, p95 = (np.median([np.percentile(r.frames_s[WARM_UP:], p) for r in of]) * 1e3 for p in (50, 95))
        rate = len(reference) / np.median([r.total_s for r in of])
        print(f"{way.name:<34} {p50:7.1f} {p95:7.1f} {rate:9.1f} {found(reference, of[0].boxes):>8}")
    print(f"{WAYS[-1].name}, drawn and encoded: {len(reference) / np.median(marked):.1f} frames/s")
    against_fer(clip, reference)


def scene(predictor: Predictor, way: Way, threads: int | None) -> Scene:
    """A fresh scene for one pass."""
    return Scene(predictor, Follower(CenterFace(longest_side=way.size, threads=threads), every=way.every))


def run(clip: Path, looks: Scene, *, out: Path | None = None) -> Run:
    """One pass over the video; with `out`, what is seen is drawn and encoded."""
    looks.look(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0.0)  # opens the detector
    frames_s, boxes = [], []
    started = time.perf_counter()
    with VideoFile(clip) as video:
        frames = (item for item in video.frames_and_sound() if isinstance(item, Frame))
        if out is None:
            for frame in frames:
                before = time.perf_counter()
                seen = looks.look(frame.pixels, frame.time_s)
                frames_s.append(time.perf_counter() - before)
                boxes.append(np.array([one.face.box for one in seen], np.float32).reshape(-1, 4))
        else:
            with recording(out, rate=Fraction(RATE)) as made:
                for frame in frames:
                    made.add_frame(drawn(frame.pixels, looks.look(frame.pixels, frame.time_s)), frame.time_s)
    return Run(frames_s, time.perf_counter() - started, boxes)


def found(reference: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> str:
    """How many faces of the full search are there in the same frame, and how many are there that it has not."""
    there = sum(int((overlaps(a, b).max(1, initial=0) >= 0.5).sum()) for a, b in zip(reference, boxes, strict=True))
    more = sum(max(len(b) - len(a), 0) for a, b in zip(reference, boxes, strict=True))
    return f"{there}/{sum(map(len, reference))}" + (f" +{more}" if more else "")


def against_fer(clip: Path, reference: Sequence[np.ndarray]) -> None:
    """The package `fer` on the same frames, if it is installed and can be imported; first with OpenCV, then MTCNN."""
    try:
        from fer.fer import FER  # optional: another project's package with TensorFlow
    except Exception as error:
        print(f"fer is not here or cannot be imported: {error}")
        return
    for name, mtcnn in (("its Haar cascade", False), ("MTCNN", True)):
        try:
            rival = FER(mtcnn=mtcnn)
            print(f"fer with {name}: {fer_line(rival.detect_emotions, clip, reference)}")
        except Exception as error:
            print(f"fer with {name}: cannot run ({type(error).__name__}: {str(error).splitlines()[0]})")


def fer_line(detect: Callable[[Pixels], list[dict[str, object]]], clip: Path, reference: Sequence[np.ndarray]) -> str:
    """p50, p95 and faces found of another package's `detect`, which takes BGR."""
    frames_s, boxes = [], []
    with VideoFile(clip) as video:
        for item in video.frames_and_sound():
            if isinstance(item, Frame):
                bgr = np.ascontiguousarray(item.pixels[..., ::-1])
                before = time.perf_counter()
                faces = np.array([face["box"] for face in detect(bgr)], np.float32).reshape(-1, 4)
                frames_s.append(time.perf_counter() - before)
                boxes.append(Faces.none().boxes if not len(faces) else corners(faces))
    p50, p95 = (np.percentile(frames_s[WARM_UP:], p) * 1e3 for p in (50, 95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, {1 / np.mean(frames_s):.1f} frames/s, {found(reference, boxes)} found"


def corners(boxes: np.ndarray) -> np.ndarray:
    """From left, top, width, height to left, top, right, bottom."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)


if __name__ == "__main__":
    main()
