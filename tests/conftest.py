"""Fixtures that more than one part of the tests needs."""

from __future__ import annotations

import os

# Before torch and numpy are loaded: several workers test side by side, each with threads for all cores otherwise.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.dataset import Dataset

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "fer2013_train_public.npz"
# Why tests may be skipped where .ci/run could install all they need: what is missing then is no accident.
MAY_BE_SKIPPED = {"the real FER2013 is not here", "there is a GPU", "no IPv6 here"}
if platform.machine() != "x86_64":  # the others have no such package
    MAY_BE_SKIPPED.add("tensorflow is not installed")


def pytest_configure(config: pytest.Config) -> None:
    """Under MIEN_CI=1 no test may be skipped unnoticed; xdist's workers send their reports to the one that counts."""
    if os.environ.get("MIEN_CI") == "1" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(NothingHidden(), "nothing-hidden")


class NothingHidden:
    """Fails a session in which a test was skipped for want of something that should be there, and says of what."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            self.reasons.update({reason} - MAY_BE_SKIPPED)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.reasons and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.reasons:
            terminalreporter.section("skipped, which MIEN_CI=1 does not allow", red=True)
        for reason, count in self.reasons.most_common():
            terminalreporter.line(f"{count} × {reason}", red=True)


def bars(count: int, *, side: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures (n, side, side) of a bright bar whose height on the picture is the class: easy to learn."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % len(FER2013)
    images = rng.integers(60, 120, (count, side, side))
    for picture, row in zip(images, label, strict=True):
        picture[3 * row : 3 * row + 3] += 100
    return images.astype(np.uint8), label.astype(np.int64)


def write_bars(path: Path, *, count: int = 160, votes: bool = True) -> Dataset:
    """A packed set of bars: three quarters train, one quarter val, FER+ votes that agree with the labels."""
    images, label = bars(count)
    split = np.where(np.arange(count) % 4 == 3, "val", "train")
    table = None
    if votes:
        # FER2013's ids in the order of the vote columns: neutral, happiness, surprise, sadness, anger, disgust, fear.
        column = np.array([4, 5, 6, 1, 3, 2, 0])[label]
        table = np.eye(10, dtype=np.int64)[column] * 8 + np.eye(10, dtype=np.int64)[(column + 1) % 8] * 2
    source = [f"bar{i:04d}" for i in range(count)]
    manifest = dataset.make_table(label=label, split=split, source=source, images=images, votes=table)
    return dataset.save(path, images, manifest, dataset.describe("bars", FER2013, images, manifest))


@pytest.fixture(scope="session")
def bar_set(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """160 pictures of 24×24 px in seven classes with votes, packed; not to be changed."""
    return write_bars(tmp_path_factory.mktemp("bars") / "packed")


@pytest.fixture(scope="session")
def real_data() -> dict[str, np.ndarray]:
    """The real FER2013 arrays (pixels, emotion, usage, ferplus), where they are at hand."""
    if not REAL_DATA.is_file():
        pytest.skip("the real FER2013 is not here")
    with np.load(REAL_DATA, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("pixels", "emotion", "usage", "ferplus")}


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts programs as `Popen` does; when the test ends, however it does, so do they and all that they started."""
    started: list[subprocess.Popen[str]] = []

    def start_one(command: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(subprocess.Popen(command, text=True, start_new_session=True, **options))
        return started[-1]

    yield start_one
    for process in started:
        if process.returncode is None:  # nobody has waited for it: its number is still its own
            _kill(process)
        with process:  # closes its pipes
            pass


def _kill(process: subprocess.Popen[str]) -> None:
    """End a program, its group and its descendants, whose groups may be others, as torch's launcher makes them."""
    descendants = psutil.Process(process.pid).children(recursive=True)
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    for one in (process, *descendants):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
