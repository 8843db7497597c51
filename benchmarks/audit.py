"""Time and memory of `mien data audit` without label errors: on a packed set, and as a set grows.

    python benchmarks/audit.py [PACKED] [--growth 50000 150000 500000] [--side 48]

Each audit is the command itself in a process of its own, interpreter and imports included, with all its files. Peak
memory is what the process holds itself (RssAnon, sampled every 20 ms) and, beside it, with the pages of memory-mapped
files that the system may drop at any time (ru_maxrss). With PACKED: must end within 60 s below 1.5 GB. Growth is
measured on made-up pictures, smooth random shapes with noise, of which one in fifty is a copy; printed are seconds
per 10,000 pictures, which stay about the same when time grows linearly. Seconds are those of the clock; beside them
stand those of the processor, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from mien.core.files import atomic_folder
from mien.core.labels import FER2013
from mien.data.dataset import describe, make_table, write_parts

SECONDS, MEGABYTES = 60, 1500
SHAPES, BLOCK = 60, 5000


def make_up(path: Path, count: int, side: int) -> None:
    """A packed set of `count` pictures, written block by block."""
    rng = np.random.default_rng(count)
    waves = np.fft.rfft2(rng.normal(size=(SHAPES, side, side)))
    reach = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    fields = np.fft.irfft2(waves / (1 + reach) ** 1.5, (side, side)).reshape(SHAPES, -1)
    fields /= fields.std()
    with atomic_folder(path) as folder:
        shape = (count, side, side)
        images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for first in range(0, count, BLOCK):
            n = min(BLOCK, count - first)
            levels = 128 + 7 * rng.normal(size=(n, SHAPES)) @ fields + rng.normal(scale=4, size=(n, side**2))
            pictures = levels.clip(0, 255).astype(np.uint8).reshape(n, side, side)
            pictures[25::50] = pictures[24::50][: len(pictures[25::50])]
            images[first : first + n] = pictures
        label = np.arange(count) % len(FER2013)
        split = np.where(np.arange(count) // len(FER2013) % 10 == 9, "val", "train")
        table = make_table(label=label, split=split, source=[f"made-up:{i}" for i in range(count)], images=images)
        write_parts(folder, table, describe("made up", FER2013, images, table))


def own_memory(pid: int) -> int:
    """Kilobytes that a process holds itself now, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)


def processor_seconds() -> float:
    """Processor time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(packed: Path) -> dict[str, float]:
    """Run the command; its seconds, megabytes, and seconds by check."""
    with tempfile.TemporaryDirectory() as out:
        started, used = time.perf_counter(), processor_seconds()
        code = (
            "import resource, sys; from mien.cli.app import run; code = run(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
        )
        command = [sys.executable, "-c", code, "data", "audit", str(packed), "--out", out, "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        said, errors = process.communicate()
        watcher.join()
        seconds, used = time.perf_counter() - started, processor_seconds() - used
    if process.returncode not in (0, 1):
        raise SystemExit(errors)
    parts = json.loads(said)["seconds"]
    mapped = int(errors.split()[-1]) / 1024
    checks = {f"  {name}": spent for name, spent in parts.items()}
    return {"seconds": seconds, "cpu_s": used, "own_mb": peak[0] / 1024, "peak_mb": mapped, **checks}


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], own_memory(process.pid))
        time.sleep(0.02)


def show(name: str, count: int, figures: dict[str, float]) -> None:
    """One set's figures, the checks below it."""
    seconds = figures["seconds"]
    print(
        f"{name}: {count:,} pictures in {seconds:.1f} s ({seconds / count * 1e4:.2f} s per 10,000), "
        f"{figures['cpu_s']:.1f} s of the processor ({figures['cpu_s'] / count * 1e4:.2f} s), at most "
        f"{figures['own_mb']:.0f} MB of its own, {figures['peak_mb']:.0f} MB with mapped files"
    )
    for part in (name for name in figures if name.startswith("  ")):
        print(f"{part:28}{figures[part]:8.2f} s", flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packed", type=Path, nargs="?")
    parser.add_argument("--growth", type=int, nargs="*", default=[50_000, 150_000, 500_000])
    parser.add_argument("--side", type=int, default=48)
    arguments = parser.parse_args()
    passed = True
    if arguments.packed:
        count = json.loads((arguments.packed / "dataset.json").read_text())["count"]
        figures = measure(arguments.packed)
        show(arguments.packed.name, count, figures)
        passed = figures["seconds"] < SECONDS and figures["peak_mb"] < MEGABYTES
    for count in arguments.growth:
        with tempfile.TemporaryDirectory() as folder:
            make_up(Path(folder) / "packed", count, arguments.side)
            show("made up", count, measure(Path(folder) / "packed"))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
