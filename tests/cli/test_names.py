"""Names that users choose are printed as they are, whatever rich takes for markup."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.cli import output, repeat, study, train, tune

ODD = Path("x[/b]") / "run[v2]"


def print_train() -> None:
    progress = SimpleNamespace(rows=[{"val_accuracy": 0.5}], best_epoch=1, epoch=1, stopped=False, seconds=1.0)
    finished: Any = SimpleNamespace(progress=progress, run=SimpleNamespace(path=ODD), was_complete=True)
    train.show(finished, as_json=False)


def print_tune() -> None:
    best = {"model.options.norm": "[/x]"}
    tune._conclude({"best": best, "trials": [best], "space": {"keys": ["model.options.norm"]}}, ODD)


def print_repeat() -> None:
    repeat._print({"runs": [], "summary": {}}, ODD)


def print_study() -> None:
    step = {"name": "a", "before": None, "claim": "[/70]", "seconds": 1, "parameters": 1, "runs": []}
    study._print({"steps": [step], "seeds": 1}, ODD)


@pytest.mark.parametrize("show", [print_train, print_tune, print_repeat, print_study])
def test_a_folder_is_printed_as_it_was_given(show: Any, capsys: pytest.CaptureFixture[str]) -> None:
    show()
    assert str(ODD) in capsys.readouterr().out


def test_the_bar_of_a_training_shows_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.progress("steps")
    shown.add_task("own[/b]", total=3, note="[/x]")
    shown.console.print(shown.make_tasks_table(shown.tasks))
    assert "own[/b]" in capsys.readouterr().err


def test_a_training_goes_on_when_nobody_reads_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = output.progress("steps")

    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(shown.console, "_write_buffer", gone)
    shown.say("epoch 1")
    assert shown.console.quiet


def test_after_ctrl_c_the_command_that_goes_on_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "recipe.toml").touch()
    told = f"`mien resume '{tmp_path}/my run'` goes on"
    with pytest.raises(KeyboardInterrupt, match=re.escape(told)), train.says_how_to_go_on(tmp_path / "my run"):
        raise KeyboardInterrupt
