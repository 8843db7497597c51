"""`mien ensemble`: several models as one file."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.output import console, print_json
from mien.cli.writable import check_files
from mien.core.errors import command as shell
from mien.deploy.ensemble import write_ensemble
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
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write one file that answers with the mean of several models, or of one model's answers to several views.

    It goes wherever a model file goes, and takes as long as all that it asks.
    """
    files = [model_file(model) for model in models]
    check_files([out], read=files, endings=(".onnx",))
    made = write_ensemble(files, out, tta=tta, weights=weights or None)
    size = out.stat().st_size
    if as_json:
        print_json({"model": str(out), "bytes": size, "members": [str(file) for file in files], "notes": made.notes})
        return
    console.print(f"{out}  {size / 1e6:.2f} MB", markup=False)
    for note in made.notes:
        console.print(note, style="dim", markup=False)
    console.print(shell("eval", out, "DATA"), style="dim", markup=False)
