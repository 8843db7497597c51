"""Progress is told to as many bars as there are names, and nobody sees any unless at a terminal."""

from __future__ import annotations

import json

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


def test_a_log_has_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(now))
    shown = output.progress("pictures")
    task = shown.add_task("auditing", total=2000, note="near-copies")
    for done in (1, 1200, 1300):  # after 10, 31 and 40 seconds
        shown.update(task, completed=done)
    assert capsys.readouterr() == ("", "auditing: 1,200 of 2,000 pictures  near-copies\n")


def test_processes_that_are_not_the_first_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.progress("steps", silent=True).say("epoch 1")
    assert capsys.readouterr() == ("", "")


def test_nothing_is_counted_before_the_total_is_known() -> None:
    shown = output.progress("pictures")
    tasks = [shown.add_task("auditing", total=total, note="") for total in (None, 7)]
    assert [str(output.Counted().render(shown.tasks[task])) for task in tasks] == ["", "0/7"]


def test_what_is_no_number_is_null_since_json_has_no_nan() -> None:
    told = output.dumped({"a": [float("nan"), 0.5], "b": (float("inf"), {"c": "NaN"})})
    assert json.loads(told, parse_constant=pytest.fail) == {"a": [None, 0.5], "b": [None, {"c": "NaN"}]}
