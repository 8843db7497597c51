"""Many processes through accelerate, and kills at random moments: the same command, the same numbers."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from mien.core import recipe as recipes
from mien.data.dataset import Dataset
from mien.train.run import train

# emotion-net has no batch norm: there each process would take the statistics of its own part of the batch.
SETTINGS = [
    "--recipe=emotion-net",
    "--set=model.options={ conv_dropout = 0, dense_dropout = 0, dense = 32 }",
    "--set=train.epochs=2",
    "--set=train.batch_size=20",
    "--set=train.precision=fp32",
    "--set=train.device=cpu",
    "--set=data.votes=true",
    "--set=augment.flip=random",
    "--set=augment.rotation_degrees=10",
    "--set=augment.mixup_alpha=0.5",
    "--set=augment.cutmix_alpha=1",
    # Adam divides by the size of a gradient, so the rounding of a gradient near zero would become a whole step.
    "--set=optimiser.name=sgd",
    "--set=optimiser.learning_rate=0.02",
]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def history(run: Path) -> dict[str, np.ndarray]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def test_two_processes_reach_the_history_of_one_with_the_same_global_batch(bar_set: Dataset, tmp_path: Path) -> None:
    command = ["-m", "mien", "train", str(bar_set.path), *SETTINGS]
    # `accelerate launch --cpu` starts a single process unless MPI is there; torch's own launcher starts two.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, extra in (("one", []), ("two", launch)):
        words = [sys.executable, *extra, *command, f"--out={tmp_path / name}"]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    for name, processes in (("one", 1), ("two", 2)):
        assert json.loads((tmp_path / name / "env.json").read_text())["processes"] == processes
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-4, err_msg=name)


@pytest.mark.slow
def test_two_processes_agree_with_one_through_phases_teachers_and_averages(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    plain = {"model": {"name": "emotion-net", "options": {"conv_dropout": 0, "dense_dropout": 0, "dense": 32}}}
    teacher = small(**plain, data={"crop": None}, train={"epochs": 1}, optimiser={"learning_rate": 0.02})
    train(bar_set, teacher, tmp_path / "teacher", watched())
    (tmp_path / "rows.csv").write_text("row\n" + "\n".join(map(str, range(30))) + "\n")
    recipe = small(
        **plain,
        data={"crop": None},
        train={"epochs": 4, "probe": 64},
        optimiser={"learning_rate": 0.02, "l1": {"heads": 1e-4}},
        loss={"class_balance": "inverse-frequency", "vote_scheme": "probability"},
        distill={"teachers": [str(tmp_path / "teacher")], "weight": 0.5},
        average={"swa_from_epoch": 2, "snapshots": 2},
        phases=[
            {"epochs": 1, "freeze": ["conv1", "conv2"]},
            {"epochs": 1, "leave_out": str(tmp_path / "rows.csv")},
            {"epochs": 1, "pictures": "hard"},
            {"sampler": "label-shuffling"},
        ],
    )
    (tmp_path / "r.toml").write_text(tomli_w.dumps(recipes.to_tree(recipe)))
    command = ["-m", "mien", "train", str(bar_set.path), f"--recipe={tmp_path / 'r.toml'}"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    train(bar_set, recipe, tmp_path / "one", watched())
    words = [sys.executable, *launch, *command, f"--out={tmp_path / 'two'}"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, err_msg=name)


def test_a_process_killed_at_random_moments_always_resumes(bar_set: Dataset, tmp_path: Path) -> None:
    run, rng = tmp_path / "run", np.random.default_rng(0)
    first = ["train", str(bar_set.path), *SETTINGS, "--set=train.epochs=60", f"--out={run}"]
    words = [*first, "--set=train.checkpoint_minutes=1e-9"]
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "mien", *words], env=environment(), stderr=subprocess.PIPE)
        while not (run / "weights" / "resume" / "state.safetensors").exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        time.sleep(float(rng.uniform(0.2, 1.5)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        words = ["resume", str(run)]
    done = subprocess.run(
        [sys.executable, "-m", "mien", "resume", str(run), "--set=train.epochs=61"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert history(run)["epoch"].tolist() == pytest.approx(list(range(1, 62)))
    assert not [p for p in run.rglob("*") if ".tmp" in p.name]
