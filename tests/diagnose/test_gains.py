"""What is said to be gained stands in the document that is named, and is of a verdict that exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from evidence_toys import healthy, one, recipe, splits

from mien.diagnose.gains import expected_gain, gains
from mien.diagnose.judge import ORDER
from mien.diagnose.verdict import Verdict

ROOT = Path(__file__).parents[2]


def said(name: str, try_first: str = "") -> Verdict:
    return Verdict(name, "title", "what", "evidence", "high", "severe", try_first)


@pytest.mark.parametrize("verdict", sorted(gains()))
def test_the_row_stands_in_its_page(verdict: str) -> None:
    gain = gains()[verdict]
    assert verdict in ORDER
    assert gain.row in (ROOT / gain.page).read_text(encoding="utf-8")
    told = expected_gain(said(verdict, gain.remedy))
    assert told is not None
    assert told.endswith(gain.page)


def test_what_was_not_measured_has_no_gain() -> None:
    assert expected_gain(said("learning-rate-too-high")) is None


def test_the_figures_said_are_those_of_the_row() -> None:
    for name, figures in {"validation-leaked": ("69.0", "66.9")}.items():
        assert all(figure in gains()[name].says and figure in gains()[name].row for figure in figures)


def test_what_a_net_that_was_too_modest_gained_is_not_promised_to_one_that_is_too_sure() -> None:
    assert expected_gain(said("over-confident")) is None


def test_the_gain_of_dropping_copies_is_not_promised_to_who_trains_on_validation() -> None:
    copies = replace(healthy(), splits=splits(0.3))
    trained = replace(healthy(), recipe=recipe(data={"train_on_val": True}))
    assert one(copies, "validation-leaked").expected_gain is not None
    assert one(trained, "validation-leaked").expected_gain is None
