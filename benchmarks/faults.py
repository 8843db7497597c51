"""Plants faults into small trainings and asks `mien diagnose` what is wrong; healthy runs are asked as well.

    python benchmarks/faults.py --work runs/faults [--fer runs/fer] [--seed 0 --seed 1] [--on SET] [--only NAME]
        [--ask-only] [--out TABLE.md]

Faults go in through recipe and data alone: the diagnosis sees a run folder like any other. Trained cases are kept under
--work and not trained again; each call diagnoses all of them anew and prints the table of docs/diagnosis.md.
Sets: drawn faces (24 px), and a subset of FER2013 reduced to 24 px where --fer names a packed one.
"""

from __future__ import annotations

import argparse
import shutil
import time
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from faults_cases import FAULTS, GOOD, HEALTHY, Case, Material

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json, write_text
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.data.drawn.sets import Plan, draw_plan
from mien.diagnose.verdict import Verdict
from mien.models.store import read_weights, save_weights
from mien.train.diagnosis import examine
from mien.train.run import train

SETS = ("drawn", "easy", "healthy", "fer")


class Silent:
    """Watches without a word."""

    def step(self, progress: object, *, waited: float) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, float | int]) -> None:
        """Nothing."""


@cache
def material(name: str, seed: int, fer: Path | None) -> Material:
    """The pictures of a set; `easy` and `healthy` are drawn with clearer expressions and more of them."""
    if name == "fer":
        assert fer is not None
        return _fer(datasets.load(fer), seed)
    strength, count = {"easy": ((0.9, 1.0), 700), "healthy": ((0.9, 1.0), 1600)}.get(name, ((0.6, 1.0), 800))
    drawn = draw_plan(
        Plan(
            count=count, seed=100 + seed, size=24, strength=strength, spread=0.5, val_fraction=0.25, test_fraction=0.05
        )
    )
    keep = drawn.split != "test"
    return Material(drawn.images[keep], drawn.label[keep], drawn.split[keep])


def _fer(data: Dataset, seed: int) -> Material:
    rng = np.random.default_rng(seed)
    rows = np.sort(np.concatenate([rng.permutation(data.rows(s))[:n] for s, n in (("train", 600), ("val", 300))]))
    rows = rows[data.label[rows] >= 0]
    small = data.images[rows].reshape(len(rows), 24, 2, 24, 2).mean((2, 4)).round().astype(np.uint8)
    return Material(small, data.label[rows].copy(), data.split[rows].copy())


def pack(m: Material, out: Path) -> Dataset:
    """Write a packed set."""
    from mien.core.labels import FER2013

    table = datasets.make_table(
        label=m.label, split=m.split, source=[str(i) for i in range(len(m.label))], images=m.images
    )
    return datasets.save(out, m.images, table, datasets.describe("faults", FER2013, m.images, table))


