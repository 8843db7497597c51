"""`mien export`: a run as one ONNX file with its spec inside, and a card beside it."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.output import console, print_json
from mien.core.errors import command as shell
from mien.deploy.export import Weights, export_run

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    run: Path = typer.Argument(help="Run folder."),
    weights: Weights = typer.Option("best", help="Which weights of the run."),
    framing: bool = typer.Option(
        False, "--framing", help="Measure how the training set frames faces, for photos; else FER2013's framing."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write RUN/export/model.onnx, which takes raw pictures and needs no torch, and its model card."""
    path = export_run(run, weights=weights, framing=framing)
    size, card = path.stat().st_size, path.with_name("card.md")
    if as_json:
        print_json({"model": str(path), "card": str(card), "bytes": size})
    else:
        console.print(f"{path}  {size / 1e6:.2f} MB\n{card}", markup=False)
        console.print(f"{shell('verify', run)} compares it with the weights", style="dim", markup=False)
