"""`mien data audit`: what is wrong with a packed set, before anyone trains on it."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.data_shown import check_settings
from mien.core import recipe as recipes
from mien.data.audit.finding import Severity
from mien.data.target import AUDIT


def command(
    packed: Path = typer.Argument(help="A packed data set."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder for the files. PACKED/audit if not given."),
    recipe: str | None = typer.Option(None, help="Look at what this recipe feeds the net, too: name or TOML file."),
    settings: list[str] = typer.Option([], "--set", help="Change the recipe: key.path=value; repeatable."),
    labels: bool = typer.Option(False, "--labels", help="Judge the labels as well: trains small nets for minutes."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Look for copies, leaks, bad pictures, odd splits and imbalance; with --labels for wrong labels, too.

    Writes report.html, audit.json and a Parquet table of rows for each finding. Ends with 1 when a finding is severe.
    """
    check_settings(recipe, settings)
    # scikit-learn, scipy and matplotlib take seconds to load, for which the other verbs of `mien data` need not wait.
    from mien.cli.audit_run import run

    chosen = recipes.read(recipe, settings) if recipe else None
    worst = run(packed, out or packed / AUDIT, recipe=chosen, labels=labels, as_json=as_json)
    if worst == Severity.SEVERE:
        raise typer.Exit(1)
