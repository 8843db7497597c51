"""An images.npy that grows block by block, so that a data set never has to fit into memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_ROWS_AT_ONCE = 1024


class PixelFile:
    """Appends pictures of one shape to an .npy file; its header is set right when the block ends."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.count = 0
        self._shape = shape
        self._file = path.open("wb")
        self._start = self._write_header()

    def _write_header(self) -> int:
        # numpy leaves room for the first dimension to grow to 21 digits, so that a rewrite has the same length.
        self._file.seek(0)
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        npy.write_array_header_1_0(self._file, header)
        return self._file.tell()

    def append(self, images: Pixels) -> None:
        """Add pictures (n, *shape)."""
        self._file.write(np.ascontiguousarray(images, np.uint8).data)
        self.count += len(images)

    def __enter__(self) -> PixelFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._write_header() != self._start:
                raise RuntimeError("the header of an .npy file changed its length")
        finally:
            self._file.close()


def drop_colour(path: Path) -> None:
    """Rewrite (N, H, W, 3) pixels whose channels are all equal as (N, H, W)."""
    colour = np.load(path, mmap_mode="r", allow_pickle=False)
    grey = path.with_name("grey.npy")
    with PixelFile(grey, colour.shape[1:3]) as file:
        for first in range(0, len(colour), _ROWS_AT_ONCE):
            file.append(colour[first : first + _ROWS_AT_ONCE, ..., 0])
    grey.replace(path)


def copy_rows(images: Pixels, kept: NDArray[np.bool_], path: Path) -> None:
    """Write those pictures of (N, …) for which `kept` (N,) holds to an .npy file, a thousand at a time."""
    with PixelFile(path, images.shape[1:]) as file:
        for first in range(0, len(images), _ROWS_AT_ONCE):
            file.append(images[first : first + _ROWS_AT_ONCE][kept[first : first + _ROWS_AT_ONCE]])
