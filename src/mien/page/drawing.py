"""Pictures and charts as text that goes into a page."""

from __future__ import annotations

import base64
import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

# Stand-ins that become the page's own colours, so that charts follow its light or dark scheme.
_COLOURS = {"#010101": "var(--ink)", "#020202": "var(--soft)", "#030303": "var(--line)", "#040404": "var(--accent)"}
INK, SOFT, LINE, ACCENT = _COLOURS


def picture_uri(pixels: NDArray[np.uint8], *, largest: int | None = None) -> str:
    """A picture as a data URI (PNG), shrunk to at most `largest` px a side."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if largest is not None:
        picture.thumbnail((largest, largest))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def svg(figure: Figure, *, salt: str) -> str:
    """The figure as an inline SVG element without outer size; the same figure gives the same text.

    `salt` keeps the names inside two figures of one page apart.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    for stand_in, colour in _COLOURS.items():
        drawn = drawn.replace(stand_in, colour)
    return drawn
