"""What `mien data audit` finds of faults that were planted, and what it says of clean sets.

    python benchmarks/audit_faults.py [PACKED] [--count 3000] [--seed 0] [--only NAME …] [--labels]

Faults are planted at several strengths in the project's drawn faces and, with PACKED (such as an imported FER2013),
in as many of its pictures, the same number of each class, without those that its own audit flags. Printed is a
Markdown table: how many pictures were spoilt, which share of them the finding names (recall), which share of what it
names was spoilt (precision), its severity, and alarms (warning or severe) of findings that the fault does not concern.
With --labels, swapped labels too, which trains nets for minutes. Ends with 1 when a clean set raises an alarm.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mien.core.labels import LabelSet
from mien.data import dataset
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.run import Audit, Request, audit
from mien.data.dataset import Dataset
from mien.data.drawn.sets import Plan, draw_plan
from mien.data.formats.base import Progress

Rng = np.random.Generator
COPIES = {"exact-copies", "near-copies", "mirrored-copies", "leakage", "conflicting-labels"}


@dataclass(frozen=True)
class Arrays:
    """A set in memory, and which of its pictures are spoilt."""

    images: np.ndarray
    label: np.ndarray
    split: np.ndarray
    labels: LabelSet
    spoilt: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, label: np.ndarray, split: np.ndarray, labels: LabelSet) -> Arrays:
        """All of it sound."""
        return cls(images, label, split, labels, np.zeros(len(images), bool))

    def data(self) -> Dataset:
        """As a packed set that is nowhere on disk."""
        source = [str(i) for i in range(len(self.images))]
        table = dataset.make_table(label=self.label, split=self.split, source=source, images=self.images)
        return Dataset(self.images, table, dataset.describe("planted", self.labels, self.images, table))

    def rows(self, split: str) -> np.ndarray:
        """Positions of a split."""
        return np.flatnonzero(self.split == split)

    def with_pixels(self, rows: np.ndarray, pixels: np.ndarray) -> Arrays:
        """Other pixels at `rows`, which then are spoilt."""
        images, spoilt = self.images.copy(), self.spoilt.copy()
        images[rows], spoilt[rows] = pixels, True
        return replace(self, images=images, spoilt=spoilt)


@dataclass(frozen=True)
class Fault:
    """A fault to plant.

    Attributes:
        name: what is done.
        strengths: how much of it, in the words of `unit`.
        unit: with {} for the strength.
        plant: the set, spoilt.
        finding: that should name the spoilt pictures, or the whole when there are none.
        related: other findings that may rightly raise an alarm.
    """

    name: str
    strengths: tuple[float, ...]
    unit: str
    plant: Callable[[Arrays, float, Rng], Arrays]
    finding: str
    related: frozenset[str] = frozenset()


def some(rows: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """A share of rows, at least one."""
    return np.sort(rng.choice(rows, max(round(share * len(rows)), 1), replace=False))


def triplicated(base: Arrays, percent: float, rng: Rng) -> Arrays:
    """Pictures of train twice more, in train."""
    rows = np.repeat(some(base.rows("train"), percent / 100, rng), 2)
    spoilt = np.append(base.spoilt, np.ones(len(rows), bool))
    spoilt[rows] = True
    parts = (np.concatenate([part, part[rows]]) for part in (base.images, base.label, base.split))
    return Arrays(*parts, base.labels, spoilt)


def leaked(change: Callable[[np.ndarray, float], np.ndarray], percent: float | None = None):
    """Pictures of val become copies of pictures of train with the same label, changed; strength is % or `change`'s."""

    def plant(base: Arrays, strength: float, rng: Rng) -> Arrays:
        share = (strength if percent is None else percent) / 100
        rows = some(base.rows("val"), share, rng)
        train = base.rows("train")
        twins = np.array([rng.choice(train[base.label[train] == base.label[row]]) for row in rows])
        return base.with_pixels(rows, change(base.images[twins], strength))

    return plant


def jpeg(images: np.ndarray, quality: float) -> np.ndarray:
    """Compressed and read again."""

    def again(pixels: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(quality))
        return np.asarray(Image.open(buffer))

    return np.stack([again(pixels) for pixels in images])


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, sigma in px."""
    kernel = ImageFilter.GaussianBlur(sigma)
    return np.stack([np.asarray(Image.fromarray(pixels).filter(kernel)) for pixels in images])


def levels(images: np.ndarray) -> np.ndarray:
    """Back to whole grey levels."""
    return images.clip(0, 255).round().astype(np.uint8)


def stretch(images: np.ndarray, factor: float) -> np.ndarray:
    """Contrast around each picture's mean."""
    mean = images.mean((1, 2), keepdims=True)
    return levels(mean + (images - mean) * factor)


def spoilt_by(change: Callable[[np.ndarray, float, Rng], np.ndarray], share: float = 0.02):
    """A share of all pictures is changed."""

    def plant(base: Arrays, strength: float, rng: Rng) -> Arrays:
        rows = some(np.arange(len(base.images)), share, rng)
        return base.with_pixels(rows, change(base.images[rows], strength, rng))

    return plant


