from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.core.files import atomic_folder, atomic_path, remove_temporaries


def write(path: Path, text: str = "new") -> None:
    with atomic_folder(path) as folder:
        (folder / "file").write_text(text, encoding="utf-8")


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk" / "set").mkdir(parents=True)
    (tmp_path / "set").symlink_to(tmp_path / "disk" / "set")
    write(tmp_path / "set")
    assert (tmp_path / "set").is_symlink()
    assert (tmp_path / "disk" / "set" / "file").read_text(encoding="utf-8") == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "set"]


def test_a_link_to_nothing_makes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "set").symlink_to(tmp_path / "disk" / "set")
    write(tmp_path / "set")
    assert (tmp_path / "disk" / "set" / "file").is_file()


def test_a_linked_file_is_written_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_path(tmp_path / "link") as temporary:
        temporary.write_text("x", encoding="utf-8")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text(encoding="utf-8") == "x"


def test_the_working_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MienError, match="is the working folder"):
        write(Path())
    assert list(tmp_path.iterdir()) == []


_WRITER = """
import os, signal, sys, time
from pathlib import Path
from mien.core.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_with_the_next_one_and_a_living_one_keeps_its_own(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "set")]
    killed, alive = (start(command, stdout=subprocess.PIPE) for _ in range(2))
    for process in (killed, alive):
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "writing"
    killed.kill()
    killed.wait()
    assert len(list(tmp_path.glob(".set.*.tmp"))) == 2
    write(tmp_path / "set")
    (left,) = tmp_path.glob(".set.*.tmp")
    assert left.name.endswith(f"-{alive.pid}.tmp")


_IMPORT = """
import sys
from mien.cli import app
from mien.core.files import atomic_folder
from pathlib import Path
import time

def run(arguments):
    with atomic_folder(Path(arguments[0])):
        print("writing", flush=True)
        time.sleep(60)

app.run = run
app.main()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_asked_to_end_clears_away_what_is_half_written(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]], name: str
) -> None:
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"no {name} on this system")
    process = start(
        [sys.executable, "-c", _IMPORT, str(tmp_path / "set")],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "writing"
    os.kill(process.pid, number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path: Path) -> None:
    left = [".state.safetensors.host-12.tmp", "resume/.tmpmCy5qo"]
    kept = ["state.safetensors", ".hidden", ".tmp-notes.txt", ".tmpfolder/mine"]
    for name in [*left, *kept]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".set.host-12.tmp").mkdir()
    remove_temporaries(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    assert not (tmp_path / ".set.host-12.tmp").exists()
