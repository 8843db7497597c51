"""Plants faults into small trainings and asks `mien diagnose` what is wrong; healthy runs are asked as well.

    python benchmarks/faults.py --work runs/faults [--fer runs/fer] [--seed 0 --seed 1] [--only NAME] [--out TABLE.md]

Faults go in through recipe and data alone: the diagnosis sees a run folder like any other. Trained cases are kept under
--work and not trained again; each call diagnoses all of them anew and prints the table of docs/diagnosis.md.
Sets: drawn faces (24 px), and a subset of FER2013 reduced to 24 px where --fer names a packed one.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.cli.diagnose import examine
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json, write_text
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.data.drawn.sets import Plan, draw_plan
from mien.models.store import read_weights, save_weights
from mien.train.run import train

SMALL = ("model.name=mien-s", 'model.options={widths="8,16,32,48"}', "data.votes=false", "train.precision=fp32")
GOOD = (
    *SMALL,
    *(
        "augment.flip=random",
        "augment.shift_fraction=0.06",
        "optimiser.learning_rate=0.1",
        "optimiser.weight_decay=5e-4",
    ),
    *(
        "schedule.name=one-cycle",
        "schedule.warmup_epochs=1",
        "train.epochs=8",
        "train.batch_size=24",
        "train.probe=256",
    ),
)
RELU_ONLY = ("model.name=lenet5-fer", 'model.options={norm="none", dropout=0.0}')
ADAM = ("optimiser.name=adam", "optimiser.learning_rate=2e-3", "optimiser.weight_decay=0", "schedule.name=constant")
NO_AUGMENT = ("augment.flip=off", "augment.shift_fraction=0")


@dataclass
class Material:
    """Pictures (N, H, W), labels (N,) and split names (N,) that a fault may change in place or replace."""

    images: NDArray[np.uint8]
    label: NDArray[np.int64]
    split: NDArray[np.str_]


Plant = Callable[[Material, np.random.Generator], Material]


@dataclass(frozen=True)
class Case:
    """A run: what is set, what is done to the data, and which verdicts would name the fault (none: healthy)."""

    name: str
    expected: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    plant: Plant | None = None
    sets: tuple[str, ...] = ("drawn", "fer")
    spoil_start: bool = False


def few(count: int) -> Plant:
    """Only so many training pictures."""

    def plant(m: Material, rng: np.random.Generator) -> Material:
        train = np.flatnonzero(m.split == "train")
        keep = np.sort(np.concatenate([np.flatnonzero(m.split != "train"), rng.permutation(train)[:count]]))
        return Material(m.images[keep], m.label[keep], m.split[keep])

    return plant


def noisy_labels(m: Material, rng: np.random.Generator) -> Material:
    """Two in five training labels are drawn anew."""
    chosen = np.flatnonzero((m.split == "train") & (rng.random(len(m.label)) < 0.4))
    m.label[chosen] = rng.integers(0, 7, len(chosen))
    return m


def rare_class(m: Material, rng: np.random.Generator) -> Material:
    """Disgust loses all but ten of its training pictures; val gets enough of it to measure."""
    own = np.flatnonzero(m.label == 1)
    rng.shuffle(own)
    m.split[own[:30]] = "val"
    drop = own[40:]
    keep = np.setdiff1d(np.arange(len(m.label)), drop)
    m.split[own[30:40]] = "train"
    return Material(m.images[keep], m.label[keep], m.split[keep])


def swapped_pair(m: Material, rng: np.random.Generator) -> Material:
    """Three in four training pictures of fear are labelled surprise."""
    m.label[(m.split == "train") & (m.label == 2) & (rng.random(len(m.label)) < 0.75)] = 5
    return m


def leak(m: Material, rng: np.random.Generator) -> Material:
    """Half of validation is copied into training."""
    val = rng.permutation(np.flatnonzero(m.split == "val"))
    copies = val[: len(val) // 2]
    split = np.concatenate([m.split, np.full(len(copies), "train")])
    return Material(np.concatenate([m.images, m.images[copies]]), np.concatenate([m.label, m.label[copies]]), split)


def dark_validation(m: Material, rng: np.random.Generator) -> Material:  # noqa: ARG001
    """Validation is at a third of its brightness."""
    val = m.split == "val"
    m.images[val] = m.images[val] // 3
    return m


def scaled_twice(m: Material, rng: np.random.Generator) -> Material:  # noqa: ARG001
    """All pixels are 0 to 7, as if divided once too often."""
    m.images //= 32
    return m


def tiny_validation(m: Material, rng: np.random.Generator) -> Material:
    """Forty validation pictures."""
    val = rng.permutation(np.flatnonzero(m.split == "val"))
    m.split[val[40:]] = "train"
    return m


FAULTS = (
    Case("memorises a few pictures", ("overfitting",), (*ADAM, *NO_AUGMENT, "train.epochs=14"), few(200)),
    Case(
        "no augmentation, long, constant rate",
        ("over-confident", "overfitting"),
        (*ADAM, *NO_AUGMENT, "train.epochs=14"),
    ),
    Case("net of two channels", ("underfitting",), ('model.options={widths="2,2,2,2", dropout=0.5}',)),
    Case("rate × 100", ("learning-rate-too-high",), ("optimiser.learning_rate=10",)),
    Case("Adam at 0.1", ("learning-rate-too-high",), (*ADAM, "optimiser.learning_rate=0.1")),
    Case("rate / 10,000", ("learning-rate-too-low",), ("optimiser.learning_rate=1e-5",)),
    Case("rate × 0.05 an epoch", ("learning-rate-decayed",), ("schedule.name=exponential", "schedule.gamma=0.05")),
    Case("three epochs", ("too-short",), ("train.epochs=3",)),
    Case("thirty epochs on easy pictures", ("too-long",), ("train.epochs=30",), sets=("easy",)),
    Case(
        "batches of four",
        ("batch-too-small",),
        ("train.batch_size=4", "train.epochs=3", "optimiser.learning_rate=0.02"),
    ),
    Case("batches of 256", ("batch-too-large",), ("train.batch_size=256",)),
    Case("start with a shifted output bias", ("first-loss",), spoil_start=True),
    Case("pixels scaled twice", ("wrong-normalisation",), ("data.normalise=unit",), scaled_twice),
    Case(
        "close crops in training only",
        ("fed-differently",),
        ("augment.resized_crop_fraction=0.9",),
    ),
    Case(
        "averages that hold on to the start",
        ("averages-behind",),
        ("average.ema_decay=0.9999", 'average.ema_annealing="none"'),
    ),
    Case(
        "one epoch of large steps",
        ("norms-unsettled",),
        ("train.epochs=1", "optimiser.learning_rate=1", "train.batch_size=64"),
    ),
    Case(
        "no norms, large steps",
        ("dead-units", "vanishing-gradients"),
        (*RELU_ONLY, "optimiser.learning_rate=0.5", "train.epochs=4"),
    ),
    Case(
        "weights decay to nothing",
        ("vanishing-gradients", "shrinking-activations"),
        (*RELU_ONLY, "optimiser.weight_decay=2", "optimiser.learning_rate=0.05", "train.epochs=5"),
    ),
    Case("gradients clipped at 0.05", ("clipped",), ("optimiser.clip_norm=0.05",)),
    Case("ten pictures of disgust", ("imbalance", "weak-class"), (), rare_class, sets=("drawn",)),
    Case("fear labelled surprise", ("confused-pair",), (), swapped_pair),
    Case("two in five labels wrong", ("label-noise",), (), noisy_labels),
    Case("half of validation in training", ("validation-leaked",), (), leak),
    Case("validation dark", ("validation-unlike-training",), (), dark_validation),
    Case("forty validation pictures", ("small-validation",), (), tiny_validation),
)
_MORE = ("train.epochs=10",)
_HEALTHY: dict[str, tuple[str, ...]] = {
    "mien-s, 8 to 48 channels": (),
    "mien-s, 16 to 64 channels": ('model.options={widths="16,32,48,64"}',),
    "mien-s, averaged": ("average.ema_decay=0.98",),
    "mien-s, smoothed labels": ("loss.label_smoothing=0.1",),
    "mien-s, AdamW, cosine": ("optimiser.name=adamw", "optimiser.learning_rate=3e-3", "schedule.name=cosine"),
    "mien-s, Muon": (
        "optimiser.name=muon",
        "optimiser.learning_rate=0.02",
        "optimiser.weight_decay=0.01",
        "optimiser.rest_learning_rate=3e-3",
    ),
    "mien-m, 8 to 48 channels": ("model.name=mien-m",),
    "cnn7": (
        "model.name=cnn7",
        "model.options={}",
        "optimiser.name=adam",
        "optimiser.learning_rate=2e-3",
        "optimiser.weight_decay=0",
    ),
    "emotion-net, narrow": (
        "model.name=emotion-net",
        "model.options={dense=128}",
        "optimiser.name=adam",
        "optimiser.learning_rate=1e-3",
        "optimiser.weight_decay=0",
    ),
    "lenet5-fer": (
        "model.name=lenet5-fer",
        "model.options={}",
        "optimiser.name=adam",
        "optimiser.learning_rate=5e-4",
        "optimiser.weight_decay=0",
    ),
}
HEALTHY = tuple(Case(name, (), (*settings, *_MORE), sets=("healthy",)) for name, settings in _HEALTHY.items())


class Silent:
    """Watches without a word."""

    def step(self, progress: object, *, waited: float) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, float | int]) -> None:
        """Nothing."""


@cache
def material(name: str, seed: int, fer: Path | None) -> Material:
    """The pictures of a set; `easy` and `healthy` are drawn with clearer expressions and more of them."""
    if name == "fer":
        assert fer is not None
        return _fer(datasets.load(fer), seed)
    strength, count = {"easy": ((0.9, 1.0), 700), "healthy": ((0.7, 1.0), 1200)}.get(name, ((0.6, 1.0), 800))
    drawn = draw_plan(
        Plan(
            count=count, seed=100 + seed, size=24, strength=strength, spread=0.5, val_fraction=0.25, test_fraction=0.05
        )
    )
    keep = drawn.split != "test"
    return Material(drawn.images[keep], drawn.label[keep], drawn.split[keep])


def _fer(data: Dataset, seed: int) -> Material:
    rng = np.random.default_rng(seed)
    rows = np.sort(np.concatenate([rng.permutation(data.rows(s))[:n] for s, n in (("train", 600), ("val", 300))]))
    rows = rows[data.label[rows] >= 0]
    small = data.images[rows].reshape(len(rows), 24, 2, 24, 2).mean((2, 4)).round().astype(np.uint8)
    return Material(small, data.label[rows].copy(), data.split[rows].copy())


def pack(m: Material, out: Path) -> Dataset:
    """Write a packed set."""
    from mien.core.labels import FER2013

    table = datasets.make_table(
        label=m.label, split=m.split, source=[str(i) for i in range(len(m.label))], images=m.images
    )
    return datasets.save(out, m.images, table, datasets.describe("faults", FER2013, m.images, table))


def run_case(case: Case, on: str, seed: int, *, work: Path, fer: Path | None) -> Path:
    """Train a case unless it is there; its folder."""
    folder = work / f"{case.name.replace(' ', '-').replace('/', 'by')}--{on}-{seed}"
    if (folder / "done.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    source = deepcopy(material(on, seed, fer))
    if case.plant is not None:
        source = case.plant(source, np.random.default_rng([seed, 7]))
    packed = pack(source, folder / "data")
    settings = (*GOOD, *case.settings, f"train.seed={seed}")
    if case.spoil_start:
        settings = (*settings, f"model.start_from={_spoilt(packed, settings, folder)}")
    try:
        train(packed, recipes.build(recipes.apply_settings({}, settings), source=case.name), folder / "run", Silent())
    except MienError as error:
        print(f"    {error.message}")
    write_json(folder / "done.json", {"seconds": round(time.perf_counter() - started, 1)})
    return folder


def _spoilt(packed: Dataset, settings: tuple[str, ...], folder: Path) -> Path:
    """Untrained weights whose output leans by 5 to one class."""
    tree = recipes.apply_settings({}, (*settings, "train.epochs=1", "optimiser.learning_rate=1e-9"))
    train(packed, recipes.build(tree, source="start"), folder / "start", Silent())
    state, spec = read_weights(RunDir(folder / "start").last)
    state["heads.0.bias"][0] += 5
    save_weights(folder / "start.safetensors", state, spec)
    return folder / "start.safetensors"


@dataclass(frozen=True)
class Result:
    """What was said of a case."""

    case: Case
    on: str
    seed: int
    said: tuple[str, ...]
    seconds: float

    @property
    def named(self) -> bool:
        return bool(set(self.said) & set(self.case.expected))

    @property
    def first(self) -> bool:
        return self.said[:1] != () and self.said[0] in self.case.expected


def ask(case: Case, on: str, seed: int, folder: Path) -> Result:
    """Diagnose a trained case; notes do not count."""
    said: tuple[str, ...] = ()
    if (folder / "run" / "recipe.toml").is_file():
        diagnosis = examine(folder / "run", data=folder / "data")
        said = tuple(v.name for v in diagnosis.verdicts if v.severity != "note")
    seconds = RunDir(folder).read_json(folder / "done.json")["seconds"]
    return Result(case, on, seed, said, seconds)


def table(results: list[Result], planned: int) -> str:
    """The table of docs/diagnosis.md: a row a fault, a column a set and seed, then healthy runs and the sums."""
    faults = [r for r in results if r.case.expected]
    healthy = [r for r in results if not r.case.expected]
    lines = ["| fault | set, seed | answer | said, in order |", "|---|---|---|---|"]
    for r in results:
        answer = (
            ("first" if r.first else "named" if r.named else "missed")
            if r.case.expected
            else ("false alarm" if r.said else "nothing found")
        )
        lines.append(f"| {r.case.name} | {r.on} {r.seed} | {answer} | {', '.join(r.said[:5]) or '–'} |")
    for seed in sorted({r.seed for r in faults}):
        own = [r for r in faults if r.seed == seed]
        named, first = sum(r.named for r in own), sum(r.first for r in own)
        lines += [
            "",
            f"Seed {seed}: of {len(own)} faults {named} named ({named / len(own):.0%}), {first} first "
            f"({first / len(own):.0%}).",
        ]
    if healthy:
        lines += [
            "",
            f"Healthy runs: {len(healthy)}, of which {sum(bool(r.said) for r in healthy)} with a false alarm.",
        ]
    lines += ["", f"{len(results)} of {planned} cases; {sum(r.seconds for r in results):.0f} s of training."]
    return "\n".join(lines) + "\n"


def plan(seeds: list[int], fer: Path | None, only: str | None) -> list[tuple[Case, str, int]]:
    """All cases: healthy ones with the first seed."""
    cases = []
    for on in ("drawn", "easy", "healthy", "fer"):
        if on == "healthy":
            cases += [(c, on, 0) for c in HEALTHY]
        elif on != "fer" or fer is not None:
            cases += [(c, on, seed) for seed in seeds for c in FAULTS if on in c.sets]
    return [c for c in cases if only is None or only in c[0].name]


def main() -> None:
    """Train what is missing, diagnose everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the trained cases")
    parser.add_argument("--fer", type=Path, help="packed FER2013")
    parser.add_argument("--seed", type=int, action="append", help="default: 0 and 1")
    parser.add_argument("--only", help="part of a case's name")
    parser.add_argument("--ask-only", action="store_true", help="train nothing; diagnose what is there")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cases = plan(args.seed or [0, 1], args.fer, args.only)
    results = []
    for number, (case, on, seed) in enumerate(cases, 1):
        name = f"{case.name.replace(' ', '-').replace('/', 'by')}--{on}-{seed}"
        if args.ask_only and not (args.work / name / "done.json").is_file():
            continue
        result = ask(case, on, seed, run_case(case, on, seed, work=args.work, fer=args.fer))
        results.append(result)
        mark = "ok  " if result.first or (not case.expected and not result.said) else "    " if result.named else "MISS"
        print(
            f"{number:3}/{len(cases)} {mark} {case.name} · {on} {seed} · {result.seconds:.0f} s · "
            f"{', '.join(result.said)}",
            flush=True,
        )
    text = table(results, len(cases))
    print(text)
    if args.out:
        write_text(args.out, text)


if __name__ == "__main__":
    main()
