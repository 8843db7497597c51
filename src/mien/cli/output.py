"""What verbs print with: one console, JSON for machines, progress that is silent when nobody watches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

console = Console(highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One machine-readable object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def progress(unit: str) -> Progress:
    """A progress bar on standard error: count, rate of `unit` and time left; nothing unless it is a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


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
