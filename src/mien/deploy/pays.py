"""Whether a smaller file of a model pays: what it loses in accuracy, and how much faster it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from mien.core.errors import MienError
from mien.core.picture import Pixels
from mien.data.dataset import Dataset
from mien.deploy.card_data import Comparison, Precision
from mien.deploy.quantize import PRECISION_KEY
from mien.deploy.runtime import Predictor
from mien.evaluate.answerer import OnnxAnswerer
from mien.evaluate.evaluate import evaluate

MOST_LOST = 0.005  # of accuracy, in any kind of truth
# An answer takes about a millisecond: turns so short that a busy machine slows both files alike.
TURNS, ANSWERS_A_TURN = 30, 30


def compare(
    fp32: Path,
    smaller: Path,
    dataset: Dataset,
    *,
    split: str = "val",
    calibration_pictures: int = 0,
    turns: int = TURNS,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Measure both files on the pictures of a split, and by turns on one thread.

    int8 pays where it is faster and loses at most half a point; fp16, which computes in fp32, where it is smaller and
    loses no more than that.

    Args:
        fp32: the exported file.
        smaller: what `quantize` made of it.
        dataset: packed pictures that neither training nor calibration has seen.
        split: whose pictures.
        calibration_pictures: how many the smaller file was calibrated on, for the record.
        turns: of each file; the speed is that of the median turn.
        progress: called with the number of pictures done since the last call; both files count.

    Raises:
        MienError: the smaller file says that it is fp32, a split that is empty or has nothing to score.
    """
    before, after = OnnxAnswerer(fp32), OnnxAnswerer(smaller)
    precision = _precision(after.spec.provenance, smaller)
    old = evaluate(before, dataset, split=split, progress=progress).scores
    new = evaluate(after, dataset, split=split, progress=progress).scores
    if not old:
        raise MienError(f"split {split!r} has nothing to score", hint="choose a labelled split")
    change = {kind: new[kind].metrics.accuracy - score.metrics.accuracy for kind, score in old.items()}
    faces = np.asarray(dataset.images[dataset.rows(split)[:ANSWERS_A_TURN]])
    ratio = speed_ratio(fp32, smaller, faces, turns=turns)
    gains = ratio > 1 if precision == "int8" else smaller.stat().st_size < fp32.stat().st_size
    return Comparison(
        precision=precision,
        calibration_pictures=calibration_pictures,
        bytes=smaller.stat().st_size,
        fp32_bytes=fp32.stat().st_size,
        accuracy_change=change,
        speed_ratio=ratio,
        pays=gains and min(change.values()) >= -MOST_LOST,
    )


def speed_ratio(first: Path, second: Path, faces: Pixels, *, turns: int = TURNS) -> float:
    """Time of the first file over that of the second, one face at a time on one thread: median over paired turns."""
    models = [Predictor(path, threads=1) for path in (first, second)]
    for model in models:
        _turn(model, faces)  # warm-up
    return median(_turn(models[0], faces) / _turn(models[1], faces) for _ in range(turns))


def _turn(model: Predictor, faces: Pixels) -> float:
    """Seconds to answer the faces one by one."""
    begun = time.perf_counter()
    for i in range(len(faces)):
        model.probabilities(faces[i : i + 1])
    return time.perf_counter() - begun


def _precision(provenance: dict[str, str], path: Path) -> Precision:
    known: dict[str, Precision] = {"fp16": "fp16", "int8": "int8"}
    found = provenance.get(PRECISION_KEY, "fp32")
    if found not in known:
        raise MienError(f"{path}: is {found}, there is nothing to compare", hint="mien quantize makes int8 and fp16")
    return known[found]
