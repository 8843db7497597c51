"""The audit's page: one HTML file for people, with every finding, its pictures and charts in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mien.core.files import write_text
from mien.data.audit.charts import draw
from mien.data.audit.finding import Figure, Finding, Severity, Sheet
from mien.data.audit.run import Audit
from mien.data.dataset import Dataset
from mien.page.drawing import picture_uri
from mien.page.render import render
from mien.page.words import listed, plural

LARGEST_SHOWN = 96  # px a side; more makes a heavy page and shows no more
MOST_SHEETS = 12


def write_page(audit: Audit, path: Path) -> None:
    """Write the page to `path`."""
    write_text(path, render("mien.data.audit", "page.html.j2", _parts(audit)))


def headline(findings: tuple[Finding, ...]) -> str:
    """One sentence on all findings together."""
    count = {severity: sum(f.severity == severity for f in findings) for severity in Severity}
    found = [
        f"{count[Severity.SEVERE]} severe" if count[Severity.SEVERE] else "",
        plural(count[Severity.WARNING], "warning") if count[Severity.WARNING] else "",
        plural(count[Severity.NOTE], "note") if count[Severity.NOTE] else "",
    ]
    found = [text for text in found if text]
    looked = plural(len(findings), "thing")
    if not found:
        return f"This set is clean: {looked} looked for, nothing found."
    if count[Severity.SEVERE] or count[Severity.WARNING]:
        return f"{looked} looked for: {listed(found)}."
    return f"No trouble in this set: {looked} looked for, nothing but {listed(found)}."


def _parts(audit: Audit) -> dict[str, Any]:
    """The template's variables."""
    info = audit.data.info
    ordered = sorted(audit.findings, key=lambda finding: -finding.severity.rank)
    return {
        "title": f"Audit of {info.name}",
        "headline": headline(audit.findings),
        "about": f"{plural(info.count, 'picture')} of {info.width}×{info.height} px in {len(info.labels)} classes, "
        f"fingerprint {info.fingerprint[:12]}.",
        "findings": [_shown(finding, audit.data, place) for place, finding in enumerate(ordered)],
        "seconds": sum(audit.seconds.values()),
    }


def _shown(finding: Finding, data: Dataset, place: int) -> dict[str, Any]:
    return {
        "f": finding,
        "title": finding.name.replace("-", " ").capitalize(),
        "figures": [(name.replace("_", " "), _figure(value)) for name, value in finding.figures.items()],
        "charts": [draw(plot, salt=f"{place}.{i}") for i, plot in enumerate(finding.plots)],
        "sheets": [_strip(sheet, data) for sheet in finding.sheets[:MOST_SHEETS]],
    }


def _figure(value: Figure) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else value


def _strip(sheet: Sheet, data: Dataset) -> dict[str, Any]:
    """Caption, and each picture as its data URI with the text below it."""
    pictures = [data.images[row] for row in sheet.rows.tolist()] if sheet.pictures is None else list(sheet.pictures)
    under = sheet.under or (_labels(sheet, data) if sheet.pictures is None else ("",) * len(pictures))
    uris = [picture_uri(np.asarray(picture), largest=LARGEST_SHOWN) for picture in pictures]
    return {"caption": sheet.caption, "pictures": list(zip(uris, under, strict=True))}


def _labels(sheet: Sheet, data: Dataset) -> tuple[str, ...]:
    names = [*data.labels.names, "no label"]
    return tuple(f"{names[data.label[row]]}, {data.split[row]}" for row in sheet.rows.tolist())
