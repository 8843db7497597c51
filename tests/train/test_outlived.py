"""What was made of weights that a run no longer has is not taken for the run's: not compared, shown or judged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien.cli.app import run as mien
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.diagnose.reading import stored_answers
from mien.evaluate.answered import read_answers
from mien.models.store import digest, read_weights, save_weights
from mien.report.run_page import run_context
from mien.train.run import resume, train


@pytest.fixture(scope="module", autouse=True)
def undrawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pictures are not drawn but empty."""
    blank = tmp_path_factory.mktemp("blank") / "blank.png"
    Image.new("L", (2, 2)).save(blank)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("mien.evaluate.plots", "mien.explain.mistakes"):
            patch.setattr(f"{module}.save", lambda _, path: shutil.copy(blank, _made(path)))
        for figure in ("evaluate.plots.confusion", "evaluate.plots.reliability"):
            patch.setattr(f"mien.{figure}", lambda *_: None)
        for sheet in ("loss_sheet", "pair_sheet"):
            patch.setattr(f"mien.explain.mistakes.{sheet}", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def original(
    undrawn: None,  # noqa: ARG001
    bar_set: Dataset,
    small: Callable[..., Recipe],
    watched: type[Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> RunDir:
    """A run of one epoch that was evaluated, explained and diagnosed; not to be changed."""
    run = RunDir(tmp_path_factory.mktemp("original") / "run")
    train(bar_set, small(train={"epochs": 1, "events": False}), run.path, watched())
    assert mien(["eval", str(run.path), str(bar_set.path)]) == 0
    assert mien(["explain", str(run.path), "--only", "architecture", "--only", "mistakes"]) == 0
    assert mien(["diagnose", str(run.path)]) == 0
    return run


@pytest.fixture
def measured(original: RunDir, tmp_path: Path) -> RunDir:
    """A copy of that run, of the test's own."""
    return RunDir(shutil.copytree(original.path, tmp_path / "run"))


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def go_on(run: RunDir, data: Dataset, watcher: Any) -> int:
    """Resume to six epochs; the epoch whose weights are kept then, which is a later one."""
    resume(run, data, watcher, settings=["train.epochs=6"])
    epoch = int(read_weights(run.best)[1].provenance["epoch"])
    assert epoch > 1
    return epoch


def test_a_run_that_did_not_go_on_has_nothing_outlived(measured: RunDir, bar_set: Dataset, watched: type[Any]) -> None:
    resume(measured, bar_set, watched())  # nothing left to do, but weights are written again
    assert read_answers(measured.path).stale == ""
    assert stored_answers(measured) is not None
    context, metrics = run_context(measured)
    assert metrics is not None
    assert context.diagnosis
    assert {drawing.group for drawing in context.drawings} == {"Architecture", "Mistakes"}
    assert context.missing == ()


def test_a_resumed_run_is_not_compared_by_its_earlier_answers(
    measured: RunDir, bar_set: Dataset, watched: type[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    other = measured.path.with_name("other")
    shutil.copytree(measured.path, other)
    assert mien(["compare", str(other), str(measured.path)]) == 0
    epoch = go_on(measured, bar_set, watched())
    assert mien(["compare", str(other), str(measured.path)]) == 2
    told = capsys.readouterr().err
    assert f"{measured.path}: its evaluation is of the weights of epoch 1" in told
    assert f"the run now has those of epoch {epoch}" in told
    assert f"mien eval {measured.path} DATA --split val measures it again" in told
    assert mien(["eval", str(measured.path), str(bar_set.path)]) == 0
    assert mien(["compare", str(other), str(measured.path)]) == 0


def test_a_report_leaves_out_what_is_outlived_and_names_the_commands(
    measured: RunDir, bar_set: Dataset, watched: type[Any]
) -> None:
    go_on(measured, bar_set, watched())
    context, metrics = run_context(measured)
    assert metrics is None
    assert (context.diagnosis, context.verdicts, context.drawings) == ("", (), ())
    assert [command for _, command in context.missing] == [
        f"mien eval {measured.path} DATA --split val",
        f"mien diagnose {measured.path}",
        f"mien explain {measured.path} --only mistakes --only architecture",
    ]
    assert "of the weights of epoch 1" in context.missing[0][0]
    assert "of epoch 1, and the run has now done 6" in context.missing[1][0]
    assert mien(["explain", str(measured.path), "--only", "mistakes"]) == 0
    context, _ = run_context(measured)
    assert {drawing.group for drawing in context.drawings} == {"Mistakes"}
    assert "left out: architecture" in context.missing[2][0]


def test_a_diagnosis_does_not_judge_by_earlier_answers_but_asks_again_or_says_so(
    measured: RunDir, bar_set: Dataset, watched: type[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    go_on(measured, bar_set, watched())
    assert stored_answers(measured) is None
    capsys.readouterr()
    assert mien(["diagnose", str(measured.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["not_looked_at"] == []
    write_json(measured.data, json.loads(measured.data.read_text()) | {"path": None})
    assert mien(["diagnose", str(measured.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["facts"]["not_looked_at"]
    assert any("the evaluation is of the weights of epoch 1" in one and "mien eval" in one for one in told)


def test_answers_from_before_a_calibration_have_other_probabilities(measured: RunDir) -> None:
    before = digest(measured.best)
    tensors, spec = read_weights(measured.best)
    heads = tuple(head.model_copy(update={"temperature": 2.0}) for head in spec.heads)
    save_weights(measured.best, tensors, spec.model_copy(update={"abstain_below": 0.4}))
    assert digest(measured.best) == before  # a threshold changes no probability
    save_weights(measured.best, tensors, spec.model_copy(update={"heads": heads}))
    assert [command for _, command in run_context(measured)[0].missing] == [
        f"mien eval {measured.path} DATA --split val",
        f"mien diagnose {measured.path}",
    ]
    assert mien(["diagnose", str(measured.path)]) == 0
    assert run_context(measured)[0].diagnosis
    after = digest(measured.best)
    assert after.tensors == before.tensors
    assert after.answers != before.answers
    assert "other temperatures" in read_answers(measured.path).stale
    context, metrics = run_context(measured)
    assert metrics is None
    assert context.drawings  # of the same tensors


def test_an_evaluation_from_before_there_were_digests_is_held_to_its_epoch(
    measured: RunDir, bar_set: Dataset, watched: type[Any]
) -> None:
    file = measured.evaluation / "metrics.json"
    facts = json.loads(file.read_text())
    del facts["weights"]
    write_json(file, facts)
    assert read_answers(measured.path).stale == ""
    go_on(measured, bar_set, watched())
    assert "of the weights of epoch 1" in read_answers(measured.path).stale


def test_last_weights_are_held_to_the_last(measured: RunDir, bar_set: Dataset, watched: type[Any]) -> None:
    assert mien(["eval", str(measured.path), str(bar_set.path), "--weights", "last"]) == 0
    assert read_answers(measured.path).stale == ""
    measured.best.unlink()
    assert read_answers(measured.path).stale == ""
    go_on(measured, bar_set, watched())
    assert read_answers(measured.path).stale.endswith("now has those of epoch 6")


def test_one_changed_weight_changes_the_digest(measured: RunDir, tmp_path: Path) -> None:
    tensors, spec = read_weights(measured.best)
    name = "backbone.stages.0.0.conv.weight"
    save_weights(tmp_path / "same.safetensors", dict(reversed(tensors.items())), spec)
    assert digest(tmp_path / "same.safetensors") == digest(measured.best)
    changed = tensors[name].clone()
    changed.view(-1)[0] += 1e-3
    save_weights(tmp_path / "other.safetensors", tensors | {name: changed}, spec)
    assert digest(tmp_path / "other.safetensors").tensors != digest(measured.best).tensors
    with pytest.raises(MienError, match="no such weights"):
        digest(tmp_path / "none.safetensors")
