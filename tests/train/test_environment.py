"""What `env.json` says of a training is how it was trained: precision, and where it went on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.train.machine import Machine
from mien.train.run import resume, train
from mien.train.store import environment


@pytest.fixture
def seen() -> Iterator[set[torch.dtype]]:
    """What convolutions give in training, as long as the test goes on."""
    found: set[torch.dtype] = set()

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(module, nn.Conv2d) and module.training:
            found.add(output.dtype)

    hook = register_module_forward_hook(note)
    yield found
    hook.remove()


def test_a_resume_keeps_the_precision_that_the_run_began_with(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: set[torch.dtype]
) -> None:
    recipe, run = small(train={"epochs": 1, "precision": "auto"}), RunDir(tmp_path / "r")
    monkeypatch.setattr("mien.train.machine.has_bf16_products", lambda: True)
    train(bar_set, recipe, run.path, watched())
    assert json.loads(run.environment.read_text())["precision"] == "bf16"
    assert seen == {torch.bfloat16}
    monkeypatch.setattr("mien.train.machine.has_bf16_products", lambda: False)  # as on another machine
    seen.clear()
    resume(run, bar_set, watched(), settings=["train.epochs=2"])
    assert seen == {torch.bfloat16}
    (resumed,) = json.loads(run.environment.read_text())["resumed"]
    assert resumed["precision"] == "bf16"


def test_a_training_in_fp32_has_no_bf16_in_it(
    bar_set: Dataset, small, watched, tmp_path: Path, seen: set[torch.dtype]
) -> None:
    train(bar_set, small(train={"epochs": 1, "precision": "fp32"}), tmp_path / "r", watched())
    assert seen == {torch.float32}


def test_every_resume_is_on_record_with_its_place_and_machine(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    recipe, run = small(train={"epochs": 3, "checkpoint_minutes": 1e-9}), RunDir(tmp_path / "r")
    per_epoch = len(bar_set.rows("train")) // recipe.train.batch_size
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, run.path, watched(per_epoch + 3))  # killed before the third step was saved
    first = json.loads(run.environment.read_text())
    assert "resumed" not in first
    with pytest.raises(KeyboardInterrupt):
        resume(run, bar_set, watched(per_epoch))
    once = {**environment(Machine(recipe.train)), "from_epoch": 1, "from_step": 2}
    assert json.loads(run.environment.read_text()) == {**first, "resumed": [once]}
    resume(run, bar_set, watched())
    twice = {**once, "from_epoch": 2, "from_step": 1}
    assert json.loads(run.environment.read_text()) == {**first, "resumed": [once, twice]}
    resume(run, bar_set, watched())  # nothing was left to do
    assert json.loads(run.environment.read_text()) == {**first, "resumed": [once, twice]}
