"""`mien data fetch`: a public data set from Kaggle, imported."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.data_shown import print_imported, summary_of_import
from mien.cli.output import bars, console, print_json
from mien.data.fetch import SETS, remote
from mien.data.fetch import fetch as fetch_data
from mien.data.pack import ImportOptions, import_data
from mien.data.target import check_target


def fetch(
    name: str = typer.Argument(help=f"Which set: {', '.join(SETS)}."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the packed data set to write."),
    handle: str | None = typer.Option(None, help="OWNER/NAME on Kaggle, for another copy of the set."),
    votes: Path | None = typer.Option(None, help="FER+ votes, such as fer2013new.csv."),
    force: bool = typer.Option(False, "--force", help="Replace a packed data set at --out."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Download a public data set with kagglehub and import it; says what to do by hand where that does not go."""
    wanted = remote(name, handle)
    check_target(out, force=force)
    if not json:
        console.print(f"fetching {name} from {wanted.page}", markup=False)
        console.print(f"· terms: {wanted.terms}", markup=False)
    source = fetch_data(wanted)
    with bars("pictures", "reading headers", "importing") as (surveying, tell):
        options = ImportOptions(votes=votes)
        imported = import_data(source, out, options=options, force=force, progress=tell, surveying=surveying)
    if json:
        print_json({**summary_of_import(imported), "page": wanted.page, "source": str(source)})
    else:
        print_imported(imported)
