"""`mien verify`: an exported file against the weights it was made from, on real pictures."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from mien.cli.output import console, print_json
from mien.core.errors import MienError
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
    split: str = typer.Option("val", help="train, val or test."),
    limit: int = typer.Option(LIMIT, min=1, help="At most so many pictures, spread over the split."),
    tolerance: float = typer.Option(TOLERANCE, min=0, help="Largest difference of a probability that passes."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Compare probabilities of the weights in torch (fp32) and of the exported file in ONNX Runtime.

    Exit code 1: some probability differs by more than the tolerance.
    """
    exported = model_file(model or run)
    dataset = datasets.load(data or _recorded(run))
    report = verify(run, exported, dataset, split=split, limit=limit, tolerance=tolerance)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    raise typer.Exit(0 if report.passed else 1)


def _recorded(run: Path) -> Path:
    """Where the run says its data are."""
    facts = RunDir(run).require().data
    path = json.loads(facts.read_text(encoding="utf-8")).get("path") if facts.is_file() else None
    if not path or not Path(path).is_dir():
        raise MienError(f"{run}: the data set it was trained on is not where it was", hint="--data PACKED")
    return Path(path)


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
