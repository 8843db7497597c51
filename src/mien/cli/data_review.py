"""`mien data review`: a page on this machine to decide on doubtful labels."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import typer

from mien.cli.output import console
from mien.core.errors import MienError
from mien.core.errors import command as shell
from mien.data.corrections import FILE_NAME
from mien.data.dataset import load
from mien.data.review.server import ReviewServer
from mien.data.review.session import Session
from mien.data.target import AUDIT


def review(
    folder: Path = typer.Argument(metavar="DIR", help="A packed set that was audited, or the folder of its audit."),
    data: Path | None = typer.Option(None, help="The packed set, where DIR is an audit outside of it."),
    port: int = typer.Option(0, min=0, max=65535, help="Of the page; 0 takes a free one."),
    browser: bool = typer.Option(True, help="Open the page in the browser."),
) -> None:
    """Show doubtful labels, the worst first, and write each decision to corrections.csv. Ctrl+C ends it."""
    packed, file = _find(folder, data)
    session = Session(load(packed), file)
    with ReviewServer(session, port=port) as server:
        console.print(f"review {file} at {server.url}\nCtrl+C ends it; every decision is kept", markup=False)
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            counts = ", ".join(f"{count:,} {name}" for name, count in session.counts().items())
            console.print(f"{file}: {counts}", markup=False)


def _find(folder: Path, data: Path | None) -> tuple[Path, Path]:
    """The packed set and its file of corrections. Raises MienError when one of them is not to be found."""
    inside = folder / AUDIT / FILE_NAME
    file = inside if inside.is_file() else folder / FILE_NAME
    if not file.is_file():
        raise MienError(f"{folder}: no {FILE_NAME}", hint=f"{shell('data', 'audit', folder, '--labels')} writes one")
    packed = data or next((p for p in (folder, folder.parent) if (p / "dataset.json").is_file()), None)
    if packed is None:
        raise MienError(f"{folder}: not in a packed set", hint="name the set with --data")
    return packed, file
