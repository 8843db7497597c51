"""What remedies have gained in this project's own measurements: a table beside this file, each row with its place."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from mien.core.spec import Frozen
from mien.diagnose.verdict import Verdict


class Gain(Frozen):
    """What was measured of a verdict's remedy.

    Attributes:
        says: the figures in words, with net, data and number of seeds.
        page: the document that holds them.
        row: a piece of that document, word for word.
        remedy: how the verdict's advice must begin: other advice of the same verdict was not measured.
    """

    says: str
    page: str
    row: str
    remedy: str = ""


@cache
def gains() -> dict[str, Gain]:
    """By name of the verdict; a verdict that is not there was not measured."""
    tree = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {name: Gain.model_validate(row) for name, row in tree.items()}


def expected_gain(verdict: Verdict) -> str | None:
    """What was measured of a verdict's advice and where it stands; None: nothing."""
    gain = gains().get(verdict.name)
    if gain is None or not verdict.try_first.startswith(gain.remedy):
        return None
    return f"{gain.says}; {gain.page}"
