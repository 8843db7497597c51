"""What the command line says after Ctrl-C."""

from pathlib import Path

import pytest

from mien.cli.train import says_how_to_go_on
from mien.core.files import write_text
from mien.core.rundir import RunDir
from mien.train.checkpoint import NAME


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_says_whether_and_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str], saved: bool) -> None:
    run = tmp_path / "r"
    if saved:
        RunDir(run).resume.mkdir(parents=True)
        write_text(RunDir(run).resume / NAME, "x")
    with pytest.raises(KeyboardInterrupt), says_how_to_go_on(run):
        raise KeyboardInterrupt
    told = capsys.readouterr().err
    assert (f"`mien resume {run}` goes on" in told) is saved
    assert ("nothing had been saved yet" in told) is not saved
