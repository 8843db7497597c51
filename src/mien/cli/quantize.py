"""`mien quantize`: a smaller file of an exported model, and whether it pays."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
import typer

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_files
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.deploy.card_data import Comparison
from mien.deploy.locate import model_file
from mien.deploy.pays import compare
from mien.deploy.quantize import CALIBRATION_PICTURES, Activations, calibration_rows, quantize_int8, store_half

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Kind(StrEnum):
    """What the smaller file holds."""

    int8 = "int8"
    fp16 = "fp16"


@app.command()
def command(
    model: Path = typer.Argument(help="Exported .onnx file, or run that was exported."),
    data: Path = typer.Argument(help="Packed data set: train calibrates, --split measures."),
    kind: Kind = typer.Option(Kind.int8, "--to", help="int8 computes in integers; fp16 only stores halved weights."),
    out: Path | None = typer.Option(None, "--out", "-o", help="The new file; else MODEL.int8.onnx beside the model."),
    pictures: int = typer.Option(CALIBRATION_PICTURES, min=1, help="Training pictures to calibrate with."),
    activations: Activations = typer.Option("u8", help="u8 for x86; s8 for kernels that take signed ones only."),
    reduce_range: bool = typer.Option(False, help="7-bit weights, exact on x86 without VNNI too."),
    split: str = typer.Option("val", help="Pictures to measure on: val or test."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write a smaller file of an exported model and measure it against the model: accuracy, speed, size.

    Raw pictures are prepared in float inside the file as before. It says at the end whether the smaller file pays: no
    more than half a point lost, and faster (int8) or smaller (fp16).
    """
    source, dataset = model_file(model), datasets.load(data)
    target = out or source.with_name(f"{source.stem}.{kind}.onnx")
    check_files([target], read=[source], endings=(".onnx",))
    dataset.rows(split)  # that there are pictures to measure on is known before the file is written
    used = 0
    if kind is Kind.fp16:
        store_half(source, target)
    else:
        rows = calibration_rows(dataset, pictures)
        used = len(rows)
        chosen = np.asarray(dataset.images[rows])
        quantize_int8(source, chosen, target, activations=activations, reduce_range=reduce_range)
    found = _measured(source, target, dataset, split, used)
    print_json({"model": str(target), **found.model_dump()}) if as_json else _print(target, found, split)


def _measured(source: Path, target: Path, dataset: Dataset, split: str, used: int) -> Comparison:
    with progress("pictures") as bar:
        task = bar.add_task("measuring", total=2 * int((dataset.split == split).sum()), note="")
        return compare(
            source,
            target,
            dataset,
            split=split,
            calibration_pictures=used,
            progress=lambda done: bar.advance(task, done),
        )


def _print(target: Path, found: Comparison, split: str) -> None:
    console.print(f"{target}  {found.bytes / 1e6:.2f} MB, fp32 {found.fp32_bytes / 1e6:.2f} MB", markup=False)
    for scored_on, change in found.accuracy_change.items():
        console.print(f"{scored_on} on {split}: accuracy {100 * change:+.2f} points", markup=False)
    console.print(f"one face on one thread: {found.speed_ratio:.2f} times as fast as fp32")
    console.print("[green]it pays[/green]" if found.pays else "[red]it does not pay[/red]: keep the fp32 file")
