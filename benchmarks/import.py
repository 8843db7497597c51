"""Importing fer2013.csv: mien beside the usual `pandas.read_csv` plus a split per row.

    python benchmarks/import.py [fer2013.csv] [--repeats 3]

Each contestant runs in a process of its own, by turns, so that a busy machine slows both. The time is that of the
whole process, interpreter and imports included, with compiled modules at hand as in any second run; mien also writes
the packed set, with a hash of every picture, which the other does not. Without a file, one of FER2013's size is made
up. The pixels of both must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

import numpy as np

ROWS, SIDE = 35_887, 48


def with_pandas(source: Path) -> np.ndarray:
    """The way of nearly every tutorial."""
    import pandas as pd  # each contestant pays for its own imports only

    table = pd.read_csv(source)
    return np.stack([np.array(row.split(), dtype=np.uint8) for row in table["pixels"]])


def with_mien(source: Path) -> np.ndarray:
    """`mien data import`, as the command runs it."""
    from mien.data.pack import import_data  # each contestant pays for its own imports only

    with tempfile.TemporaryDirectory() as folder:
        images = import_data(source, Path(folder) / "packed").dataset.images
        return np.array(images).reshape(len(images), -1)


CONTESTANTS = {"pandas": with_pandas, "mien": with_mien}
# A machine that forbids compiled modules would have mien compiled anew in each process, but not pandas.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def contest(name: str, source: Path) -> None:
    """Run one contestant here and print what it saw and how much memory it took at most."""
    pixels = CONTESTANTS[name](source)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": len(pixels), "crc": zlib.crc32(pixels), "peak_mb": peak}))


def measure(name: str, source: Path) -> dict[str, float]:
    """Run one contestant in a fresh process: its wall and CPU seconds, peak memory and the pixels' checksum."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, __file__, str(source), "--contestant", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    said = json.loads(done.stdout)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**said, "wall": wall, "cpu": cpu}


def make_up(path: Path) -> None:
    """A file like fer2013.csv with random pixels, of about the same length."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        file.write("emotion,pixels,Usage\n")
        for row in range(ROWS):
            pixels = " ".join(map(str, rng.integers(0, 256, SIDE * SIDE).tolist()))
            file.write(f"{row % 7},{pixels},{'Training' if row % 10 else 'PublicTest'}\n")


def compare(source: Path, repeats: int) -> bool:
    """Print every run and the medians; whether mien is five times faster in less than 1 GB."""
    subprocess.run([sys.executable, "-c", "import pandas, mien.data.pack"], check=True, env=ENVIRONMENT)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for turn in range(repeats):
        for name in CONTESTANTS:
            run = measure(name, source)
            runs[name].append(run)
            print(
                f"{turn}  {name:8}{run['wall']:7.2f} s wall{run['cpu']:7.2f} s CPU{run['peak_mb']:7.0f} MB", flush=True
            )
    if len({run["crc"] for found in runs.values() for run in found}) != 1:
        raise SystemExit("the contestants read different pixels")
    ratios = {
        kind: median(a[kind] / b[kind] for a, b in zip(runs["pandas"], runs["mien"], strict=True))
        for kind in ("wall", "cpu")
    }
    peak = max(run["peak_mb"] for run in runs["mien"])
    print(
        f"{source.name}, {source.stat().st_size / 1e6:.0f} MB, {runs['mien'][0]['rows']:,} rows, same pixels: mien is "
        f"{ratios['wall']:.1f} times faster (median of {repeats} pairs; {ratios['cpu']:.1f} in CPU time), "
        f"at most {peak:.0f} MB"
    )
    return ratios["wall"] >= 5 and peak < 1000


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        contest(arguments.contestant, arguments.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.source or Path(folder) / "made_up.csv"
        if arguments.source is None:
            make_up(source)
        sys.exit(0 if compare(source, arguments.repeats) else 1)


if __name__ == "__main__":
    main()
