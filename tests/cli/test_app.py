"""Exit codes and errors of the command line as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from mien import __version__
from mien.cli import app
from mien.cli.app import VERBS, run
from mien.cli.usage import system_error


def test_without_a_verb_the_verbs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert all(verb in listed for verb in VERBS)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_a_verb_mistyped_names_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trian", "x"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "argument DATA is missing\n  → mien train --help"),
        (["tune", "x"], "option --space is missing\n  → mien tune --help"),
        (["--nope"], "unknown option --nope\n  → mien --help"),
        (["lr", "x", "--setps", "2"], "unknown option --setps\n  → did you mean --steps? mien lr --help lists all"),
        (["repeat", "x", "--seeds", "0"], "--seeds: must be at least 1\n  → mien repeat --help"),
        (["repeat", "x", "--folds", "two"], "--folds: must be a whole number\n  → mien repeat --help"),
        (["export", "x", "--weights", "y"], "--weights: 'y' is not one of 'best', 'last'\n  → mien export --help"),
        (["train", "x", "--out"], "option '--out' requires an argument\n  → mien train --help"),
        (["train", "x", "y"], "more arguments than there are places for: y\n  → mien train --help"),
        (["data", "import"], "argument SOURCE is missing\n  → mien data import --help"),
        (["data", "importt"], "unknown verb of mien data: 'importt'\n  → did you mean 'import'?"),
        (["tarin"], "unknown verb 'tarin'\n  → did you mean 'train'?"),
    ],
)
def test_wrong_use_reads_alike_and_exits_with_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"mien: {told}\n"


def test_a_group_without_a_verb_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data"]) == 2
    assert "import" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_looks_alike(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: mien {verb} ")
    assert "╭" not in shown


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (IsADirectoryError(21, "Is a directory", "/a/.out.csv.my-host-123.tmp", None, "/a/out.csv"), "/a/out.csv: is"),
        (PermissionError(13, "Permission denied", "/a/.b.csv.my-host-123.tmp"), "/a/b.csv: permission denied\n  → "),
        (OSError("broken"), "broken"),
    ],
)
def test_an_error_of_the_system_names_the_file_that_was_given(error: OSError, told: str) -> None:
    assert str(system_error(error)).startswith(told)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to …")])
def test_too_little_memory_is_told_with_a_way_out(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("mien.data.dataset.load", refused)
    assert run(["doctor", "mien-s", "set"]) == 2
    told, hint = capsys.readouterr().err.splitlines()
    assert told == ("mien: too little memory" + (" (CUDA out of memory)" if str(error) else ""))
    assert "train.batch_size" in hint


def test_characters_that_the_terminal_lacks_are_escaped() -> None:
    code = "import sys; from mien.cli.app import main; from mien.cli.output import console, print_json;" + (
        "import mien.cli.app as app; app.run = lambda _: print_json({'é': '→😀'}) or console.print('→') or 0; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    told, arrow, _ = done.stdout.decode("ascii").rpartition("\\u2192")
    assert arrow
    assert json.loads(told) == {"é": "→😀"}


def test_output_that_nobody_reads_to_its_end_has_one_exit_code() -> None:
    done = closed([sys.executable, "-m", "mien", "recipes"])
    assert done.returncode == 141
    assert done.stderr == ""


def closed(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output is a pipe that is closed at the other end."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)


def test_a_missing_file_is_named_and_exits_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["train", str(tmp_path / "none"), "--recipe", "mien-s"]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_control_characters_of_a_name_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "show", "a\x1b]0;title\x07"]) == 2
    said = capsys.readouterr().err
    assert "a\ufffd]0;title\ufffd" in said
    assert "\x1b" not in said
    assert said.count("\n") >= 1  # the hint stays on a line of its own


def test_a_place_that_cannot_be_written_exits_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "rows.csv").write_text("emotion,pixels,Usage\n0,1 2 3 4,Training\n")
    assert run(["data", "import", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "file" / "packed")]) == 2
    assert "file" in capsys.readouterr().err


def test_a_verb_without_its_libraries_says_what_to_install() -> None:
    code = "import sys; sys.modules['pyarrow'] = None; from mien.cli.app import run; sys.exit(run(['train', 'x']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'mien[train]'" in done.stderr


def test_a_wrong_recipe_key_is_answered_before_torch_is_loaded() -> None:
    code = (
        "import sys; from mien.cli.app import run; code = run(['train', 'x', '--set', 'train.epoch=3']);"
        "sys.exit(code if 'torch' not in sys.modules else 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "train.epochs" in done.stderr


def test_help_is_a_verb_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: mien")
    assert run(["help", "train"]) == 0
    assert capsys.readouterr().out.startswith("Usage: mien train")


def test_a_recipe_key_that_is_given_as_an_option_is_told_how_it_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "x", "--epochs", "3"]) == 2
    assert "--set train.epochs=…" in capsys.readouterr().err
    assert run(["train", "x", "--batch-size", "3"]) == 2
    assert "--set train.batch_size=…" in capsys.readouterr().err


def test_an_interrupt_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.core.recipe.read", interrupt)
    assert run(["train", "x"]) == 130
    assert capsys.readouterr().err == "mien: interrupted\n"


def test_an_error_that_all_processes_of_a_training_have_is_told_once(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "mien", "train", "x", "--set", "train.epoch=3"]
    process = start(command, stderr=subprocess.PIPE)
    _, told = process.communicate(timeout=180)
    assert process.returncode == 1
    assert told.count("unknown recipe key") == 1, told[-3000:]


def test_an_error_of_another_process_than_the_first_is_told_with_its_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(app.time, "sleep", waited.append)
    monkeypatch.setenv("RANK", "2")
    assert run(["train", str(tmp_path / "none"), "--recipe", "mien-s"]) == 2
    assert capsys.readouterr().err.startswith(f"mien: process 2: {tmp_path}")
    assert waited == [app._SECONDS_OF_THE_FIRST]
