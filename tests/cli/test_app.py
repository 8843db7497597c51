"""Exit codes and errors of the command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mien import __version__
from mien.cli.app import VERBS, run


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


@pytest.mark.parametrize("arguments", [["train"], ["--nope"], ["predict", "x.png", "--nope"]])
def test_wrong_use_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Error" in capsys.readouterr().err


def test_a_missing_file_is_named_and_exits_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["train", str(tmp_path / "none"), "--recipe", "mien-s"]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


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
