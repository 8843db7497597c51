"""What the command says of labels: where to look at them, and what became of earlier decisions."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.cli.app import run
from mien.data import corrections
from mien.data.audit.finding import Finding, Severity
from mien.data.audit.run import Audit
from mien.data.dataset import Dataset, load
from mien.data.review.server import ReviewServer


@pytest.fixture
def packed(bar_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of bars; any audit of it finds that the first two labels are doubtful, without training nets."""
    columns = {"suggested": np.array(["happy", "happy"]), "quality": np.array([0.1, 0.2])}
    doubt = Finding("label-errors", Severity.NOTE, "Two.", why="", rows=np.array([0, 1]), columns=columns)
    monkeypatch.setattr("mien.cli.audit_run.audit", lambda data, **_: Audit(data, (doubt,), {}))
    monkeypatch.setenv("COLUMNS", "60")
    return shutil.copytree(bar_set.path, tmp_path / "my sets" / "packed")


@pytest.mark.parametrize("out", ["packed/audit", "an audit", "packed"])
def test_the_command_that_is_named_for_reviewing_finds_the_set(
    out: str, packed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["data", "audit", str(packed), "--out", str(packed.parent / out), "--labels"]) == 0
    said = capsys.readouterr().out
    named = next(line for line in said.splitlines() if line.startswith("labels to look at: "))
    command = shlex.split(named.removeprefix("labels to look at: "))
    assert ("--data" in command) == (out == "an audit")
    reviewed: list[int] = []
    monkeypatch.setattr(ReviewServer, "serve_forever", lambda self: reviewed.append(self.session.about()["total"]))
    assert run([*command[1:], "--no-browser"]) == 0
    assert reviewed == [2]


def decided(packed: Path) -> Callable[..., int]:
    """Run the first audit, decide on row 0, and apply it to the set; what audits it again."""
    audit = ["data", "audit", str(packed), "--labels"]
    assert run(audit) == 0
    path = packed / "audit" / "corrections.csv"
    first, second = corrections.read(path)
    corrections.write(path, [replace(first, action="relabel"), second])
    new = packed.with_name("new")
    assert run(["data", "import", str(packed), "--corrections", str(path), "--out", str(new)]) == 0
    assert load(new).info.labels[load(new).label[0]] == "happy"
    shutil.copytree(packed / "audit", new / "audit")
    return lambda *flags: run(["data", "audit", str(new), "--labels", *flags])


def test_decisions_that_were_applied_are_moved_and_it_is_said_what_for(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = decided(packed)
    capsys.readouterr()
    assert again() == 0
    said = capsys.readouterr().out
    old = packed.with_name("new") / "audit" / "corrections.csv.old"
    assert f"1 decisions were applied before or fit no label of this set: moved to {old}" in said
    assert "For another import from the source put them back into corrections.csv; or correct this set: mien" in said
    assert again() == 0
    assert "applied before" not in capsys.readouterr().out


def test_json_counts_decisions_that_were_laid_aside(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = decided(packed)
    for count in (1, 0):
        capsys.readouterr()
        assert again("--json") == 0
        assert json.loads(capsys.readouterr().out)["laid_aside"] == count