def run_case(case: Case, on: str, seed: int, *, work: Path, fer: Path | None) -> Path:
    """Train a case unless it is there; its folder."""
    folder = work / f"{case.name.replace(' ', '-').replace('/', 'by')}--{on}-{seed}"
    if (folder / "done.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    source = deepcopy(material(on, seed, fer))
    if case.plant is not None:
        source = case.plant(source, np.random.default_rng([seed, 7]))
    packed = pack(source, folder / "data")
    settings = (*GOOD, *case.settings, f"train.seed={seed}")
    if case.spoil_start:
        settings = (*settings, f"model.start_from={_spoilt(packed, settings, folder)}")
    try:
        train(packed, recipes.build(recipes.apply_settings({}, settings), source=case.name), folder / "run", Silent())
    except MienError as error:
        print(f"    {error.message}")
    write_json(folder / "done.json", {"seconds": round(time.perf_counter() - started, 1)})
    return folder


def _spoilt(packed: Dataset, settings: tuple[str, ...], folder: Path) -> Path:
    """Untrained weights whose output leans by 5 to one class."""
    tree = recipes.apply_settings(
        {}, (*settings, "train.epochs=1", "schedule.warmup_epochs=0", "optimiser.learning_rate=1e-9")
    )
    train(packed, recipes.build(tree, source="start"), folder / "start", Silent())
    state, spec = read_weights(RunDir(folder / "start").last)
    state["heads.0.bias"][0] += 5
    save_weights(folder / "start.safetensors", state, spec)
    return folder / "start.safetensors"


@dataclass(frozen=True)
class Result:
    """What was said of a case: verdicts, in their order, and notes, which are no faults and count for nothing."""

    case: Case
    on: str
    seed: int
    said: tuple[str, ...]
    noted: tuple[str, ...]
    seconds: float

    @property
    def named(self) -> bool:
        return bool(set(self.said) & set(self.case.expected))

    @property
    def first(self) -> bool:
        return self.said[:1] != () and self.said[0] in self.case.expected


def ask(case: Case, on: str, seed: int, folder: Path) -> Result:
    """Diagnose a trained case."""
    found: tuple[Verdict, ...] = ()
    if (folder / "run" / "recipe.toml").is_file():
        found = examine(folder / "run", data=folder / "data").verdicts
    said = tuple(v.name for v in found if v.severity != "note")
    noted = tuple(v.name for v in found if v.severity == "note")
    seconds = RunDir(folder).read_json(folder / "done.json")["seconds"]
    return Result(case, on, seed, said, noted, seconds)


def table(results: list[Result], planned: int) -> str:
    """The tables of docs/diagnosis.md: a row a fault, set and seed, a row a healthy run, and the sums of each seed."""
    faults = [r for r in results if r.case.expected]
    lines = ["| case | set, seed | answer | verdicts, in order | notes |", "|---|---|---|---|---|"]
    for r in results:
        answer = (
            ("first" if r.first else "named" if r.named else "missed")
            if r.case.expected
            else ("false alarm" if r.said else "nothing found")
        )
        lines.append(
            f"| {r.case.name} | {r.on} {r.seed} | {answer} | {', '.join(r.said[:5]) or '–'} | "
            f"{', '.join(r.noted[:5]) or '–'} |"
        )
    for seed in sorted({r.seed for r in results}):
        own = [r for r in faults if r.seed == seed]
        healthy = [r for r in results if r.seed == seed and not r.case.expected]
        if own:
            named, first = sum(r.named for r in own), sum(r.first for r in own)
            lines += ["", f"Seed {seed}: of {len(own)} faults {named} named ({named / len(own):.0%}), {first} first "]
            lines[-1] += f"({first / len(own):.0%})."
        if healthy:
            alarms = sum(bool(r.said) for r in healthy)
            lines += ["", f"Seed {seed}: {len(healthy)} healthy runs, of which {alarms} with a false alarm."]
    lines += ["", f"{len(results)} of {planned} cases; {sum(r.seconds for r in results):.0f} s of training."]
    return "\n".join(lines) + "\n"


def plan(seeds: list[int], fer: Path | None, *, only: str | None, on_sets: list[str]) -> list[tuple[Case, str, int]]:
    """All cases with all seeds, set by set."""
    cases = []
    for on in on_sets:
        if on != "fer" or fer is not None:
            own = HEALTHY if on == "healthy" else [c for c in FAULTS if on in c.sets]
            cases += [(c, on, seed) for seed in seeds for c in own]
    return [c for c in cases if only is None or only in c[0].name]


def main() -> None:
    """Train what is missing, diagnose everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the trained cases")
    parser.add_argument("--fer", type=Path, help="packed FER2013")
    parser.add_argument("--seed", type=int, action="append", help="default: 0 and 1")
    parser.add_argument("--only", help="part of a case's name")
    parser.add_argument("--on", choices=SETS, action="append", help="sets (default: all)")
    parser.add_argument("--ask-only", action="store_true", help="train nothing; diagnose what is there")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cases = plan(args.seed or [0, 1], args.fer, only=args.only, on_sets=args.on or list(SETS))
    results = []
    for number, (case, on, seed) in enumerate(cases, 1):
        name = f"{case.name.replace(' ', '-').replace('/', 'by')}--{on}-{seed}"
        if args.ask_only and not (args.work / name / "done.json").is_file():
            continue
        result = ask(case, on, seed, run_case(case, on, seed, work=args.work, fer=args.fer))
        results.append(result)
        mark = "ok  " if result.first or (not case.expected and not result.said) else "    " if result.named else "MISS"
        print(
            f"{number:3}/{len(cases)} {mark} {case.name} · {on} {seed} · {result.seconds:.0f} s · "
            f"{', '.join(result.said)} · notes: {', '.join(result.noted)}",
            flush=True,
        )
    text = table(results, len(cases))
    print(text)
    if args.out:
        write_text(args.out, text)


if __name__ == "__main__":
    main()
