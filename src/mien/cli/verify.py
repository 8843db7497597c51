"""`mien verify`: an exported file against the weights it was made from, on real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from mien.cli.output import console, print_json
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.deploy.locate import model_file
from mien.deploy.verify import LIMIT, TOLERANCE, VerifyReport, verify

app = typer.Typer(add_completion=False)


@app.command()
def command(
    run: Path = typer.Argument(help="Run folder, or a weights file with --model and --data."),
    model: Path | None = typer.Option(None, "--model", "-m", help="Exported file; else that of the run."),
    data: Path | None = typer.Option(None, help="Packed data set; else the one the run was trained on."),
    weights: Literal["best", "last"] = typer.Option("best", help="Which weights of a run were exported."),
    split: str = typer.Option("val", help="train, val or test."),
    limit: int = typer.Option(LIMIT, min=1, help="At most so many pictures, spread over the split."),
    tolerance: float = typer.Option(TOLERANCE, min=0, help="Largest difference of a probability that passes."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Compare probabilities of the weights in torch (fp32) and of the exported file in ONNX Runtime.

    Exit code 1: some probability differs by more than the tolerance.
    """
    exported = model_file(model or run)
    dataset = datasets.load(data or RunDir(run).data_path())
    source = RunDir(run).last if weights == "last" and run.is_dir() else run
    report = verify(source, exported, dataset, split=split, limit=limit, tolerance=tolerance)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    raise typer.Exit(0 if report.passed else 1)


def _print(report: VerifyReport) -> None:
    lines = [f"{report.model} against {report.weights}, {report.pictures:,} pictures of {report.dataset}"]
    lines += [
        f"{head.name}: largest difference of a probability {head.largest_difference:.1e}, "
        f"equal answers {100 * head.equal_answers:.2f} %"
        for head in report.heads
    ]
    console.print("\n".join(lines), markup=False)
    verdict = "[green]passed[/green]" if report.passed else "[red]failed[/red]"
    console.print(f"{verdict} (tolerance {report.tolerance:.0e})")
