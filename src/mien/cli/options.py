"""Options that several verbs share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path | None, typer.Option("--model", "-m", help="Exported .onnx file, run or name; else mien's own.")]
Labels = Annotated[str | None, typer.Option(help="Label set to answer in: fer2013, ferplus8, fer5 …")]
HeadName = Annotated[
    str | None, typer.Option(help="Head to ask; else the one that fits --labels, without them the model's default.")
]
UnsureBelow = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Mark answers less probable than this as unsure; else as the model says."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with.")]
Smooth = Annotated[float, typer.Option(min=0, help="Seconds that probabilities are averaged over; 0: not at all.")]
Timeline = Annotated[Path | None, typer.Option(help="Write a row for each face and frame: .csv or .parquet.")]
Plot = Annotated[Path | None, typer.Option(help="Write a PNG of the expression labels over time.")]
SearchSide = Annotated[int, typer.Option(min=32, help="Longer side in px that faces are searched at.")]
