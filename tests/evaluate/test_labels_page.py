"""docs/labels.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mien.core.labels import KNOWN, canonical
from mien.core.recipe import LossConfig
from mien.data.split import USAGE

PAGE = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")


def table(header: str) -> dict[str, list[str]]:
    """Rows of the table whose first column is `header`: first cell → cells after it."""
    body = PAGE.split(f"| {header} |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_label_set_is_there_in_the_order_of_its_ids() -> None:
    page = {name: tuple(cells[0].split(", ")) for name, cells in table("set").items()}
    assert page == {name: labels.names for name, labels in KNOWN.items()}


def test_synonyms_mean_what_the_page_says() -> None:
    page = {name: cells[0].split(", ") for name, cells in table("preferred").items()}
    assert {canonical(name) for labels in KNOWN.values() for name in labels.names} == set(page)
    for name, others in page.items():
        assert {canonical(other) for other in others} == {name}


def test_every_vote_scheme_is_there_and_the_default_is_the_one_marked() -> None:
    page = re.findall(r"^\| `([a-z-]+)`( \(default\))? \|.*\d+,\d+ \|$", PAGE, flags=re.MULTILINE)
    annotation = LossConfig.model_fields["vote_scheme"].annotation
    assert {name for name, _ in page} == set(annotation.__args__)
    assert [name for name, marked in page if marked] == [LossConfig().vote_scheme]


@pytest.mark.parametrize("word", [*USAGE.values(), "`train`, `val` and `test`"])
def test_splits_are_named(word: str) -> None:
    assert word in PAGE
