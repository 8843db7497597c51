"""An audit as files: audit.json for machines, a Parquet table of rows a finding, report.html for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mien import __version__
from mien.core.errors import MienError
from mien.core.files import atomic_folder, write_json
from mien.data.audit.finding import Finding
from mien.data.audit.page import write_page
from mien.data.audit.run import Audit
from mien.data.dataset import Dataset

FORMAT = 1
JSON, PAGE, TABLES = "audit.json", "report.html", "findings"


def write(audit: Audit, folder: Path) -> dict[str, Any]:
    """Write all files into `folder`, in place of an earlier audit's, and return what audit.json holds.

    Raises:
        MienError: as `check_place`.
    """
    check_place(folder)
    with atomic_folder(folder / TABLES) as tables:
        for finding in audit.findings:
            if len(finding.rows):
                pq.write_table(table_of(finding, audit.data), tables / f"{finding.name}.parquet")
        # The page takes longest: an audit that is interrupted there leaves nothing without its audit.json.
        write_page(audit, folder / PAGE)
    summary = to_json(audit)
    # Last, so that it stands for a complete audit.
    write_json(folder / JSON, summary)
    return summary


def check_place(folder: Path) -> None:
    """Raise MienError where `folder` has files under an audit's names and no audit.json to show that one wrote them."""
    found = [name for name in (TABLES, PAGE) if (folder / name).exists()]
    if found and not (folder / JSON).is_file():
        raise MienError(
            f"{folder} has {' and '.join(found)}, but no {JSON}: no audit wrote them",
            hint="choose another --out, or delete what an interrupted audit left",
        )


def table_of(finding: Finding, data: Dataset) -> pa.Table:
    """The rows of a finding with where they come from, their label and split, and the finding's own columns."""
    manifest = data.table.take(pa.array(finding.rows))
    names = np.array([*data.labels.names, ""])
    columns = {
        "row": pa.array(finding.rows),
        "source": manifest.column("source"),
        "label": pa.array(names[data.label[finding.rows]].tolist(), pa.string()),
        "split": manifest.column("split"),
    }
    return pa.table(columns | {name: pa.array(values) for name, values in finding.columns.items()})


def to_json(audit: Audit) -> dict[str, Any]:
    """Everything but the rows themselves, as plain values."""
    info = audit.data.info
    return {
        "format": FORMAT,
        "mien": __version__,
        "data": {"name": info.name, "fingerprint": info.fingerprint, "count": info.count, "labels": list(info.labels)},
        "worst": str(audit.worst),
        "findings": [_finding(finding) for finding in audit.findings],
        "seconds": {name: round(seconds, 2) for name, seconds in audit.seconds.items()},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "severity": str(finding.severity),
        "verdict": finding.verdict,
        "why": finding.why,
        "action": finding.action,
        "figures": {name: _plain(value) for name, value in finding.figures.items()},
        "rows": len(finding.rows),
        "table": f"{TABLES}/{finding.name}.parquet" if len(finding.rows) else None,
    }


def _plain(value: Any) -> Any:
    """A value that JSON knows; what is not finite becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
