"""`mien diagnose`: why a run is stuck, in words, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.markup import escape

from mien.cli.output import console, print_json
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.data.dataset import Dataset
from mien.diagnose.evidence import Answers, Fed
from mien.diagnose.judge import Diagnosis, diagnose
from mien.diagnose.reading import Extra, evaluated_answers, read_evidence, stored_answers
from mien.diagnose.verdict import NOT_MEASURED
from mien.evaluate.answerer import open_answerer
from mien.evaluate.evaluate import evaluate
from mien.train.fed_check import fed_facts

app = typer.Typer(add_completion=False)
SHOWN = 3


@app.command()
def command(
    path: Path = typer.Argument(..., metavar="RUN", help="Run folder, finished or not."),
    data: Path | None = typer.Option(None, "--data", help="Packed data set (default: where the run was trained)."),
    audit: Path | None = typer.Option(None, "--audit", help="Folder or audit.json of `mien data audit`."),
    as_json: bool = typer.Option(False, "--json", help="Print what diagnosis.json holds."),
) -> None:
    """Say what happened in a run, the evidence, how sure, and what to try first. Writes diagnosis.json into the run.

    Exit code 0 whatever is found: a diagnosis is no check.
    """
    diagnosis = examine(path, data=data, audit=audit)
    if as_json:
        print_json(diagnosis.to_json())
    else:
        _print(diagnosis, RunDir(path))


def examine(path: Path, *, data: Path | None = None, audit: Path | None = None) -> Diagnosis:
    """Diagnose a run folder and write its diagnosis.json.

    Raises:
        MienError: no run, or damaged files, or data other than it was trained on.
    """
    run = RunDir(path).require()
    packed, missing = _data(run, data)
    extra = Extra(
        fed=None if packed is None else _fed(run, packed, missing),
        answers=_answers(run, packed, missing),
        audit=_audit(audit, packed),
    )
    diagnosis = diagnose(read_evidence(run, packed, extra), missing=tuple(missing))
    write_json(run.diagnosis, diagnosis.to_json())
    return diagnosis


def _data(run: RunDir, given: Path | None) -> tuple[Dataset | None, list[str]]:
    """The run's data, or None and a note."""
    try:
        packed = datasets.load(given or run.data_path())
    except MienError:
        if given is not None:
            raise
        return None, ["the data (not where it was; --data PACKED)"]
    if packed.info.fingerprint != run.read_json(run.data).get("fingerprint"):
        raise MienError(f"{packed.path}: not the data that {run.path} was trained on", hint="--data PACKED")
    return packed, []


def _fed(run: RunDir, packed: Dataset, missing: list[str]) -> Fed | None:
    try:
        return fed_facts(packed, recipes.read(str(run.recipe)))
    except MienError as error:
        missing.append(f"what the net is fed ({error.message})")
        return None


def _answers(run: RunDir, packed: Dataset | None, missing: list[str]) -> Answers | None:
    """Predictions of val: the run's own, or made now."""
    stored = stored_answers(run)
    if stored is not None:
        return stored
    try:
        if packed is None or not run.best.is_file():
            raise MienError("no predictions, and no data or weights to make them")
        return evaluated_answers(evaluate(open_answerer(run.path), packed), packed)
    except MienError as error:
        missing.append(f"predictions ({error.message})")
        return None


def _audit(given: Path | None, packed: Dataset | None) -> dict[str, object] | None:
    """The summary of an audit. Raises MienError when the file that was named cannot be read or is of other data."""
    if given is None:
        return None
    path = given / "audit.json" if given.is_dir() else given
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        of = summary["data"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MienError(f"{path}: no summary of an audit ({error})", hint="mien data audit DATA") from None
    if packed is not None and of != packed.info.fingerprint:
        raise MienError(f"{path}: an audit of other data than the run's")
    return dict(summary)


def _print(diagnosis: Diagnosis, run: RunDir) -> None:
    found = diagnosis.verdicts
    faults = [v for v in found if v.severity != "note"]
    if diagnosis.healthy:
        console.print("[bold]Nothing found.[/bold]")
    for verdict in (faults or list(found))[:SHOWN]:
        where = f", epoch {verdict.epoch}" if verdict.epoch else ""
        console.print(
            f"[bold]{escape(verdict.title)}[/bold] ({verdict.confidence} confidence{where}). {escape(verdict.evidence)}"
        )
        console.print(f"  → {verdict.try_first} · expected gain: {verdict.expected_gain or NOT_MEASURED}", markup=False)
    more = len(found) - min(len(faults or found), SHOWN)
    rest = f"{more} more in " if more > 0 else ""
    console.print(f"[dim]{rest}{run.diagnosis}[/dim]")
    if diagnosis.facts["not_looked_at"]:
        console.print(f"not looked at: {'; '.join(diagnosis.facts['not_looked_at'])}", style="dim", markup=False)
