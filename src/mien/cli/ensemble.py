"""`mien ensemble`: several models as one file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import typer

from mien.cli.output import console, print_json, progress
from mien.cli.writable import check_files
from mien.core.errors import command as shell
from mien.data import dataset as datasets
from mien.deploy.ensemble import write_calibrated, write_ensemble
from mien.deploy.locate import model_file

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    models: list[Path] = typer.Argument(help="Exported .onnx files, exported runs or shipped models."),
    out: Path = typer.Option(..., "--out", "-o", help="The new .onnx file."),
    tta: str = typer.Option("none", help="Views that each model is asked about: none, flip, flip-shift (= ten-crop)."),
    weights: list[float] = typer.Option(
        [], "--weight", help="What a model counts; once for each, in their order. Else all alike."
    ),
    data: Path | None = typer.Option(
        None, "--calibrate", help="Packed data set by which the mean gets a temperature of its own, for each head."
    ),
    split: str = typer.Option("val", help="With --calibrate, pictures that no model was trained on: val or test."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write one file that answers with the mean of several models, or of one model's answers to several views.

    It goes wherever a model file goes, and takes as long as all that it asks.
    """
    files = [model_file(model) for model in models]
    check_files([out], read=files, endings=(".onnx",))
    portions = weights or None
    if data is None:
        made, found = write_ensemble(files, out, tta=tta, weights=portions), None
    else:
        dataset = datasets.load(data)
        with progress("pictures") as bar:
            advance = partial(bar.advance, bar.add_task("calibrating", total=len(dataset.rows(split)), note=""))
            made, found = write_calibrated(
                files, out, dataset, split=split, tta=tta, weights=portions, progress=advance
            )
    size, heads = out.stat().st_size, found.heads if found else ()
    if as_json:
        told = {"calibrated": [head.to_json() for head in heads], "notes": made.notes}
        print_json({"model": str(out), "bytes": size, "members": [str(file) for file in files], **told})
        return
    console.print(f"{out}  {size / 1e6:.2f} MB", markup=False)
    for head in heads:
        was, now = head.before.calibration_error, head.honest.metrics.calibration_error
        told_error = f"calibration error {100 * was:.1f} → {100 * now:.1f} points, cross-fitted"
        console.print(f"head {head.head}: temperature {head.temperature:.3f}, {told_error}", markup=False)
    for note in made.notes:
        console.print(note, style="dim", markup=False)
    console.print(shell("eval", out, data or "DATA"), style="dim", markup=False)
