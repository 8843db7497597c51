"""What verbs print with: one console, JSON for machines, progress as a bar at a terminal and as lines in a log."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

UNREAD = 141  # exit code of a command whose output nobody reads to its end, as shells count SIGPIPE

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Output(Console):
    """Standard output; rich would end the process with 1 once nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Log(Console):
    """Standard error; long work goes on when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


console = _Output(highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One machine-readable object on standard output."""
    sys.stdout.write(dumped(value, indent=2) + "\n")


def dumped(value: Any, *, indent: int | None = None) -> str:
    """JSON as standard output can carry it: in plain ASCII, where that is not UTF-8. What is no number is null."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    write = partial(json.dumps, ensure_ascii=encoding != "utf8", indent=indent, allow_nan=False)
    try:
        return write(value)
    except ValueError:  # NaN, which JSON has not
        return write(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def harmless(text: str) -> str:
    """A text of others, such as a name in a file, for a terminal, which would obey control characters: `�` for each."""
    return _CONTROL.sub("\ufffd", text)


def tolerate_any_text() -> None:
    """From here on characters that the terminal cannot show, or that are no text in a file name, are escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def flush() -> None:
    """Hand all that was printed over. Raises BrokenPipeError when nobody reads it."""
    sys.stdout.flush()
    sys.stderr.flush()


def drop_unread() -> None:
    """What a closed pipe did not take goes nowhere, so that Python does not stumble over it at the end."""
    for stream in filter(None, (sys.stdout, sys.stderr, sys.__stdout__)):  # Typer puts a stream before a closed one
        try:
            stream.flush()
        except BrokenPipeError:
            with suppress(OSError):  # a stream without a file
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Reader:
    """Whoever reads standard output; `gone` from the moment on that it was closed."""

    def __init__(self) -> None:
        self.gone = False

    @contextmanager
    def may_leave(self) -> Iterator[None]:
        """Around printing, where other work goes on without a reader."""
        try:
            yield
        except BrokenPipeError:
            self.gone = True
            drop_unread()


_SECONDS_A_LINE = 30.0


class Counted(MofNCompleteColumn):
    """Done of all; nothing as long as nobody knows how much there is."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text()


class Watched(Progress):
    """A bar at a terminal. In a log, after half a minute and then every half minute, one line; `silent` is neither."""

    def __init__(self, unit: str, *, silent: bool = False) -> None:
        self.unit, self.silent, self.told = unit, silent, time.monotonic()
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            Counted(),
            TextColumn(unit),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=_Log(stderr=True, highlight=False, soft_wrap=True),
            transient=True,
            disable=silent or not sys.stderr.isatty(),
        )

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task, as rich does, and say so in a log when it is time."""
        super().update(task_id, **changes)
        self._line(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Move a task on, as rich does, and say so in a log when it is time."""
        super().advance(task_id, advance)
        self._line(task_id)

    def say(self, line: str) -> None:
        """A line of its own, above the bar or in the log."""
        if not self.silent:
            self.console.print(line, markup=False)

    def _line(self, task_id: TaskID) -> None:
        if not self.disable or time.monotonic() - self.told < _SECONDS_A_LINE:
            return
        self.told = time.monotonic()
        task = self._tasks[task_id]
        total = "" if task.total is None else f" of {task.total:,.0f}"
        note = task.fields.get("note") or ""
        self.say(f"{task.description}: {task.completed:,.0f}{total} {self.unit}  {note}".rstrip())


def progress(unit: str, *, silent: bool = False) -> Watched:
    """Progress on standard error: a bar with count and time left at a terminal, else a line every half minute."""
    return Watched(unit, silent=silent)


@contextmanager
def bars(unit: str, *names: str) -> Iterator[list[Callable[[int, int | None], None]]]:
    """Bars below each other, one a name; each shows when it is first told how much is done, and of how much."""
    with progress(unit) as shown:
        tasks = [shown.add_task(name, total=None, note="", visible=False, start=False) for name in names]

        def teller(task: TaskID) -> Callable[[int, int | None], None]:
            def tell(done: int, total: int | None) -> None:
                shown.start_task(task)
                shown.update(task, completed=done, total=max(done, total or done), visible=True)

            return tell

        yield [teller(task) for task in tasks]