def constant(images: np.ndarray, noise: float, rng: Rng) -> np.ndarray:
    """One grey level for each picture, and noise of so many levels."""
    level = rng.uniform(10, 245, (len(images), 1, 1))
    return levels(level + noise * rng.normal(size=images.shape))


def no_face(images: np.ndarray, kind: float, rng: Rng) -> np.ndarray:
    """0 signs, 1 lines of writing, 2 noise with the spectrum of pictures, 3 faces upside down."""
    n, side = images.shape[:2]
    y, x = np.mgrid[:side, :side] / side
    if kind == 0:
        at, size = rng.uniform(0.3, 0.7, (n, 1, 1)), rng.uniform(0.3, 0.6, (n, 1, 1))
        inside = (abs(x - at) < (y - 0.7 + size) / 2) & (y < 0.7)
        return levels(255 * inside)
    if kind == 1:
        lines = rng.uniform(5, 14, (n, 1, 1))
        ink = (np.floor(y * lines * 2) % 2 == 0) & (np.sin(120 * x + 37 * np.floor(y * lines * 2)) > -0.2)
        return levels(250 - 200 * (ink & (x > 0.06) & (x < 0.9)))
    if kind == 2:
        reach = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
        field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=images.shape)) / (1 + reach), (side, side))
        return levels(128 + 50 * field / field.std((1, 2), keepdims=True))
    return images[:, ::-1]


def shifted(change: Callable[[np.ndarray, float], np.ndarray]):
    """The pictures of val are changed; the finding is about the whole, so none counts as spoilt."""

    def plant(base: Arrays, strength: float, rng: Rng) -> Arrays:
        del rng
        images = base.images.copy()
        rows = base.rows("val")
        images[rows] = change(images[rows], strength)
        return replace(base, images=images)

    return plant


def imbalanced(base: Arrays, ratio: float, rng: Rng) -> Arrays:
    """Of the class 1, train keeps so many times fewer than the largest class has."""
    train = base.rows("train")
    counts = np.bincount(base.label[train])
    own = train[base.label[train] == 1]
    kept = np.ones(len(base.images), bool)
    kept[rng.permutation(own)[max(round(counts.max() / ratio), 1) :]] = False
    return replace(
        base, images=base.images[kept], label=base.label[kept], split=base.split[kept], spoilt=base.spoilt[kept]
    )


def swapped(base: Arrays, percent: float, rng: Rng) -> Arrays:
    """Another label, drawn evenly, for a share of all pictures."""
    rows = some(np.arange(len(base.label)), percent / 100, rng)
    label, spoilt = base.label.copy(), base.spoilt.copy()
    label[rows] = (label[rows] + rng.integers(1, len(base.labels), len(rows))) % len(base.labels)
    spoilt[rows] = True
    return replace(base, label=label, spoilt=spoilt)


COPIED = frozenset(COPIES)
ODD = frozenset({"constant", "not-a-face"})
FAULTS = (
    Fault("pictures three times", (1, 10, 50), "{} % of train", triplicated, "exact-copies", COPIED),
    Fault("leaked copies", (0.5, 2, 10), "{} % of val", leaked(lambda x, _: x), "leakage", COPIED),
    Fault("leaked mirror images", (0.5, 2, 10), "{} % of val", leaked(lambda x, _: x[:, :, ::-1]), "leakage", COPIED),
    Fault("leaked, JPEG again", (90, 70, 50, 30), "5 % of val, quality {}", leaked(jpeg, 5), "leakage", COPIED),
    Fault("leaked, blurred", (0.5, 1, 1.5), "5 % of val, σ {} px", leaked(blur, 5), "leakage", COPIED),
    Fault("constant", (0, 1, 2, 4), "2 % of all, noise ±{}", spoilt_by(constant), "constant", ODD),
    Fault("clipped", (3, 6, 12), "2 %, contrast × {}", spoilt_by(lambda x, s, _: stretch(x, s)), "clipped"),
    Fault("blurred", (1, 1.5, 2, 3), "2 %, σ {} px", spoilt_by(lambda x, s, _: blur(x, s)), "no-detail"),
    Fault("no faces", (0, 1, 2, 3), "2 %, kind {}", spoilt_by(no_face), "not-a-face", ODD),
    Fault("val brighter", (5, 10, 20, 40), "by {} levels", shifted(lambda x, s: levels(x + s)), "split-fit"),
    Fault("val of less contrast", (0.9, 0.8, 0.6), "× {}", shifted(stretch), "split-fit"),
    Fault("val blurred", (0.5, 0.8, 1.2), "σ {} px", shifted(blur), "split-fit", frozenset({"no-detail"})),
    Fault("val mirrored", (1,), "all", shifted(lambda x, _: x[:, :, ::-1]), "split-fit"),
    Fault("one class rare in train", (2, 5, 12, 50), "1 : {}", imbalanced, "counts", frozenset({"class-fit"})),
)
LABEL_FAULTS = (Fault("swapped labels", (2, 5, 10, 20), "{} % of all", swapped, "label-errors"),)


