"""How small a face may be to be found, by the size that pictures are shrunk to before they are searched.

    python benchmarks/detect_sizes.py [PACKED] [--pictures 150] [--sizes 240 320 480 640] [--threads 1]

Faces are pasted into pictures of 640×480 so that their box has a given height, twelve at a time or as many as have
room, before a photo of scikit-image without people. They are: pictures of the val split of PACKED, such as FER2013, if
it is given; two photos in the public domain (the astronaut, Grace Hopper), at twelve places each; people mien drew.
A face counts as found when a box overlaps its own by at least half; its own is what CenterFace sees when the face is
alone and about 160 px high, so that what it never finds does not count against a size. After a plus, boxes that are
nobody's.
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

from mien.core.picture import Pixels
from mien.data import dataset
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.faces.boxes import overlaps
from mien.faces.centerface import CenterFace

WIDTH, HEIGHT = 640, 480
HEIGHTS = (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 160)
ALONE = 160  # px, at which a face is measured
PLACES = 12  # of each photo


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
    parser.add_argument("--sizes", type=int, nargs="+", default=[240, 320, 480, 640])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    detectors = {size: CenterFace(longest_side=size, threads=options.threads) for size in options.sizes}
    print(f"{platform.machine()}, pictures of {WIDTH}×{HEIGHT}, found at {', '.join(map(str, options.sizes))} px")
    kinds = {"photos": photographed() * PLACES, "drawn": drawn(options.pictures // 2)}
    if options.packed:
        kinds = {"packed": packed(options.packed, options.pictures)} | kinds
    alone = CenterFace(longest_side=640, threads=options.threads)
    for kind, pictures in kinds.items():
        known = [person for picture in pictures if (person := measured(alone, picture)) is not None]
        print(f"\n{kind}: {len(known)} of {len(pictures)} are found when alone and large")
        print("| face px | " + " | ".join(map(str, options.sizes)) + " |\n|---" * 1 + "|---" * len(options.sizes) + "|")
        for height in HEIGHTS:
            cells = [f"{share:.0%}" + (f" +{more}" if more else "") for share, more in found(known, height, detectors)]
            print(f"| {height} | {' | '.join(cells)} |", flush=True)


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


def found(people: Sequence[Person], height: int, detectors: dict[int, CenterFace]) -> Iterator[tuple[float, int]]:
    """For each detector the share of faces of `height` px that it finds, and how many boxes are nobody's."""
    pasted = list(pictures(people, height))
    for detector in detectors.values():
        hits = more = 0
        for picture, boxes in pasted:
            [faces] = detector.detect([picture])
            shared = overlaps(boxes, faces.boxes)
            hits += int((shared.max(1, initial=0) >= 0.5).sum())
            more += int((shared.max(0, initial=0) < 0.3).sum())
        yield hits / len(people), more


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
