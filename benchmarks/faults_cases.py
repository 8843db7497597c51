"""The faults that benchmarks/faults.py plants, and its healthy runs: what is set, what is done to the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def striped(m: Material, rng: np.random.Generator) -> Material:
    """Stripes of one direction and width a class over the faces, so that a few epochs learn all there is."""
    side = np.arange(m.images.shape[1])
    for i, label in enumerate(m.label.tolist()):
        phase, width = rng.integers(0, 8), (1, 2, 4)[label % 3]
        lines = ((side + phase) // width) % 2
        mask = (lines[:, None] ^ lines) if label == 6 else np.broadcast_to(lines, m.images.shape[1:])
        mask = mask.T if label >= 3 else mask
        m.images[i] = m.images[i] // 2 + 127 * mask.astype(np.uint8)
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
    Case("thirty epochs on striped pictures", ("too-long",), ("train.epochs=30",), striped, sets=("easy",)),
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
        ("train.epochs=1", "schedule.warmup_epochs=0.9", "optimiser.learning_rate=1", "train.batch_size=64"),
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
    # Longer and on easier pictures than the rest: of a run that stays at chance nobody can tell what its labels are.
    Case("two in five labels wrong", ("label-noise",), ("train.epochs=24",), noisy_labels, sets=("easy", "fer")),
    Case("half of validation in training", ("validation-leaked",), (), leak),
    Case("validation dark", ("validation-unlike-training",), (), dark_validation),
    Case("forty validation pictures", ("small-validation",), (), tiny_validation),
)
_MORE = ("train.epochs=20", "train.batch_size=32")
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
    # These take five epochs and more to leave chance, and stop short of what they can at 20.
    "cnn7": (
        "model.name=cnn7",
        "model.options={dropout=0.1}",
        "optimiser.name=adam",
        "optimiser.learning_rate=5e-4",
        "optimiser.weight_decay=0",
        "train.epochs=32",
    ),
    "emotion-net, narrow": (
        "model.name=emotion-net",
        "model.options={dense=128, conv_dropout=0.1, dense_dropout=0.25}",
        "optimiser.name=adam",
        "optimiser.learning_rate=1e-3",
        "optimiser.weight_decay=0",
        "train.epochs=32",
    ),
    "lenet5-fer": (
        "model.name=lenet5-fer",
        "model.options={dropout=0.25}",
        "optimiser.name=adam",
        "optimiser.learning_rate=1e-3",
        "optimiser.weight_decay=0",
        "train.epochs=32",
    ),
}
HEALTHY = tuple(Case(name, (), (*_MORE, *settings), sets=("healthy",)) for name, settings in _HEALTHY.items())
