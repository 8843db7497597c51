"""How a detected face has to be cut out so that a model sees what its training pictures showed.

    python benchmarks/framing.py MODEL PACKED [--pictures 1000]

PACKED is a packed set of cut-out faces, such as FER2013; its val split is used. The pictures are enlarged, CenterFace
looks at them, and what `mien.faces.crop` cuts out is answered by the model and compared with its answers to the
pictures themselves; where a window reaches over a picture's edge, the edge is repeated. Also: accuracy under shifts,
zooms and rotations (how much a wrong frame costs), and how often a cut-out face is recognised as one, and a photo
mistaken for one (needs scikit-image for a photo of its own).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import skimage.data
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image

from mien import Predictor
from mien.core.picture import Pixels
from mien.core.spec import ModelSpec
from mien.data import dataset
from mien.faces.centerface import CenterFace
from mien.faces.crop import Window, cut, eye_angles, face_crops, face_windows
from mien.faces.detector import Faces
from mien.faces.framing import measure_framing, shared_with_middle

SIDE = 160  # pixels a picture is enlarged to
Ids = NDArray[np.int64]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("packed", type=Path)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--tilted", type=int, default=300, help="pictures for the tables of tilted faces")
    arguments = parser.parse_args()
    data = dataset.load(arguments.packed)
    rows = data.rows("val")
    rows = rows[np.linspace(0, len(rows) - 1, min(arguments.pictures, len(rows))).round().astype(int)]
    pictures, truth = np.asarray(data.images[rows]), data.label[rows]
    model = Bench(Predictor(arguments.model, threads=1), CenterFace(threads=1))
    model.sensitivity(pictures, truth)
    faces = model.framing(pictures)
    model.margins(pictures, truth, faces)
    model.tilted(pictures[:: max(len(rows) // arguments.tilted, 1)], truth[:: max(len(rows) // arguments.tilted, 1)])
    model.recognised(pictures)
    model.mistaken()


class Bench:
    """One model and one detector, and the tables they are asked for."""

    def __init__(self, predictor: Predictor, detector: CenterFace) -> None:
        self.predictor, self.detector = predictor, detector
        self.spec = predictor.spec

    def accuracy(self, crops: Sequence[Pixels] | Pixels, truth: Ids) -> float:
        """Share of right answers of the first head, 0 to 1."""
        answers = self.predictor.probabilities(np.asarray(crops))[self.spec.heads[0].name]
        return float((answers.argmax(1) == truth).mean())

    def sensitivity(self, pictures: Pixels, truth: Ids) -> None:
        """Accuracy when the pictures themselves are framed wrongly; edges are repeated."""
        print(f"{len(pictures)} pictures as they are: {self.accuracy(pictures, truth):.1%}")
        side = pictures.shape[1]
        middle = side / 2
        changes: dict[str, Callable[[float], Window]] = {
            "zoom out by": lambda v: Window(middle, middle, side * v, 0),
            "shift right by": lambda v: Window(middle + v * side, middle, side, 0),
            "shift down by": lambda v: Window(middle, middle + v * side, side, 0),
            "rotate by degrees": lambda v: Window(middle, middle, side, math.radians(v)),
        }
        values = {
            "zoom out by": (0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.5),
            "shift right by": (-0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2),
            "shift down by": (-0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2),
            "rotate by degrees": (-45, -30, -20, -10, 10, 20, 30, 45),
        }
        for name, change in changes.items():
            print(f"{name}:")
            for value in values[name]:
                crops = [np.asarray(cut(p, change(value), side, side)) for p in pictures]
                print(f"  {value:6.2f}  {self.accuracy(crops, truth):.1%}")

    def framing(self, pictures: Pixels) -> list[Faces]:
        """Where CenterFace sees the faces of the pictures, in units of the picture's side."""
        faces = [_best(found) for found in self.detector.detect([enlarged(p, SIDE) for p in pictures])]
        found = [f for f in faces if len(f)]
        boxes = np.concatenate([f.boxes for f in found])
        width, height = (boxes[:, 2:] - boxes[:, :2]).T / SIDE
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2 - SIDE / 2
        points = np.concatenate([f.landmarks for f in found])
        eyes, mouth = points[:, :2].mean(1), points[:, 3:].mean(1)
        upright = np.linalg.norm(mouth - eyes, axis=1) / SIDE
        print(f"\na face was found in {len(found)} of {len(faces)} pictures ({len(found) / len(faces):.1%})")
        print("picture's side in units of …      median   spread (sd of the logarithm)")
        for name, size in {
            "√(width·height) of the box": np.sqrt(width * height),
            "width": width,
            "height": height,
            "eyes to mouth": upright,
            "√ of box size × eyes to mouth": np.sqrt(np.sqrt(width * height) * upright),
        }.items():
            print(f"  {name:<30}  {1 / np.median(size):7.3f}   {np.log(size).std():.3f}")
        print("picture's middle from …           right    down (median, sd), in units of the picture's side")
        for name, place in {
            "box": middles,
            "middle of eyes and mouth": (eyes + mouth) / 2 - SIDE / 2,
            "nose": points[:, 2] - SIDE / 2,
        }.items():
            offset = -place / SIDE
            told = "  ".join(f"{np.median(o):+.3f} ±{o.std():.3f}" for o in offset.T)
            print(f"  {name:<30}  {told}")
        tilt = np.degrees(np.concatenate([eye_angles(f) for f in found]))
        told = measure_framing(self.detector, pictures[:400])
        print(f"so a spec would say: margin {told.margin:.3f}, shift {told.shift:+.3f}")
        print(f"tilt of the eyes: median {np.median(tilt):+.1f}°, sd {tilt.std():.1f}°")
        return faces

    def margins(self, pictures: Pixels, truth: Ids, faces: Sequence[Faces]) -> None:
        """Accuracy of what is cut out around detected faces, by margin, shift and levelling."""
        seen = [i for i, f in enumerate(faces) if len(f)]
        large = [enlarged(pictures[i], SIDE) for i in seen]
        print(f"\nthe {len(seen)} found, as they are: {self.accuracy(pictures[seen], truth[seen]):.1%}")
        print("cut out:        margin   shift   accuracy level / not level")
        for shift in (-0.03, 0.0, 0.03):
            for margin in (1.0, 1.1, 1.15, 1.2, 1.3, 1.4):
                both = [
                    self.accuracy(self._cut(large, [faces[i] for i in seen], margin, shift, level), truth[seen])
                    for level in (True, False)
                ]
                print(f"                {margin:6.2f}  {shift:6.2f}   {both[0]:.1%} / {both[1]:.1%}")

    def _cut(self, large: Sequence[Pixels], faces: Sequence[Faces], margin: float, shift: float, level: bool) -> Pixels:
        spec = framed(self.spec, margin, shift, level)
        return np.concatenate([face_crops(c, f, spec) for c, f in zip(large, faces, strict=True)])

    def tilted(self, pictures: Pixels, truth: Ids) -> None:
        """What levelling the eyes is worth when heads are tilted."""
        print(f"\n{len(pictures)} pictures turned by degrees: found, accuracy of the found level / not level")
        for degrees in (0, 10, 20, 30, 45, 60):
            large = [turned(p, degrees) for p in pictures]
            faces = [_best(f) for f in self.detector.detect(large)]
            seen = [i for i, f in enumerate(faces) if len(f)]
            found = [large[i] for i in seen], [faces[i] for i in seen]
            shares = [
                self.accuracy(self._cut(*found, self.spec.face_margin, self.spec.face_shift, level), truth[seen])
                for level in (True, False)
            ]
            print(f"  {degrees:3d}°  {len(seen) / len(pictures):.1%}   {shares[0]:.1%} / {shares[1]:.1%}")

    def recognised(self, pictures: Pixels) -> None:
        """How often a cut-out face is taken for one."""
        print("\ncut-out faces of … px, share of one face's window and the picture at least …: recognised as such")
        for side in (100, 224):
            faces = self.detector.detect([enlarged(p, side) for p in pictures])
            shares = np.array([shared_with_middle(f, side, side, self.spec) if len(f) == 1 else 0 for f in faces])
            told = "  ".join(f"≥{least}: {(shares >= least).mean():.1%}" for least in (0.4, 0.5, 0.6, 0.7))
            print(f"  {side:4d}  {told}  no face: {np.mean([not len(f) for f in faces]):.1%}")

    def mistaken(self) -> None:
        """How often a photo of one face is taken for a cut-out one, by how much of it the face takes up."""
        photos = {"astronaut": skimage.data.astronaut(), "hopper": hopper()}
        print("\nphotos cut to … times the model's window, at random around the face: taken for a cut-out face")
        rng = np.random.default_rng(0)
        for times in (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5):
            shares = [self._random_cut(p, times, rng) for p in photos.values() for _ in range(20)]
            told = "  ".join(f"≥{least}: {np.mean(np.array(shares) >= least):.0%}" for least in (0.4, 0.5, 0.6, 0.7))
            print(f"  {times:.1f}  {told}")

    def _random_cut(self, photo: Pixels, times: float, rng: np.random.Generator) -> float:
        [faces] = self.detector.detect([photo])
        window = face_windows(faces, self.spec)[0]
        free = (times - 1) / 2 * window.side
        x, y = np.array([window.x, window.y]) + rng.uniform(-free, free, 2)
        part = np.asarray(cut(photo, Window(x, y, times * window.side, 0), 200, 200))
        [seen] = self.detector.detect([part])
        return shared_with_middle(seen, 200, 200, self.spec) if len(seen) == 1 else 0.0


def hopper() -> Pixels:
    """Grace Hopper, a photo of the US Navy (public domain) that matplotlib ships."""
    with Image.open(get_sample_data("grace_hopper.jpg")) as picture:
        return np.asarray(picture.convert("RGB"))


def framed(spec: ModelSpec, margin: float, shift: float, level: bool) -> ModelSpec:
    """The spec with another frame."""
    return spec.model_copy(update={"face_margin": margin, "face_shift": shift, "face_level": level})


def enlarged(picture: Pixels, side: int) -> Pixels:
    """A picture of another size, (side, side)."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def turned(picture: Pixels, degrees: float) -> Pixels:
    """An enlarged picture, turned about its middle."""
    return np.asarray(cut(enlarged(picture, SIDE), Window(SIDE / 2, SIDE / 2, SIDE, math.radians(degrees)), SIDE, SIDE))


def _best(faces: Faces) -> Faces:
    """The largest face alone, or none."""
    size = (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(1)
    return faces.take(np.array([size.argmax()])) if len(faces) else faces


if __name__ == "__main__":
    main()
