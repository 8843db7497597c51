"""Letters in pictures: text that is no formula, and fonts that have the letters of labels in any script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

from mien.deploy.annotate import shown_name
from mien.deploy.fonts import font_file, in_ascii

_OWN = "DejaVu Sans"  # comes with matplotlib


def plain(text: str) -> str:
    """Text that matplotlib does not take for a formula; letters that no font here has become question marks."""
    return (text if drawable(text) else in_ascii(text)).replace("$", r"\$")


def drawable(text: str) -> bool:
    """Whether there is a font with every letter that matplotlib's own lacks."""
    lacking = _lacking(text)
    return not lacking or font_file(lacking) is not None


def shown(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as they stand in pictures; those that no font has are numbered, see `key`."""
    return tuple(plain(name if drawable(name) else shown_name(name, labels)) for name in labels)


def key(labels: Sequence[str]) -> str:
    """Which label each number in a picture is, in a sentence; "" where all of them can be drawn."""
    numbered = [f"{shown_name(name, labels)} is {name}" for name in labels if not drawable(name)]
    return f"No font here has the letters of these labels. In pictures {', '.join(numbered)}." if numbered else ""


def lettered(figure: Figure) -> Figure:
    """The figure, its texts with a further font of this machine for letters that matplotlib's own lacks."""
    for text in figure.findobj(Text):
        lacking = _lacking(text.get_text())
        file = font_file(lacking) if lacking else None
        if file is not None:
            text.set_fontfamily([_OWN, _family(file)])
    return figure


def _lacking(text: str) -> str:
    """The letters of a text that matplotlib's own font does not have."""
    return "".join(sorted({letter for letter in text if not letter.isspace() and ord(letter) not in _own_letters()}))


@cache
def _own_letters() -> frozenset[int]:
    return frozenset(get_font(findfont(_OWN)).get_charmap())


@cache
def _family(file: Path) -> str:
    """The name by which matplotlib finds a font file."""
    fontManager.addfont(str(file))
    return FontProperties(fname=str(file)).get_name()
