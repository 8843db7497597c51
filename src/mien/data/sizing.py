"""Which height, width and channels a packed set gets."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

from mien.core.errors import MienError
from mien.data.formats.base import Notes, Shape

LARGEST_DEFAULT = 224
_SMALLEST, _LARGEST = 8, 1024  # px a side that --size may ask for
Colour = Literal["auto", "grey", "colour"]


def choose_shape(survey: Counter[Shape], notes: Notes, *, size: int | None = None, colour: Colour = "auto") -> Shape:
    """The one shape for all pictures; what was decided goes to `notes`.

    The size is `size`, or the pictures' own when they all agree on one up to 1024 px a side, or else the median of
    their shorter sides, but at most `LARGEST_DEFAULT`. Channels are 3 when any file has colour (the caller may find
    that none shows any).

    Raises:
        MienError: no picture can be read, or `size` is not between 8 and 1024.
    """
    if not survey:
        raise MienError("no picture in the source can be read", hint="check that its files are pictures")
    check_size(size)
    sizes = Counter[tuple[int, int]]()
    for shape, count in survey.items():
        sizes[shape.height, shape.width] += count
    height, width = _size(sizes, size, notes)
    files_have_colour = any(shape.channels == 3 for shape in survey)
    channels = {"auto": 3 if files_have_colour else 1, "grey": 1, "colour": 3}[colour]
    return Shape(height, width, channels)


def check_size(size: int | None) -> None:
    """Raise MienError unless `size`, in pixels a side, is one that a packed set may have; None leaves it open."""
    if size is not None and not _SMALLEST <= size <= _LARGEST:
        raise MienError(f"a side of {size} pixels is not between {_SMALLEST} and {_LARGEST}", hint="--size 48")


def _size(sizes: Counter[tuple[int, int]], size: int | None, notes: Notes) -> tuple[int, int]:
    wanted = (size, size) if size else None
    agreed = next(iter(sizes)) if len(sizes) == 1 else None
    if agreed is not None and (wanted == agreed or (wanted is None and max(agreed) <= _LARGEST)):
        if min(agreed) < _SMALLEST:
            notes.add(f"the pictures have only {agreed[1]}×{agreed[0]} px: little to learn from")
        return agreed
    if agreed is not None and wanted is None:
        notes.add(f"--size keeps more of such large pictures, up to {_LARGEST} px a side; {LARGEST_DEFAULT} is usual")
    if wanted is None:
        shorter = [min(pair) for pair in sizes.elements()]
        side = min(max(int(np.median(shorter)), _SMALLEST), LARGEST_DEFAULT)
        wanted = (side, side)
    notes.add(_resizing(sizes, wanted))
    return wanted


def _resizing(sizes: Counter[tuple[int, int]], wanted: tuple[int, int]) -> str:
    """What happens to the pictures, as a sentence."""
    target = f"{wanted[1]}×{wanted[0]}"
    if len(sizes) == 1:
        height, width = next(iter(sizes))
        return f"all pictures resized from {width}×{height} to {target}{'' if height == width else ', centre square'}"
    seen = ", ".join(f"{w}×{h}: {n:,}" for (h, w), n in sizes.most_common(3))
    more = f" and {len(sizes) - 3} more sizes" if len(sizes) > 3 else ""
    centre = "" if all(h == w for h, w in sizes) else ", those that are not square by their centre square"
    return f"the sizes differ: all resized to {target}{centre} (by the files: {seen}{more})"
