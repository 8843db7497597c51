"""How small a face may be to be found, by the size that pictures are shrunk to before they are searched.

    python benchmarks/detect_sizes.py [PACKED] [--pictures 150] [--sizes 320 480 640] [--scores 0.35 0.5] [--threads 1]

Faces are pasted into pictures of 640×480 so that their box has a given height, twelve at a time or as many as have
room, before a photo of scikit-image without people. They are: pictures of the val split of PACKED, such as FER2013, if
it is given; two photos in the public domain (the astronaut, Grace Hopper), at twelve places each; people mien drew.
A face counts as found when a box overlaps its own by at least half; its own is what CenterFace sees when the face is
alone and about 160 px high, so that what it never finds does not count against a size. After a plus, boxes that are
nobody's. Last, the boxes in photos without people, of scikit-image and scikit-learn, searched at up to 1280 px as well.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from matplotlib.cbook import get_sample_data
from PIL import Image
from sklearn.datasets import load_sample_images

from mien.core.picture import Pixels
from mien.data import dataset
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.faces.boxes import overlaps
from mien.faces.centerface import MIN_SCORE, CenterFace

WIDTH, HEIGHT = 640, 480
HEIGHTS = (12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 160)
ALONE = 160  # px, at which a face is measured
PLACES = 12  # of each photo
THINGS = (
    *("coffee", "chelsea", "rocket", "hubble_deep_field", "retina", "immunohistochemistry", "brick", "grass"),
    *("gravel", "coins", "clock", "moon", "page", "text", "colorwheel"),
)


class Person(NamedTuple):
    """A picture of one face, and its box in pixels of that picture: left, top, right, bottom."""

    picture: Image.Image
    box: np.ndarray

    def sized(self, height: float) -> Person:
        """The same with a face of `height` px."""
        factor = height / (self.box[3] - self.box[1])
        size = [max(round(side * factor), 1) for side in self.picture.size]
        scale = np.array(size * 2) / np.array(self.picture.size * 2)
        return Person(self.picture.resize((size[0], size[1]), Image.Resampling.LANCZOS), self.box * scale)


def main() -> None:
    """A table for each kind of face."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path, nargs="?")
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--sizes", type=int, nargs="+", default=[320, 480, 640])
    parser.add_argument("--scores", type=float, nargs="+", default=[MIN_SCORE, 0.5], help="least scores to compare")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    least = min(options.scores)
    detectors = [CenterFace(longest_side=size, min_score=least, threads=options.threads) for size in options.sizes]
    columns = [f"{size} px, ≥ {score:g}" for size in options.sizes for score in options.scores]
    print(f"{platform.machine()}, pictures of {WIDTH}×{HEIGHT}")
    kinds = {"photos": photographed() * PLACES, "drawn": drawn(options.pictures // 2)}
    if options.packed:
        kinds = {"packed": packed(options.packed, options.pictures)} | kinds
    alone = CenterFace(longest_side=640, min_score=0.5, threads=options.threads)
    for kind, pictures in kinds.items():
        known = [person for picture in pictures if (person := measured(alone, picture)) is not None]
        print(f"\n{kind}: {len(known)} of {len(pictures)} are found when alone and large")
        print(f"| face px | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
        for height in HEIGHTS:
            shares = [one for detector in detectors for one in found(known, height, detector, options.scores)]
            cells = [f"{share:.0%}" + (f" +{more}" if more else "") for share, more in shares]
            print(f"| {height} | {' | '.join(cells)} |", flush=True)
    empty = list(without_people())
    for size in (*options.sizes, 1280):
        looks = CenterFace(longest_side=size, min_score=least, threads=options.threads).detect(empty)
        scores = np.concatenate([faces.scores for faces in looks])
        told = ", ".join(f"{(scores > score).sum()} at ≥ {score:g}" for score in options.scores)
        print(f"boxes in {len(empty)} photos without people, at {size} px: {told}")


def photographed() -> list[Image.Image]:
    """Eileen Collins (NASA, shipped by scikit-image) and Grace Hopper (US Navy, by matplotlib), both public domain."""
    with Image.open(get_sample_data("grace_hopper.jpg")) as opened:
        hopper = opened.convert("RGB").crop((90, 20, 440, 370))
    return [Image.fromarray(skimage.data.astronaut()).crop((60, 0, 400, 340)), hopper]


def drawn(count: int) -> list[Image.Image]:
    """People that mien drew."""
    return [Image.fromarray(draw_face(one, size=200, colour=True)) for one in draw(np.random.default_rng(0), count)]


def packed(folder: Path, count: int) -> list[Image.Image]:
    """Pictures of the val split, evenly taken."""
    data = dataset.load(folder)
    rows = data.rows("val")
    rows = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
    return [Image.fromarray(np.asarray(data.images[row])).convert("RGB") for row in rows]


def measured(detector: CenterFace, picture: Image.Image) -> Person | None:
    """The one face of a picture, looked at when it is large; None where there is none or more than one."""
    factor = 2 * ALONE / max(picture.size)  # a face fills half of its picture or more
    large = picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (2 * large.width, 2 * large.height), (118, 124, 110))
    origin = (large.width // 2, large.height // 2)
    canvas.paste(large, origin)
    [faces] = detector.detect([np.asarray(canvas)])
    if len(faces) != 1:
        return None
    return Person(picture, (faces.boxes[0] - np.array(origin * 2)) / factor)


def found(
    people: Sequence[Person], height: int, detector: CenterFace, scores: Sequence[float]
) -> Iterator[tuple[float, int]]:
    """For each least score the share of faces of `height` px that is found, and how many boxes are nobody's."""
    looks = [(boxes, detector.detect([picture])[0]) for picture, boxes in pictures(people, height)]
    for score in scores:
        hits = more = 0
        for boxes, faces in looks:
            shared = overlaps(boxes, faces.take(faces.scores > score).boxes)
            hits += int((shared.max(1, initial=0) >= 0.5).sum())
            more += int((shared.max(0, initial=0) < 0.3).sum())
        yield hits / len(people), more


def without_people() -> Iterator[Pixels]:
    """Photos of things, animals, sky and textures."""
    yield from load_sample_images().images
    for name in THINGS:
        yield np.ascontiguousarray(getattr(skimage.data, name)())


def pictures(people: Sequence[Person], height: int) -> Iterator[tuple[Pixels, np.ndarray]]:
    """Everybody once, in as many pictures as it takes; of each the boxes (N, 4) of the faces in it."""
    rng = np.random.default_rng(height)
    wall = Image.fromarray(skimage.data.coffee()).resize((WIDTH, HEIGHT))
    sized = [person.sized(height) for person in people]
    cell = max(max(person.picture.size) for person in sized) + 8
    across, down = (min(max(WIDTH // cell, 1), 4), min(max(HEIGHT // cell, 1), 3))
    for start in range(0, len(sized), across * down):
        canvas, boxes = wall.copy(), []
        for i, person in enumerate(sized[start : start + across * down]):
            wide, high = WIDTH // across, HEIGHT // down
            x = i % across * wide + round(rng.uniform(0, max(wide - person.picture.width, 0)))
            y = i // across * high + round(rng.uniform(0, max(high - person.picture.height, 0)))
            canvas.paste(person.picture, (x, y))
            boxes.append(person.box + np.array([x, y, x, y]))
        yield np.asarray(canvas), np.array(boxes, np.float32)


if __name__ == "__main__":
    main()
