"""Many processes through accelerate, and kills at random moments: the same command, the same numbers."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import load_file

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.train.run import train


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process in a group of its own, of which nothing is left after the block."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # torch's launcher ends its workers, whose groups are their own
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def done(*words: object) -> None:
    """Run a Python process to its end."""
    with started(*words) as process:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors[-3000:]


def history(run: Path) -> dict[str, np.ndarray]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


# What each process does: the command; the same again, interrupted and gone on with; a net with batch norms.
WORKER = """
import os, sys
from pathlib import Path
from safetensors.torch import save_file
from mien.cli.app import run as mien
from mien.core import recipe as recipes
from mien.core.rundir import RunDir
from mien.data import dataset
from mien.train import run as runs

class Watcher:
    def __init__(self, steps=None):
        self.left = steps
    def step(self, progress, *, waited):
        self.left = self.left and self.left - 1
        if self.left == 0:
            raise KeyboardInterrupt
    def epoch(self, row):
        pass

def fit(parts, learner, progress, watcher):
    finished = whole(parts, learner, progress, watcher)
    buffers = {name: tensor.contiguous() for name, tensor in learner.model.named_buffers()}
    save_file(buffers, folder / f"buffers-{os.environ['RANK']}.safetensors")
    return finished

path, folder = Path(sys.argv[1]), Path(sys.argv[2])
assert mien(["train", str(path), f"--recipe={folder / 'plain.toml'}", f"--out={folder / 'two'}"]) == 0
data = dataset.load(path)
recipe = recipes.read(str(folder / "plain.toml"), ["train.checkpoint_minutes=1e-9"])
try:
    runs.train(data, recipe, folder / "broken", Watcher(9))
except KeyboardInterrupt:
    runs.resume(RunDir(folder / "broken"), data, Watcher())
whole, runs.fit = runs.fit, fit
runs.train(data, recipes.read(str(folder / "norms.toml")), folder / "norms", Watcher())
"""


def everything(small, folder: Path) -> Recipe:
    """Phases, teachers, averages and mixed pictures; no batch norm, of which each process has its own part's."""
    (folder / "rows.csv").write_text("row\n" + "\n".join(map(str, range(30))) + "\n")
    return small(
        model={"name": "emotion-net", "options": {"conv_dropout": 0, "dense_dropout": 0, "dense": 32}},
        data={"crop": None},
        augment={"rotation_degrees": 10, "mixup_alpha": 0.5, "cutmix_alpha": 1},
        train={"epochs": 4, "probe": 64},
        # Adam divides by the size of a gradient, so the rounding of a gradient near zero would become a whole step.
        optimiser={"learning_rate": 0.1, "l1": {"heads": 1e-4}},
        loss={"class_balance": "inverse-frequency", "vote_scheme": "probability"},
        distill={"teachers": [str(folder / "teacher")], "weight": 0.5},
        average={"swa_from_epoch": 2, "snapshots": 2},
        phases=[
            {"epochs": 1, "freeze": ["conv1", "conv2"]},
            {"epochs": 1, "leave_out": str(folder / "rows.csv")},
            {"epochs": 1, "pictures": "hard"},
            {"sampler": "label-shuffling"},
        ],
    )


@pytest.mark.slow
def test_two_processes_agree_with_one_and_among_themselves_and_go_on_after_a_break(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    recipe = everything(small, tmp_path)
    plain = {"distill": recipes.DistillConfig(), "phases": (), "train": recipe.train.model_copy(update={"epochs": 1})}
    train(bar_set, recipe.model_copy(update=plain), tmp_path / "teacher", watched())
    present = {"teachers": [str(tmp_path / "teacher")], "views": "augmented"}
    for name, written in (("plain", recipe), ("norms", small(train={"epochs": 1}, distill=present))):
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(recipes.to_tree(written)))
    train(bar_set, recipe, tmp_path / "one", watched())
    (tmp_path / "worker.py").write_text(WORKER)
    # `accelerate launch --cpu` starts a single process unless MPI is there; torch's own launcher starts two.
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done(*launch, tmp_path / "worker.py", bar_set.path, tmp_path)
    for name, processes in (("one", 1), ("two", 2)):
        assert json.loads((tmp_path / name / "env.json").read_text())["processes"] == processes
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5, err_msg=name)
    assert (tmp_path / "broken" / "history.csv").read_text() == (tmp_path / "two" / "history.csv").read_text()
    assert len(json.loads((tmp_path / "broken" / "env.json").read_text())["resumed"]) == 1
    first, second = (load_file(tmp_path / f"buffers-{rank}.safetensors") for rank in (0, 1))
    assert any(name.endswith("running_var") for name in first)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_process_killed_at_random_moments_always_resumes(bar_set: Dataset, small, tmp_path: Path) -> None:
    run, rng = tmp_path / "run", np.random.default_rng(0)
    state = run / "weights" / "resume" / "state.safetensors"
    recipe = small(train={"epochs": 12, "checkpoint_minutes": 1e-9, "events": False})
    (tmp_path / "r.toml").write_text(tomli_w.dumps(recipes.to_tree(recipe)))

    def written() -> int:
        """When the state was saved; before the recipe stands the folder is no run yet."""
        return state.stat().st_mtime_ns if (run / "recipe.toml").exists() else 0

    words = ["train", bar_set.path, f"--recipe={tmp_path / 'r.toml'}", f"--out={run}"]
    for _ in range(3):
        with started("-m", "mien", *words) as process:
            for before in (written(), None):  # not while it starts
                before = before if before is not None else written()
                while written() == before:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    time.sleep(0.01)
            time.sleep(float(rng.uniform(0, 0.3)))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        words = ["resume", run]
    done("-m", "mien", "resume", run, "--set=train.epochs=13")
    assert history(run)["epoch"].tolist() == list(range(1, 14))
    resumed = json.loads((run / "env.json").read_text())["resumed"]
    places = [(place["from_epoch"], place["from_step"]) for place in resumed]
    assert (0, 0) < places[0] < places[1] < places[2]
    assert not [p for p in run.rglob("*") if ".tmp" in p.name]
