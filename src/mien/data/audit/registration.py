"""Where a picture seen in training lies in the same picture seen in evaluation: its scale and the part of it shown.

Scales are tried one by one; the place is found by normalised cross-correlation (Lewis 1995, "Fast Normalized
Cross-Correlation"), upright and mirrored. Rotation, erased squares and other changes lower the correlation and are
not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float32]
# 8 % apart, from faces 2.5 times smaller to 2.5 times larger in training than in evaluation.
SCALES = np.exp(np.linspace(np.log(0.4), np.log(2.5), 25))
MOST_REGISTERED = 40
# Correlations below this are no match at all.
_MATCH = 0.4
_MARGIN = 0.2  # of the side: how far training may look beyond evaluation's border
_LEAST = 8  # px: smaller templates match anything
_LARGEST = 64  # px: larger pictures are shrunk first


@dataclass(frozen=True)
class Views:
    """How training shows m pictures, compared with evaluation.

    Attributes:
        scale: size of a face in pixels in training, in units of its size in evaluation (m,).
        share: part of evaluation's picture that training shows, by area, 0 to 1 (m,).
        matched: which of them could be registered (m,).
    """

    scale: NDArray[np.float64]
    share: NDArray[np.float64]
    matched: NDArray[np.bool_]


def register(training: NDArray[np.floating], evaluation: NDArray[np.floating]) -> Views:
    """Views of up to `MOST_REGISTERED` pictures: inputs (n, C, h, w) and (n, C, h′, w′), the same in the same order."""
    rows = np.linspace(0, len(training) - 1, min(len(training), MOST_REGISTERED)).astype(int)
    found = [_register(_grey(training[i]), _grey(evaluation[i])) for i in rows]
    scale, share, correlation = (np.array(values, np.float64) for values in zip(*found, strict=True))
    return Views(scale, share, correlation >= _MATCH)


def _grey(inputs: NDArray[np.floating]) -> Picture:
    """The mean of the channels (C, h, w) as (h, w)."""
    return np.ascontiguousarray(inputs.mean(0), np.float32)


def _register(training: Picture, evaluation: Picture) -> tuple[float, float, float]:
    """Scale, share and correlation of the best match."""
    shrink = min(1.0, _LARGEST / max(*training.shape, *evaluation.shape))
    training, evaluation = (_resized(x, shrink) for x in (training, evaluation))
    fields = {False: _Field.of(evaluation), True: _Field.of(training)}
    best = (-np.inf, 1.0, 0.0)
    for scale in SCALES:
        # The one that shows less of the face is shrunk to the other's scale and looked for in it.
        wider = bool(training.shape[0] / scale > evaluation.shape[0])
        window = _resized(evaluation, scale) if wider else _resized(training, 1 / scale)
        correlation = max(fields[wider].best_correlation(each) for each in (window, window[:, ::-1]))
        # The explained log likelihood of a normal model: a small window needs a better match than a large one.
        score = -window.size * np.log1p(-(min(correlation, 0.9999) ** 2))
        best = max(best, (score, float(scale), correlation))
    _, scale, correlation = best
    sides = [min(a / scale / b, 1.0) for a, b in zip(training.shape, evaluation.shape, strict=True)]
    return scale, sides[0] * sides[1], correlation


def _resized(picture: Picture, factor: float) -> Picture:
    if factor == 1:
        return picture
    height, width = (max(round(side * factor), 1) for side in picture.shape)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=None))


@dataclass(frozen=True)
class _Field:
    """A picture with a reflected margin in which windows are looked for: its spectrum, and sums from the corner."""

    shape: tuple[int, int]
    spectrum: NDArray[np.complexfloating]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, picture: Picture) -> _Field:
        margin = [(round(_MARGIN * side),) * 2 for side in picture.shape]
        field = np.pad(picture, margin, mode="reflect")
        height, width = field.shape
        return cls((height, width), np.fft.rfft2(field), _from_corner(field), _from_corner(np.square(field)))

    def best_correlation(self, window: Picture) -> float:
        """The highest normalised cross-correlation with any place, 0 to 1; 0 for a window that is flat or too small."""
        height, width = window.shape
        centred = window - window.mean()
        norm = float(np.sqrt(np.square(centred).sum()))
        if norm == 0 or min(height, width) < _LEAST or height > self.shape[0] or width > self.shape[1]:
            return 0.0
        product = np.fft.irfft2(self.spectrum * np.conj(np.fft.rfft2(centred, self.shape)), self.shape)
        product = product[: self.shape[0] - height + 1, : self.shape[1] - width + 1]
        total, squares = (_within(table, height, width) for table in (self.sums, self.squares))
        deviation = np.sqrt(np.maximum(squares - total**2 / window.size, 0))
        # Where the field is flat there is nothing to correlate with.
        least = 1e-3 * float(deviation.max()) + 1e-9
        return float(np.where(deviation > least, product / (np.maximum(deviation, least) * norm), 0).max(initial=0))


def _from_corner(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sums over all rectangles that start at the first corner, from 0×0 on."""
    return np.pad(values.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))


def _within(table: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Sums over all windows of height×width."""
    rows = table[height:] - table[:-height]
    return np.asarray(rows[:, width:] - rows[:, :-width], np.float64)
