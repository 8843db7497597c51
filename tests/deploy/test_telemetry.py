"""ONNX Runtime reports its use by default; under mien it does not even make itself an identifier."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Where ONNX Runtime keeps its identifier and what it has to send; it makes none where it believes to be tested.
PLACES = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE")
HIDDEN = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "GITHUB_ACTIONS", "TF_BUILD")
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
ANSWER = "import numpy; print(mien.Predictor('expression-s').predict(numpy.zeros((48, 48), numpy.uint8))[0].label)"


def leaves_behind(home: Path, code: str, **more: str) -> list[str]:
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in (*PLACES, *HIDDEN)}
    environment |= {name: str(home) for name in PLACES} | more
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_an_answer_leaves_no_identifier_behind(tmp_path: Path) -> None:
    assert leaves_behind(tmp_path / "home", f"import mien; {ANSWER}") == []


def test_who_wants_telemetry_may_have_it(tmp_path: Path) -> None:
    """Which shows that it would be seen if mien did not keep ONNX Runtime from it; what it reports goes nowhere."""
    left = leaves_behind(tmp_path / "home", f"import mien; {ANSWER}", ORT_DISABLE_TELEMETRY="0", **NOWHERE)
    kept = "import mien, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'"
    assert leaves_behind(tmp_path / "other", kept, ORT_DISABLE_TELEMETRY="0") == []
    if not left:
        pytest.skip("this build of ONNX Runtime makes no identifier")


def test_a_program_that_loaded_onnx_runtime_first_is_quietened_as_far_as_can_be(tmp_path: Path) -> None:
    told = (
        "import onnxruntime as o; calls = []; o.disable_telemetry_events = lambda: calls.append(1); "
        f"import mien; {ANSWER}; import pathlib; calls and (pathlib.Path.home() / 'called').touch()"
    )
    assert "called" in leaves_behind(tmp_path / "home", told)
