"""From a template that extends `base.html.j2` to the text of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from mien import __version__
from mien.page.words import percent


def render(package: str, template: str, parts: Mapping[str, Any]) -> str:
    """The page of `template`, a file of `package`, with `parts` as its variables; text in them is escaped."""
    loader = ChoiceLoader([PackageLoader(package, ""), PackageLoader("mien.page", "")])
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters["percent"] = percent
    return page.get_template(template).render(parts, version=__version__)
