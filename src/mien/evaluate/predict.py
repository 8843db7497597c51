"""Asking a model about many pictures, a batch and a view at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.spec import ModelSpec
from mien.evaluate import tta
from mien.evaluate.answerer import Answerer, Answers, Pixels


def predict_probabilities(
    answerer: Answerer,
    images: Pixels,
    *,
    rows: NDArray[np.integer] | None = None,
    batch_size: int = 256,
    variants: Sequence[tta.Variant] = tta.PLAIN,
    progress: Callable[[int], None] | None = None,
) -> Answers:
    """Probabilities of every head for many pictures, read a batch at a time.

    Args:
        answerer: the model.
        images: uint8 (N, H, W) or (N, H, W, 3), such as a data set's memory map.
        rows: positions of the pictures wanted, in the order wanted; None: all.
        batch_size: pictures per batch; the answers do not depend on it.
        variants: views of each picture, see `tta.variants`; their probabilities are averaged, which
            unlike averaging logits keeps one over-confident view from deciding alone.
        progress: called with the number of pictures done since the last call.

    Returns:
        By name of head float32 (n, K), rows summing to 1.

    Raises:
        MienError: pictures of another size than the model takes, or answers that are not finite.
    """
    check_size(answerer.spec, images)
    wanted = np.arange(len(images)) if rows is None else rows
    answers = {h.name: np.zeros((len(wanted), len(h.labels)), np.float32) for h in answerer.spec.heads}
    for start in range(0, len(wanted), batch_size):
        part = wanted[start : start + batch_size]
        for name, mean in _mean_over(answerer, np.asarray(images[part]), variants).items():
            answers[name][start : start + len(part)] = mean
        if progress is not None:
            progress(len(part))
    return _finite(answers, answerer.name)


def _mean_over(answerer: Answerer, batch: Pixels, variants: Sequence[tta.Variant]) -> Answers:
    views = [answerer.probabilities(tta.apply(batch, variant)) for variant in variants]
    stacked = {name: np.stack([view[name] for view in views]) for name in views[0]}
    return {name: values.mean(axis=0, dtype=np.float64).astype(np.float32) for name, values in stacked.items()}


def check_size(spec: ModelSpec, images: Pixels) -> None:
    """Raise MienError naming both sizes when pictures (N, H, W, …) are not what the model takes."""
    height, width = images.shape[1:3]
    if (height, width) != (spec.height, spec.width):
        raise MienError(
            f"the pictures are {height}×{width} px, the model takes {spec.height}×{spec.width}",
            hint=f"import the data again with --size {spec.height}",
        )


def _finite(answers: Answers, name: str) -> Answers:
    for head, values in answers.items():
        bad = len(values) - int(np.isfinite(values).all(axis=1).sum())
        if bad:
            raise MienError(
                f"{name}: head {head!r} gives NaN for {bad} of {len(values)} pictures",
                hint="the training diverged, or bf16 overflowed: look at the run's history",
            )
    return answers
