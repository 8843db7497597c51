"""Pictures that the source names but that could not be read when it was imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mien.data.audit.finding import Figure, Finding, Severity
from mien.data.audit.unusable import by_share
from mien.data.dataset import Dataset
from mien.data.rejects import FILE_NAME, Reject, read
from mien.page.words import listed, percent, plural

_LISTED = 3
_WHY = "They are missing from the set: it is not the one that others measured on."


def check(data: Dataset) -> list[Finding]:
    """What the import of a packed set left in its rejects.csv. Raises MienError when that cannot be read."""
    if "parent" in data.info.provenance:
        return [_not_known(data.info.provenance.get("parent_name"))]
    path = data.path / FILE_NAME if data.path is not None else None
    rejects = read(path) if path is not None and path.is_file() else []
    return [corrupt(rejects, len(data))]


def _not_known(parent: object) -> Finding:
    """Of a set that was made of another: what the other's import could not read is no share of this one."""
    return Finding(
        name="corrupt",
        severity=Severity.FINE,
        verdict=f"Not known for a derived set: audit the set that it was made of{f', {parent}' if parent else ''}.",
        why=_WHY,
        figures={"pictures": None, "share": None},
    )


def corrupt(rejects: Sequence[Reject], taken: int) -> Finding:
    """The finding `corrupt` of an import that took so many pictures; what was left out on purpose does not count."""
    damaged = [one for one in rejects if one.kind == "damaged"]
    count, whole = len(damaged), len(damaged) + taken
    reasons = Counter(_kind_of(one.reason) for one in damaged).most_common(_LISTED)
    figures: dict[str, Figure] = {"pictures": count, "share": round(count / max(whole, 1), 6)}
    said = listed([f"{reason} ({n:,})" for reason, n in reasons])
    return Finding(
        name="corrupt",
        severity=by_share(count, whole),
        verdict=(
            f"{plural(count, 'picture')} of the source ({percent(count / whole, 2)}) could not be taken: {said}."
            if count
            else "Every picture of the source could be read, as far as its import told."
        ),
        why=_WHY,
        action=f"See {FILE_NAME} in the packed set; fetch those files again and import anew." if count else "",
        figures=figures | {f"reason_{i}": f"{reason}: {n}" for i, (reason, n) in enumerate(reasons, 1)},
    )


def _kind_of(reason: str) -> str:
    """A reason without what is particular to one file: what follows a bracket, and numbers."""
    return re.sub(r"\d[\d,.]*", "…", reason.partition(" (")[0]).strip()
