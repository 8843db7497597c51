"""Kill a training at random moments, resume it each time, and compare the end with a run that was never killed.

    python benchmarks/kill_resume.py DATA [--kills 20] [--epochs 4] [--recipe mien-s]

The training saves after every step. Every other kill waits for a save to begin and comes at once, the others come at
any moment. Prints how the kills fell and whether history and
weights agree bit by bit; exits with 1 when they do not.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open


def mien(*words: str) -> subprocess.Popen[bytes]:
    """The command line in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "mien", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait, and stop everything when it failed."""
    _, error = process.communicate()
    if process.returncode:
        sys.exit(f"mien failed ({process.returncode}): {error.decode()[-2000:]}")


def same_weights(a: Path, b: Path) -> bool:
    """Whether two weights files hold the same tensors, bit by bit."""
    with safe_open(a, framework="np") as one, safe_open(b, framework="np") as two:
        names = sorted(one.keys())
        return names == sorted(two.keys()) and all((one.get_tensor(n) == two.get_tensor(n)).all() for n in names)


def wait_for_save(process: subprocess.Popen[bytes], state: Path, begun: float) -> None:
    """Until the training saved since `begun`, or ended."""
    while process.poll() is None and not (state.exists() and state.stat().st_mtime > begun):
        time.sleep(0.01)


def wait_for_half_a_file(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until a file in `folder` is being written, or the training ended."""
    while process.poll() is None and not any(path.suffix == ".tmp" for path in folder.iterdir()):
        pass


def main() -> None:
    """Train once in one go and once with kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--recipe", default="mien-s")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Path(folder) / "straight", Path(folder) / "killed"
        settings = [f"--set=train.epochs={arguments.epochs}", "--set=train.checkpoint_minutes=1e-9"]
        start = ["train", str(arguments.data), f"--recipe={arguments.recipe}", *settings]
        finish(mien(*start, f"--out={straight}"))
        words, kills, saving = [*start, f"--out={killed}"], 0, 0
        while kills < arguments.kills:
            process, begun = mien(*words), time.time()
            state = killed / "weights" / "resume" / "state.safetensors"
            wait_for_save(process, state, begun)
            if kills % 2:
                time.sleep(rng.uniform(0, 0.5))
            else:
                wait_for_half_a_file(process, state.parent)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode == 0:
                break
            kills += 1
            saving += any(killed.rglob("*.tmp"))
            words = ["resume", str(killed)]
        finish(mien("resume", str(killed)))
        history = (straight / "history.csv").read_bytes() == (killed / "history.csv").read_bytes()
        weights = all(
            same_weights(straight / "weights" / name, killed / "weights" / name)
            for name in ("last.safetensors", "best.safetensors")
        )
        print(f"{kills} kills, {saving} of them while a file was being written")
        print(f"history equal: {history}   weights equal: {weights}")
        sys.exit(0 if history and weights else 1)


if __name__ == "__main__":
    main()
