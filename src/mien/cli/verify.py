"""`mien verify`: a file against the weights it was made from, or against its card, on real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from mien.cli.output import console, print_json, progress
from mien.core.errors import MienError
from mien.core.errors import command as shell
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.deploy.card_check import CardReport, verify_card
from mien.deploy.locate import model_file
from mien.deploy.shipped import is_name, shipped
from mien.deploy.verify import LIMIT, TOLERANCE, VerifyReport, require_weights, verify

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    run: Path = typer.Argument(help="Run folder, or a weights file with --model and data; with --card the model."),
    packed: Path | None = typer.Argument(None, metavar="[DATA]", help="As --data."),
    model: Path | None = typer.Option(None, "--model", "-m", help="Exported file; else that of the run."),
    data: Path | None = typer.Option(None, help="Packed data set; else the one the run was trained on."),
    weights: Literal["best", "last"] = typer.Option("best", help="Which weights of a run were exported."),
    split: str = typer.Option("val", help="train, val or test."),
    limit: int = typer.Option(LIMIT, min=1, help="At most so many pictures, spread over the split."),
    tolerance: float = typer.Option(TOLERANCE, min=0, help="Largest difference of a probability that passes."),
    card: bool = typer.Option(False, "--card", help="Measure a shipped model again and compare with its card."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Compare probabilities of the weights in torch (fp32) and of the exported file in ONNX Runtime.

    Exit code 1: some probability differs by more than the tolerance. With --card MODEL DATA the figures in the tables
    of the card beside a shipped model are measured from the file; exit code 1: one differs beyond rounding.
    """
    data = data or packed
    if card:
        raise typer.Exit(_card(run, data, as_json=as_json))
    if is_name(run) and run.name in shipped():
        raise MienError(
            f"{run}: comes with mien without the weights it was made from",
            hint=f"{shell('verify', '--card', run, data or 'DATA')} measures what its card says",
        )
    require_weights(run)
    exported = model_file(model or run)
    dataset = datasets.load(data or RunDir(run).data_path())
    source = RunDir(run).last if weights == "last" and run.is_dir() else run
    report = verify(source, exported, dataset, split=split, limit=limit, tolerance=tolerance)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    raise typer.Exit(0 if report.passed else 1)


def _card(model: Path, data: Path | None, *, as_json: bool) -> int:
    """The exit code of the comparison with a card."""
    if data is None:
        raise MienError("a card is checked on your own copy of the data", hint="mien verify --card MODEL DATA")
    file, dataset = model_file(model), datasets.load(data)
    with progress("pictures") as bar:
        task = bar.add_task("measuring", total=None, note="")
        report = verify_card(file, dataset, progress=lambda done: bar.advance(task, done))
    print_json(report.to_json()) if as_json else _print_card(report)
    return 0 if report.passed else 1


def _print_card(report: CardReport) -> None:
    console.print(f"{report.model} on {report.dataset}, split {report.split}: {report.compared} figures", markup=False)
    for one in report.differences:
        console.print(f"{one.what}: the card says {one.card}, measured {one.found}", markup=False)
    verdict = "[green]as the card says[/green]" if report.passed else "[red]not what the card says[/red]"
    console.print(f"{verdict} (tolerance {report.tolerance:.0e})")


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
