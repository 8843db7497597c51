"""Training speed: mien end to end against the bare step, and against Keras on TensorFlow.

    python benchmarks/train_step.py [--net emotion-net] [--batch 64] [--steps 60] [--rounds 5] [--keras] [--fp32]

bare       forward, loss, backward, update of the same net on one prepared batch that never changes
end to end the loop of `mien train`: shuffled batches, augmentation, two checks of finiteness, averages, bookkeeping
fp32       the bare step with train.precision=fp32, where train.precision=auto takes bf16
keras      Keras 3 on TensorFlow, default settings, `model.fit` on arrays in memory (emotion-net only)

Each contender runs in a process of its own; the contenders take turns, `rounds` times, and the ratios are those of the
medians with the smallest and largest of the rounds beside them. Pictures are random: only time is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SIDE = 48


def mien(mode: str, net: str, batch: int, steps: int) -> float:
    """Pictures a second of mien's loop (`end`) or of the bare step (`bare`, `fp32`)."""
    import numpy as np
    import torch

    from mien.core import recipe as recipes
    from mien.core.spec import Head, ModelSpec, Normalise
    from mien.models.classifier import build_classifier
    from mien.train.batches import Batches, Pictures
    from mien.train.machine import Machine
    from mien.train.optim import build_optimiser
    from mien.train.step import Step, make_learner

    precision = "fp32" if mode == "fp32" else "auto"
    settings = [f"train.batch_size={batch}", "data.votes=false", f"train.precision={precision}"]
    recipe = recipes.read(net, settings)
    machine = Machine(recipe.train)
    spec = ModelSpec(
        architecture=recipe.model.name,
        options=recipe.model.options,
        height=SIDE,
        width=SIDE,
        crop=recipe.data.crop,
        normalise=Normalise(kind="unit"),
        heads=(Head(name="fer2013", labels=tuple("abcdefg")),),
    )
    model = build_classifier(spec).to(memory_format=torch.channels_last).train()
    learner = make_learner(model, build_optimiser(model, recipe.optimiser), recipe, machine)
    rng = np.random.default_rng(0)
    count = batch * (steps + 5)
    images = torch.from_numpy(rng.integers(0, 256, (count, 1, SIDE, SIDE), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 7, count))
    pictures = Pictures(images, labels, None, torch.ones(count))
    step = Step(recipe, pictures, machine)
    crop = recipe.data.crop or SIDE
    fixed = images[:batch, :, :crop, :crop].float().contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        learner.optimiser.zero_grad(set_to_none=True)
        with machine.autocast():
            logits = learner.wrapped(fixed)[0]
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[:batch])
        loss.backward()
        learner.optimiser.step()

    started = 0.0
    for i, part in enumerate(Batches(count, batch, 0).epoch(0)):
        if i == 5:
            started = time.perf_counter()
        step(learner, part) if mode == "end" else bare()
    return batch * steps / (time.perf_counter() - started)


def keras(batch: int, steps: int) -> float:
    """Pictures a second of emotion-net in Keras 3 on TensorFlow with its default settings."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras as k
    import numpy as np

    layers = k.layers
    net = k.Sequential(
        [
            k.Input((SIDE, SIDE, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(7, activation="softmax"),
        ]
    )
    net.compile(k.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x = rng.random((batch * steps, SIDE, SIDE, 1), dtype=np.float32)
    y = rng.integers(0, 7, len(x))
    net.fit(x[: 5 * batch], y[: 5 * batch], batch_size=batch, verbose=0)
    started = time.perf_counter()
    net.fit(x, y, batch_size=batch, verbose=0)
    return len(x) / (time.perf_counter() - started)


def run(contender: str, arguments: argparse.Namespace) -> float:
    """One contender in a fresh process."""
    words = [sys.executable, __file__, "--only", contender, "--net", arguments.net]
    words += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Take turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="emotion-net", help="a shipped recipe")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keras", action="store_true")
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument("--only", choices=["bare", "end", "keras", "fp32"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        rate = (
            keras(arguments.batch, arguments.steps)
            if arguments.only == "keras"
            else mien(arguments.only, arguments.net, arguments.batch, arguments.steps)
        )
        print(json.dumps(rate))
        return
    contenders = ["bare", "end", *(["keras"] if arguments.keras else []), *(["fp32"] if arguments.fp32 else [])]
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(arguments.rounds):
        for name in contenders if turn % 2 == 0 else reversed(contenders):
            rates[name].append(run(name, arguments))
    for name, found in rates.items():
        low, middle, high = min(found), statistics.median(found), max(found)
        print(f"{name:10s} {middle:7.0f} pictures/s   ({low:.0f} to {high:.0f}, {arguments.rounds} rounds)")
    pairs = [("end", other) for other in ("bare", "keras")] + [("bare", "fp32")]
    for one, other in pairs:
        if other in rates:
            paired = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
            print(f"{one} / {other}: {statistics.median(paired):.2f}   ({min(paired):.2f} to {max(paired):.2f})")


if __name__ == "__main__":
    main()
