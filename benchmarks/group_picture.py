"""The pictures of docs/faces.md: a group of two photographed and seven drawn people, and a video of two.

    python benchmarks/group_picture.py OUT [--model MODEL]

The photos are of Eileen Collins (NASA, shipped by scikit-image) and Grace Hopper (US Navy, shipped by matplotlib),
both in the public domain; the rest is drawn by mien, and nobody ever stood beside anybody. Writes group.jpg and
group-marked.jpg and prints what was found and where; then clip.mp4, in which a drawn man changes his expression and
the astronaut passes by, marked.mp4 and timeline.png.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import skimage.data
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageFilter

from mien import PhotoReader, Predictor
from mien.core.labels import FER2013
from mien.data.drawn.actions import prototype
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.deploy.annotate import annotate
from mien.faces.centerface import CenterFace
from mien.video.follow import Follower
from mien.video.plot import TimelinePlot
from mien.video.recording import recording
from mien.video.scene import Scene
from mien.video.source import VideoFile
from mien.video.watch import into_recording, watch

WIDTH, HEIGHT = 1280, 720
RATE = 25
PLAYED = ("happy", "surprise", "sad", "happy", "angry", "fear", "neutral", "happy")


def main() -> None:
    """Compose, find, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, help="else the one that comes with mien")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    group = compose()
    group.save(arguments.out / "group.jpg", quality=90)
    reader = PhotoReader(Predictor(arguments.model, threads=1), detector=CenterFace(longest_side=1280, threads=1))
    [looked] = reader.stream(group)
    for number, face in enumerate(looked.photo.faces, 1):
        box = " ".join(f"{value:.0f}" for value in face.box)
        print(f"face {number}: {face.label} {face.probability:.0%}, box {box}, score {face.score:.2f}")
    annotate(group, looked.photo.faces).save(arguments.out / "group-marked.jpg", quality=90)
    film(arguments.out / "clip.mp4")
    follow(arguments.out, reader.predictor)


def compose() -> Image.Image:
    """Two rows before a blurred sky: photos in the middle of the front row, drawn people around them."""
    group = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        shade = y / HEIGHT
        group.paste((round(120 - 50 * shade), round(150 - 50 * shade), round(175 - 60 * shade)), (0, y, WIDTH, y + 1))
    rng = np.random.default_rng(12)
    people = draw(rng, 7, expressions=list(FER2013.names), strength=(0.8, 1.0), spread=0.3)
    drawn = [Image.fromarray(draw_face(person, size=200, colour=True)) for person in people]
    places = [(20, 40), (280, 20), (540, 40), (800, 20), (1050, 40), (20, 400), (1050, 400)]
    for picture, place in zip(drawn, places, strict=True):
        _paste(group, picture, place)
    _paste(group, Image.fromarray(skimage.data.astronaut()).crop((60, 0, 400, 360)), (300, 340))
    with Image.open(get_sample_data("grace_hopper.jpg")) as hopper:
        _paste(group, hopper.convert("RGB").crop((90, 0, 440, 420)).resize((300, 360)), (660, 340))
    return group


def film(path: Path) -> None:
    """Sixteen seconds: expressions come and go on a drawn face; for eight of them the astronaut is there too."""
    rng = np.random.default_rng(12)
    person = draw(rng, 7, expressions=list(FER2013.names), strength=(0.8, 1.0), spread=0.3)[3]
    person = replace(person, identity=replace(person.identity, glasses="none", beard="none"))
    astronaut = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 400, 360)).resize((255, 270))
    with recording(path, rate=Fraction(RATE)) as made:
        for i in range(16 * RATE):
            time_s = i / RATE
            shown = PLAYED[int(time_s // 2)]
            strength = math.sin(math.pi * (time_s % 2) / 2) ** 0.5
            face = replace(person, actions=prototype(shown, strength=strength))
            frame = Image.new("RGB", (640, 360), (95, 112, 128))
            _paste(frame, Image.fromarray(draw_face(face, size=240, colour=True)), (50, 60))
            if 4 <= time_s < 12:
                _paste(frame, astronaut, (round(340 + 20 * math.sin(time_s)), 80))
            made.add_frame(np.asarray(frame), time_s)


def follow(folder: Path, predictor: Predictor) -> None:
    """What `mien video` does with it."""
    detector = CenterFace(threads=1)
    scene = Scene(predictor, Follower(detector, quick=detector.quicker()))
    plot = TimelinePlot(scene.label_names)
    with VideoFile(folder / "clip.mp4") as video, recording(folder / "marked.mp4", rate=video.rate) as made:
        summary = watch(video.frames_and_sound(), scene, [plot, into_recording(made)])
    plot.save(folder / "timeline.png", "clip.mp4: a drawn man played " + ", ".join(PLAYED))
    print(f"{summary.frames} frames, {summary.with_faces} with a face, {len(summary.faces)} faces")


def _paste(group: Image.Image, picture: Image.Image, place: tuple[int, int]) -> None:
    """With soft round corners, so that no hard edge of a picture is taken for anything."""
    mask = Image.new("L", picture.size)
    mask.paste(255, (12, 12, picture.width - 12, picture.height - 12))
    group.paste(picture, place, mask.filter(ImageFilter.GaussianBlur(6)))


if __name__ == "__main__":
    main()
