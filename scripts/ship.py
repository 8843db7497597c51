"""Put a run in place as a model that comes with mien: calibrate, export, make smaller, measure, write the card.

    python scripts/ship.py RUN PACKED --name expression-s [--out src/mien/weights] [--numbers auto]
        [--default-head ferplus8] [--machine "CPU, cores"] [--most-mb 1] [--portable]

Writes NAME.onnx, NAME.json and NAME.md. `--numbers auto` ships int8 where it pays (faster here, at most half a point
lost), else fp16 where that pays, else fp32. The run is only read. mien-s took two minutes on one shared core.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.core.errors import MienError
from mien.core.files import atomic_path, write_json, write_text
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.deploy.card_data import Card, Comparison, Training, to_json
from mien.deploy.card_measure import measure_card
from mien.deploy.export import export_onnx
from mien.deploy.pays import compare
from mien.deploy.quantize import CALIBRATION_PICTURES, calibration_rows, quantize_int8, store_half
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import folder
from mien.deploy.shipped_card import card_text
from mien.evaluate.answerer import TorchAnswerer
from mien.explain.calibrate import Calibration, calibrate
from mien.models.store import load_classifier

FER2013_TERMS = (
    "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414): the contest's rules name no licence for the photographs, "
    "which come from an image search; FER+ votes (Barsoum et al. 2016, arXiv 1608.01041): MIT licence "
    "(microsoft/FERPlus, LICENSE.md)"
)
_CLOCK = "%Y-%m-%d %H:%M:%S"


def main() -> None:
    """Read the command line and ship."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="packed set: train calibrates int8, val is measured")
    parser.add_argument("--name", required=True, help="expression-s or expression-m")
    parser.add_argument("--out", type=Path, default=folder())
    parser.add_argument("--weights", choices=("best", "last"), default="best")
    parser.add_argument("--numbers", choices=("auto", "int8", "fp16", "fp32"), default="auto")
    parser.add_argument("--default-head", help="which head answers when nothing is asked for; else the first")
    parser.add_argument("--machine", default="", help="what it was trained on, for the card")
    parser.add_argument("--licence", default=FER2013_TERMS, help="of the training data, for the card")
    parser.add_argument("--most-mb", type=float, default=8, help="a larger file is not shipped")
    parser.add_argument("--portable", action="store_true", help="7-bit weights: as accurate on x86 without VNNI")
    options = parser.parse_args()
    try:
        ship(options)
    except MienError as error:
        raise SystemExit(f"ship: {error}") from None


