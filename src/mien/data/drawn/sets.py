"""Whole data sets of drawn faces: packed, or as class folders of PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.errors import MienError
from mien.core.files import atomic_folder
from mien.core.labels import FER2013, LabelSet, canonical
from mien.data.dataset import Dataset, describe, make_table, save
from mien.data.drawn.face import Face, draw
from mien.data.drawn.paint import draw_face
from mien.data.drawn.votes import annotate
from mien.data.split import stratified


@dataclass(frozen=True)
class Plan:
    """What to draw. The same plan gives the same pictures, labels and splits everywhere.

    Attributes:
        count: how many faces; every label gets the same number, give or take one.
        seed: decides everything that is left to chance.
        size: side of the square pictures in pixels.
        colour: three channels instead of one.
        labels: which expressions, and their ids.
        strength: range of the strength of a face's action units, within 0 and 1. Low is hard to read.
        spread: how far pose and place stray from a frontal portrait, 0 to 1.
        val_fraction: part of each label that goes to val.
        test_fraction: part of each label that goes to test; the rest is train.

    Raises:
        MienError: fewer than three faces a label, or fractions that leave nothing for a split.
    """

    count: int = 2000
    seed: int = 0
    size: int = 48
    colour: bool = False
    labels: LabelSet = FER2013
    strength: tuple[float, float] = (0.4, 1.0)
    spread: float = 1.0
    val_fraction: float = 0.15
    test_fraction: float = 0.15

    def __post_init__(self) -> None:
        if self.count < 3 * len(self.labels):
            raise MienError(
                f"{self.count} faces are too few for {len(self.labels)} labels", hint="draw three or more of each"
            )
        if min(self.val_fraction, self.test_fraction) <= 0 or self.val_fraction + self.test_fraction >= 1:
            shown = f"val {self.val_fraction} and test {self.test_fraction}"
            raise MienError(f"{shown} leave nothing for one of the splits", hint="0.15 each is usual")


@dataclass(frozen=True)
class Drawn:
    """The faces of a plan with their pictures (N, H, W) or (N, H, W, 3), label ids (N,) and split names (N,)."""

    faces: list[Face]
    images: NDArray[np.uint8]
    label: NDArray[np.int64]
    split: NDArray[np.str_]


def draw_plan(plan: Plan) -> Drawn:
    """Draw all faces of a plan."""
    expressions = [canonical(name) for name in plan.labels.names]
    rng = np.random.default_rng(plan.seed)
    faces = draw(rng, plan.count, expressions=expressions, strength=plan.strength, spread=plan.spread)
    label = np.array([expressions.index(face.expression) for face in faces], np.int64)
    split = _split(label, plan)
    images = np.stack([draw_face(face, size=plan.size, colour=plan.colour) for face in faces])
    return Drawn(faces=faces, images=images, label=label, split=split)


def drawn_set(out: Path, plan: Plan, *, with_votes: bool = False) -> Dataset:
    """Draw a plan and write it as a packed data set, with the column `strength` and, if asked, simulated votes."""
    drawn = draw_plan(plan)
    strength = np.array([face.strength for face in drawn.faces], np.float32)
    votes = annotate(drawn.faces, np.random.default_rng([plan.seed, 1])) if with_votes else None
    table = make_table(
        label=drawn.label,
        split=drawn.split,
        source=[f"drawn:{plan.seed}:{i}" for i in range(plan.count)],
        images=drawn.images,
        votes=votes,
        extra={"strength": strength},
    )
    info = describe("drawn", plan.labels, drawn.images, table, source="drawn by mien", seed=plan.seed)
    return save(out, drawn.images, table, info)


def write_class_folders(out: Path, plan: Plan) -> Path:
    """Draw a plan as `out/split/label/face_00000.png`; the folder appears complete or not at all."""
    drawn = draw_plan(plan)
    with atomic_folder(out) as folder:
        for i, pixels in enumerate(drawn.images):
            place = folder / str(drawn.split[i]) / plan.labels.names[drawn.label[i]]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"face_{i:05d}.png", compress_level=1)
    return out


def _split(label: NDArray[np.int64], plan: Plan) -> NDArray[np.str_]:
    """Split names (N,): of each label, the test fraction first, then the val fraction of all, the rest train."""
    split = np.full(len(label), "train")
    split[stratified(label, plan.test_fraction, plan.seed)] = "test"
    rest = np.flatnonzero(split == "train")
    val = stratified(label[rest], plan.val_fraction / (1 - plan.test_fraction), plan.seed + 1)
    split[rest[val]] = "val"
    return split
