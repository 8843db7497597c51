"""The document holds every limit as it stands, and every verdict has its place in the order."""

from __future__ import annotations

import re
from pathlib import Path

from mien.diagnose.judge import ORDER
from mien.diagnose.thresholds import Thresholds

ROOT = Path(__file__).parents[2]


def test_every_limit_is_documented_with_its_value() -> None:
    text = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    for name, field in Thresholds.model_fields.items():
        assert f"| `{name}` | {field.default:g} | {field.description} |" in text, name


def test_every_verdict_has_a_place() -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src" / "mien" / "diagnose").glob("*.py"))
    named = set(re.findall(r'Verdict\(\s*"([a-z-]+)"', sources))
    assert len(named) > 20
    assert named == set(ORDER)