def ship(options: argparse.Namespace) -> Path:
    """Everything, and the path of the shipped file. Raises MienError as what it calls does."""
    run, dataset = RunDir(options.run).require(), datasets.load(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        fp32 = Path(temporary, "fp32.onnx")
        calibrated, parameters = export(run, dataset, fp32, options)
        say(f"exported: {fp32.stat().st_size / 1e6:.2f} MB")
        made, comparisons = smaller(fp32, dataset, options)
        size = made.stat().st_size / 1e6
        if size > options.most_mb:
            raise MienError(f"{size:.2f} MB are more than {options.most_mb:g}", hint="--numbers int8, or --most-mb")
        say(f"measuring the card of {made.name}")
        card = Card(
            name=options.name,
            mien=__version__,
            sha256=hashlib.sha256(made.read_bytes()).hexdigest(),
            bytes=made.stat().st_size,
            precision=made.stem,
            parameters=parameters,
            training=training(run, options),
            measured=measure_card(made, dataset),
            comparisons=comparisons,
            calibration={h.head: h.honest.metrics.calibration_error for h in calibrated.heads},
        )
        return write(options.out, made, card)


def export(run: RunDir, dataset: Dataset, path: Path, options: argparse.Namespace) -> tuple[Calibration, int]:
    """Write the fp32 file with temperatures fitted on val; the calibration and the number of parameters."""
    classifier, spec = load_classifier(run.best if options.weights == "best" else run.last)
    calibrated = calibrate(TorchAnswerer(classifier), dataset)
    told = calibrated.spec.model_dump() | {"default_head": options.default_head or spec.default_head}
    export_onnx(classifier, ModelSpec.model_validate(told), path)
    return calibrated, sum(p.numel() for p in classifier.parameters())


def smaller(fp32: Path, dataset: Dataset, options: argparse.Namespace) -> tuple[Path, tuple[Comparison, ...]]:
    """The file to ship, and every smaller file that was tried against the fp32 one."""
    wanted = ("int8", "fp16") if options.numbers == "auto" else (options.numbers,)
    found: list[Comparison] = []
    for numbers in (n for n in wanted if n != "fp32"):
        path, used = fp32.with_name(f"{numbers}.onnx"), 0
        if numbers == "int8":
            rows = calibration_rows(dataset, CALIBRATION_PICTURES)
            used = len(rows)
            quantize_int8(fp32, np.asarray(dataset.images[rows]), path, reduce_range=options.portable)
        else:
            store_half(fp32, path)
        found.append(compare(fp32, path, dataset, calibration_pictures=used))
        say(f"{numbers}: {found[-1].model_dump()}")
        if found[-1].pays or options.numbers == numbers:
            return path, tuple(found)
    return fp32, tuple(found)


def training(run: RunDir, options: argparse.Namespace) -> Training:
    """What the run folder says of the training."""
    data, environment = run.read_json(run.data), run.read_json(run.environment)
    packages = environment.get("packages", {})
    machine = {key: str(environment[key]) for key in ("machine", "device", "precision", "processes", "threads")}
    machine |= {"torch": str(packages.get("torch")), "python": str(environment.get("python"))}
    if options.machine:
        machine["machine"] = options.machine
    lines = run.history.read_text(encoding="utf-8").splitlines()
    return Training(
        command="mien train PACKED --recipe recipe.toml",
        recipe=run.recipe.read_text(encoding="utf-8"),
        weights=options.weights,
        epochs=len(lines) - 1,
        minutes=minutes(run),
        machine=machine,
        data=data_facts(data),
        data_licence=options.licence,
    )


def data_facts(data: dict[str, Any]) -> dict[str, str]:
    """Name, fingerprint and counts of the training data; no path."""
    counts = {f"pictures in {s}": f"{sum(of.values()):,}" for s, of in data.get("counts", {}).items()}
    notes = (data.get("provenance") or {}).get("notes") or []
    facts = {"name": str(data["name"]), "fingerprint": str(data["fingerprint"])} | counts
    return facts | ({"import": "; ".join(map(str, notes))} if notes else {})


def minutes(run: RunDir) -> float | None:
    """From the first epoch's end to the last one's, and one epoch more for the first; pauses are in it."""
    if not run.log.is_file():
        return None
    ends = [line[:19] for line in run.log.read_text(encoding="utf-8").splitlines() if "  epoch " in line]
    if len(ends) < 2:
        return None
    first, last = (datetime.strptime(end, _CLOCK) for end in (ends[0], ends[-1]))
    return (last - first).total_seconds() / 60 * len(ends) / (len(ends) - 1)


def write(out: Path, made: Path, card: Card) -> Path:
    """The three files; the model goes last, so that what is found by name has its card."""
    target = out / f"{card.name}.onnx"
    write_json(target.with_suffix(".json"), to_json(card))
    write_text(target.with_suffix(".md"), card_text(card, Predictor(made, threads=1).spec))
    with atomic_path(target) as temporary:
        shutil.copyfile(made, temporary)
    for path in (target, target.with_suffix(".json"), target.with_suffix(".md")):
        path.chmod(0o644)
    say(f"{target}  {card.bytes / 1e6:.2f} MB {card.precision}")
    return target


def say(text: str) -> None:
    """Print one step."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
