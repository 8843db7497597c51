"""`mien report`: everything a run knows, in one page."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.output import console, print_json
from mien.cli.writable import check_file
from mien.core.rundir import RunDir
from mien.evaluate.report_words import best_and_worst, near_chance
from mien.page.words import percent, plural
from mien.report.run_page import Written, write_run_report

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    run: Path = typer.Argument(help="Run folder."),
    data: Path | None = typer.Option(None, "--data", help="The packed set that was measured, if it has moved."),
    out: Path | None = typer.Option(None, "--out", "-o", help="The file to write; else report.html in the run."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """One self-contained page: summary, verdicts, curves, every label, mix-ups, pictures, recipe, environment, data.

    It shows what is there: run mien eval, diagnose and explain first, or again later.
    """
    if out is not None:
        check_file(out, endings=(".html", ".htm"))
    written = write_run_report(RunDir(run), data=data, out=out)
    if as_json:
        print_json(_facts(written))
    else:
        _print(written)


def _facts(written: Written) -> dict[str, object]:
    return {
        "report": str(written.path),
        "bytes": written.size,
        "accuracy": written.metrics.accuracy if written.metrics else None,
        "verdicts": sum(v.tone != "note" for v in written.verdicts),
        "notes": sum(v.tone == "note" for v in written.verdicts),
        "drawings": written.drawings,
        "missing": [command for _, command in written.missing],
    }


def _print(written: Written) -> None:
    if written.metrics:
        count = plural(written.metrics.count, "picture")
        console.print(f"{percent(written.metrics.accuracy, 1)} of {count} as labelled.", markup=False)
        if chance := near_chance(written.metrics):
            console.print(chance, markup=False)
        console.print(best_and_worst(written.metrics), markup=False)
    for verdict in [v for v in written.verdicts if v.tone != "note"][:1]:
        console.print(f"{verdict.title}. {verdict.what}", markup=False)
        if verdict.try_first:
            console.print(f"  → {verdict.try_first}", markup=False)
    for what, command in written.missing:
        console.print(f"{what}: {command}", style="dim", markup=False)
    console.print(f"\nOpen the report: {written.path} ({written.size / 1e6:.1f} MB)", markup=False)
