"""A run's history read back: which epoch training chose, and whether it came to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from safetensors.numpy import save_file

from mien.core import recipe as recipes
from mien.core.files import write_json, write_text
from mien.core.rundir import RunDir
from mien.evaluate.history import best_epoch, unfinished

NAN = float("nan")
Make = Callable[..., RunDir]


def rows(loss: Sequence[float], accuracy: Sequence[float], votes: Sequence[float] = ()) -> list[dict[str, float]]:
    found = [{"val_loss": a, "val_accuracy": b} for a, b in zip(loss, accuracy, strict=True)]
    return [row | {"val_ferplus_accuracy": v} for row, v in zip(found, votes, strict=True)] if votes else found


@pytest.mark.parametrize(
    ("metric", "history", "best"),
    [
        ("accuracy", rows([3, 2, 1], [0.3, 0.5, 0.5]), 2),
        ("loss", rows([3, 1, 2], [0.3, 0.4, 0.5]), 2),
        ("accuracy", rows([NAN, 2, 1], [NAN, 0.2, 0.1]), 2),
        ("loss", rows([NAN, 2, NAN], [0.1, 0.1, 0.1]), 2),
        ("accuracy", rows([NAN] * 3, [NAN] * 3, [0.1, 0.2, 0.4]), 3),
        ("loss", rows([NAN] * 3, [NAN] * 3, [0.1, 0.4, 0.2]), 2),
        ("accuracy", rows([NAN] * 3, [NAN] * 3), 3),
    ],
)
def test_the_best_epoch_is_the_one_that_training_chose(metric: str, history: list[dict[str, float]], best: int) -> None:
    """As `train.loop` judges: a figure that is no number is the worst, and without labels the votes count."""
    assert best_epoch(recipes.read("mien-s", [f"stopping.metric={metric}"]), history) == best


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run that was best at epoch 4 and has done so many epochs."""

    def build(epochs: int, *settings: str) -> RunDir:
        run = RunDir(tmp_path)
        recipe = recipes.read("mien-s", ["train.epochs=20", "stopping.patience_epochs=3", *settings])
        write_text(run.recipe, tomli_w.dumps(recipes.to_tree(recipe)))
        lines = [f"{e},{abs(e - 4)},{0.5 - abs(e - 4) / 100}\n" for e in range(1, epochs + 1)]
        write_text(run.history, "epoch,val_loss,val_accuracy\n" + "".join(lines))
        return run

    return build


def noted(run: RunDir, *, stopped: bool) -> None:
    """The state that training keeps to resume from."""
    run.resume.mkdir(parents=True)
    state = {"state": json.dumps({"progress": {"stopped": stopped}})}
    save_file({"a": np.zeros(1, np.float32)}, run.resume / "state.safetensors", metadata=state)


def test_patience_that_ended_is_an_end(make: Make) -> None:
    assert unfinished(make(7)) == ()
    assert unfinished(make(20)) == ()
    told = ("Epoch 6 of 20: the training was interrupted, or still goes on.",)
    assert unfinished(make(6)) == told
    assert unfinished(make(0)) == ()


def test_patience_counts_once_swa_has_something_to_average(make: Make) -> None:
    swa = ("average.ema_decay=0", "average.swa_from_epoch=15")
    assert unfinished(make(10, *swa))
    assert unfinished(make(16, *swa))
    assert unfinished(make(17, *swa)) == ()


def test_patience_counts_in_the_last_phase(make: Make) -> None:
    phases = 'phases=[{epochs=8}, {"freeze"=[]}]'
    assert unfinished(make(10, phases))
    assert unfinished(make(11, phases)) == ()


def test_patience_begins_anew_where_a_run_was_prolonged(make: Make) -> None:
    run = make(9)
    write_json(run.environment, {"resumed": [{"from_epoch": 7}]})
    assert unfinished(run)
    assert unfinished(make(10)) == ()


def test_what_training_noted_is_believed_before_any_count(make: Make) -> None:
    run = make(7)
    noted(run, stopped=False)
    assert unfinished(run)
    (run.resume / "state.safetensors").write_bytes(b"damaged")
    assert unfinished(run) == ()
    run = make(5)
    (run.resume / "state.safetensors").unlink()
    run.resume.rmdir()
    noted(run, stopped=True)
    assert unfinished(run) == ()
