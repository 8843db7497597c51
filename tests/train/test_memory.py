"""A device with too little memory is wrong use, not a defect: named with the keys that help."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.models.classifier import Classifier
from mien.train import loop
from mien.train.run import resume, train


def no_memory(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB.")


def test_a_step_without_enough_memory_names_the_batch(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(loop, "watched", no_memory)
    told = r"too little memory for train\.batch_size = 20 or eval_batch_size = 512 \(CUDA out of memory\)"
    with pytest.raises(MienError, match=told) as error:
        train(bar_set, small(), tmp_path / "r", watched())
    assert "smaller train.batch_size" in (error.value.hint or "")
    with pytest.raises(MienError, match=told):
        resume(RunDir(tmp_path / "r"), bar_set, watched())
    assert cli(["resume", str(tmp_path / "r")]) == 2
    assert "too little memory" in capsys.readouterr().err


def test_memory_that_does_not_suffice_is_no_word_on_the_size_of_a_phase(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Classifier, "forward", no_memory)
    with pytest.raises(MienError, match="too little memory"):
        train(bar_set, small(phases=[{"epochs": 1, "size": 12}, {}]), tmp_path / "r", watched())