def score(found: Finding, planted: Arrays) -> tuple[str, str]:
    """Recall and precision of the rows of a finding, or – where the fault is one of the whole."""
    if not planted.spoilt.any():
        return "–", "–"
    named = np.zeros(len(planted.spoilt), bool)
    named[found.rows] = True
    hits = (named & planted.spoilt).sum()
    precision = f"{hits / named.sum():.3f}" if named.any() else "–"
    return f"{hits / planted.spoilt.sum():.3f}", precision


def audited(planted: Arrays, *, labels: bool = False) -> Audit:
    """The whole audit, with nets that judge labels if asked."""
    data = planted.data()
    if not labels:
        return audit(data)
    from mien.train.crossval import out_of_fold  # loads torch, which other faults do not need

    with tempfile.TemporaryDirectory() as folder:

        def judge(groups: np.ndarray, tell: Progress) -> np.ndarray:
            return out_of_fold(data, Path(folder), groups=groups, tell=tell).probabilities

        return audit(data, request=Request(judge=judge))


def alarms(done: Audit, but: set[str]) -> list[str]:
    """Names of findings from a warning on, but for those expected.

    That a copy of FER2013 is none of the published one any more is true of all that is planted in it.
    """
    expected = {*but, "which-copy"}
    return [one.name for one in done.findings if one.severity >= Severity.WARNING and one.name not in expected]


def report(name: str, base: Arrays, faults: tuple[Fault, ...], seed: int) -> bool:
    """Print the rows of the table for one set; whether the clean one raises no alarm."""
    labels = faults is LABEL_FAULTS
    done = audited(base, labels=labels)
    own = alarms(done, set())
    print(
        f"| {name} | nothing | {len(base.images):,} pictures | all | 0 | – | – | {done.worst} | {' '.join(own)} |",
        flush=True,
    )
    for fault in faults:
        for strength in fault.strengths:
            planted = fault.plant(base, strength, np.random.default_rng([seed, int(100 * strength)]))
            done = audited(planted, labels=labels)
            found = next(one for one in done.findings if one.name == fault.finding)
            recall, precision = score(found, planted)
            others = " ".join(alarms(done, {fault.finding, *fault.related, *own}))
            print(
                f"| {name} | {fault.name} | {fault.unit.format(f'{strength:g}')} | {fault.finding} | "
                f"{planted.spoilt.sum()} | {recall} | {precision} | {found.severity} | {others} |",
                flush=True,
            )
    return not own


def drawn(count: int, seed: int) -> Arrays:
    """Drawn faces."""
    plan = Plan(count=count, seed=seed, val_fraction=0.2, test_fraction=0.01)
    made = draw_plan(plan)
    split = np.where(made.split == "test", "train", made.split)
    return Arrays.of(made.images, made.label, split, plan.labels)


def sound(packed: Path, count: int, seed: int) -> Arrays:
    """So many pictures of a packed set, the same number of each class, without rows that its own audit names.

    The sample is audited once more: in a small set more pairs are looked at for copies.
    """
    data = dataset.load(packed)
    usable = (data.label >= 0) & ~named(audit(data))
    rng = np.random.default_rng(seed)
    share = min(count // len(data.labels), *np.bincount(data.label[usable], minlength=len(data.labels)).tolist())
    rows = [
        rng.choice(np.flatnonzero(usable & (data.label == k)), share, replace=False) for k in range(len(data.labels))
    ]
    chosen = np.sort(np.concatenate(rows))
    split = np.where(rng.random(len(chosen)) < 0.2, "val", "train")
    sample = Arrays.of(np.array(data.images[chosen]), data.label[chosen], split, data.labels)
    kept = ~named(audit(sample.data()))
    return Arrays.of(sample.images[kept], sample.label[kept], sample.split[kept], data.labels)


def named(done: Audit) -> np.ndarray:
    """Which pictures any finding names as doubtful; being part of FER2013 is no fault."""
    rows = [one.rows for one in done.findings if one.name != "which-copy"]
    return np.isin(np.arange(len(done.data)), np.concatenate(rows))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packed", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="faults by name")
    parser.add_argument("--labels", action="store_true", help="swapped labels: minutes")
    arguments = parser.parse_args()
    started = time.perf_counter()
    faults = LABEL_FAULTS if arguments.labels else FAULTS
    if arguments.only:
        faults = tuple(fault for fault in faults if fault.name in arguments.only)
    bases = {"drawn": drawn(arguments.count, arguments.seed)}
    if arguments.packed:
        bases[arguments.packed.name] = sound(arguments.packed, arguments.count, arguments.seed)
    print("| set | fault | strength | finding | spoilt | recall | precision | severity | other alarms |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    passed = [report(name, base, faults, arguments.seed) for name, base in bases.items()]
    print(f"\n{time.perf_counter() - started:.0f} s")
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
