"""Faces a second, latency of one face and accuracy: exported files of mien against the nets of the package `fer`.

    python benchmarks/predict.py MODEL... --data PACKED [--fer-python VENV/bin/python] [--threads 1 2] [--turns 15]

Each contender is a process of its own (benchmarks/predict_worker.py); `fer` in an environment of its own, since it
brings TensorFlow: python -m venv VENV; VENV/bin/pip install fer 'setuptools<81'. All take cut-out faces of 48×48 px
and prepare them themselves; no faces are looked for. Contenders take turns, so that a busy machine slows all alike;
given is the median turn, with the fastest in brackets. Accuracy is that of the seven FER2013 labels on the split, of
the very files and ways that were timed. Whether the makers of `fer` trained on pictures of the split is not known.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mien.data import dataset as datasets
from mien.evaluate.metrics import wilson

WORKER = Path(__file__).with_name("predict_worker.py")
SINGLES, BATCH = 50, 256


class Contender(NamedTuple):
    """What is asked, with which Python, and the size of its file."""

    name: str
    python: str
    kind: str
    model: str
    megabytes: float


class Worker:
    """A contender at work with so many threads."""

    def __init__(self, who: Contender, threads: int, pictures: Path) -> None:
        self.who, self.threads = who, threads
        self.single_s: list[float] = []
        self.batch_s: list[float] = []
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        command = [who.python, str(WORKER), who.kind, who.model, str(threads)]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 – a pipe that nobody reads would fill
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, env=environment
        )
        self.ask(pictures=str(pictures))
        self.turn()  # warm-up
        self.single_s.clear()
        self.batch_s.clear()

    def ask(self, **asked: Any) -> Any:
        """One question and its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._said.seek(0)
            raise SystemExit(f"{self.who.name} ended:\n{self._said.read()[-1500:]}")
        return json.loads(line)

    def turn(self) -> None:
        """Some faces one by one, then a batch."""
        self.single_s.append(self.ask(single=SINGLES) / SINGLES)
        self.batch_s.append(self.ask(batch=BATCH) / BATCH)

    def end(self) -> None:
        """Close its input, so that it stops, and wait for it."""
        self._process.communicate()
        self._said.close()


def contenders(models: list[Path], fer_python: Path | None) -> list[Contender]:
    """The files of mien, then the nets of `fer` with the sizes of the files it installs."""
    found = [Contender(str(m), sys.executable, "mien", str(m), m.stat().st_size / 1e6) for m in models]
    if fer_python is None:
        return found
    look = "import importlib.util as u; print(u.find_spec('fer').submodule_search_locations[0])"
    home = subprocess.run([str(fer_python), "-c", look], capture_output=True, text=True, check=True).stdout.strip()
    for kind, file in (("tflite", "emotion_model_quantized.tflite"), ("keras", "emotion_model.hdf5")):
        size = Path(home, "data", file).stat().st_size / 1e6
        found.append(Contender(f"fer, {kind}", str(fer_python), f"fer-{kind}", "-", size))
    return found


def accuracy(worker: Worker, truth: list[str]) -> str:
    """Share of right answers with its 95 % interval."""
    answers = worker.ask(answers=True)
    right = sum(a == t for a, t in zip(answers, truth, strict=True))
    ends = wilson(right, len(truth))
    assert ends is not None
    return f"{100 * right / len(truth):.1f} ({100 * ends.low:.1f}–{100 * ends.high:.1f})"


def measure(found: list[Contender], pictures: Path, truth: list[str], options: argparse.Namespace) -> None:
    """Turns of all contenders with all numbers of threads, then a table."""
    workers = [Worker(who, threads, pictures) for who in found for threads in options.threads]
    for _ in range(options.turns):
        for worker in workers:
            worker.turn()
    scores = {worker.who.name: accuracy(worker, truth) for worker in workers if worker.threads == options.threads[0]}
    print(
        "| contender | MB | accuracy % | threads | one face, ms | faces/s, batches of 256 |\n|---|---|---|---|---|---|"
    )
    for worker in workers:
        single, batch = worker.single_s, worker.batch_s
        print(
            f"| {worker.who.name} | {worker.who.megabytes:.2f} | {scores[worker.who.name]} | {worker.threads} | "
            f"{1e3 * median(single):.3f} ({1e3 * min(single):.3f}) | {1 / median(batch):,.0f} ({1 / min(batch):,.0f}) |"
        )
        worker.end()


def main() -> None:
    """Read the command line, lay out the pictures, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="packed set with the seven labels of FER2013")
    parser.add_argument("--split", default="val")
    parser.add_argument("--fer-python", type=Path, help="of the environment that `fer` is installed in")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args()
    data = datasets.load(options.data)
    rows = data.rows(options.split)
    rows = rows[data.label[rows] >= 0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{platform.machine()}, {cores} cores allowed, {len(rows):,} pictures of {data.info.name} {options.split}")
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures.npy")
        np.save(pictures, np.asarray(data.images[rows]), allow_pickle=False)
        truth = [data.labels.names[i] for i in data.label[rows]]
        measure(contenders(options.models, options.fer_python), pictures, truth, options)


if __name__ == "__main__":
    main()
