"""That nothing is skipped unnoticed where everything is there: what .ci/run asks of conftest.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest
def test_allowed(): pytest.skip("the real FER2013 is not here")
def test_fine(): pass
@pytest.mark.xfail
def test_known(): raise ValueError
"""
HIDDEN = """
import pytest
@pytest.mark.parametrize("number", [1, 2])
def test_hidden(number): pytest.skip("there is no Chromium here")
"""
MODULE = "import pytest; pytest.importorskip('no_such_package')"


def session(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in (("test_a.py", TESTS), ("test_b.py", HIDDEN), ("test_c.py", MODULE)):
        (folder / name).write_text(text)
    without = ["-p", "no:cacheprovider", "-p", "no:schemathesis"]
    command = [sys.executable, "-m", "pytest", *without, *arguments]
    environment = {**os.environ, "MIEN_CI": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_in_ci_a_skipped_test_fails_the_session_also_with_workers(tmp_path: Path) -> None:
    done = session(tmp_path, "-n1")
    assert done.returncode == 1, done.stdout
    assert "2 × there is no Chromium here" in done.stdout
    assert "1 × could not import 'no_such_package'" in done.stdout
    assert "× the real FER2013" not in done.stdout
    assert "1 passed, 4 skipped, 1 xfailed" in done.stdout


def test_in_ci_some_may_be_skipped(tmp_path: Path) -> None:
    done = session(tmp_path, "-n0", "test_a.py")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout
