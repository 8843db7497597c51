"""Progress is told to as many bars as there are names, and nobody sees any unless at a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from mien.cli import output


def test_bars_are_silent_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with output.bars("pictures", "reading", "writing") as (reading, writing):
        reading(3, None)
        writing(2, 5)
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_when_it_is_first_told_something(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = output.progress("pictures")
    monkeypatch.setattr(output, "progress", lambda _: shown)
    shown.disable = False
    shown.live.console = Console(quiet=True)
    with output.bars("pictures", "reading", "writing") as (reading, writing):
        assert [task.visible for task in shown.tasks] == [False, False]
        reading(3, None)
        assert [task.visible for task in shown.tasks] == [True, False]
        writing(7, 5)  # an estimate may turn out too low
    assert [(task.description, task.completed, task.total) for task in shown.tasks] == [
        ("reading", 3, 3),
        ("writing", 7, 7),
    ]
