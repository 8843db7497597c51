"""What the net is fed in training and in evaluation, side by side: values, and how much of the face is seen.

Takes the inputs as arrays, of the same pictures in the same order, so that it can be used on any framework's
pipeline: run both over some hundred training pictures and hand over what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Figure, Finding, Plot, Severity, Sheet
from mien.data.audit.registration import Views, register
from mien.page.words import percent

# The mean of what the net is fed beyond ±.2: where SageMaker Debugger's NotNormalizedData starts.
MEAN_LIMIT = 0.2
# Picture by picture, training is brighter or darker than evaluation by this many deviations, in the middle; or its
# values are spread wider or narrower by this factor.
WARN_SHIFT, SEVERE_SHIFT = 0.5, 1.5
WARN_SPREAD, SEVERE_SPREAD = 1.5, 3.0
# Faces are larger or smaller in training than in evaluation by this factor, in the middle, and hardly a picture of
# training is on evaluation's other side. That such a difference costs accuracy: Touvron et al. 2019, arXiv 1906.06423.
TAIL, WARN_FACTOR, SEVERE_FACTOR = 0.1, 1.15, 1.6
# Training shows less than this share of what evaluation shows, in the middle.
WARN_SHARE, SEVERE_SHARE = 0.7, 0.4
FEWEST_MATCHED = 12
SHOWN = 8
_WHY = (
    "A net answers well only what looks like what it was trained on. Where evaluation is prepared in another way, its "
    "figures measure the difference in preparation, and the deployed model meets it again."
)
_ACTION = (
    "Prepare both sides by the same crop, size and normalisation, and let the augmentation move around what evaluation "
    "shows: in a recipe data.crop, data.normalise, augment.zoom_fraction."
)
Inputs = NDArray[np.floating]
Trouble = tuple[Severity, str]


@dataclass(frozen=True)
class Values:
    """Figures of inputs (n, C, h, w): mean and deviation over all, least and greatest value, and picture means (n,)."""

    mean: float
    deviation: float
    least: float
    greatest: float
    means: NDArray[np.float64]

    @classmethod
    def of(cls, inputs: Inputs) -> Values:
        flat = np.asarray(inputs, np.float64).reshape(len(inputs), -1)
        return cls(float(flat.mean()), float(flat.std()), float(flat.min()), float(flat.max()), flat.mean(1))


def preprocessing(training: Inputs, evaluation: Inputs, *, channels: Sequence[str] = ()) -> Finding:
    """The finding `preprocessing` of what the net is fed of the same n pictures in training and in evaluation.

    Args:
        training: (n, C, h, w) or (n, h, w), augmented and normalised.
        evaluation: (n, C, h′, w′) or (n, h′, w′), as evaluation normalises it.
        channels: names of the C channels, for the figures; their numbers if not given.
    """
    training, evaluation = _four(training), _four(evaluation)
    seen, shown = Values.of(training), Values.of(evaluation)
    views = register(training, evaluation)
    troubles = [*_value_troubles(seen, shown), *_view_troubles(views)]
    return Finding(
        name="preprocessing",
        severity=max((severity for severity, _ in troubles), default=Severity.FINE),
        verdict=" ".join(text for _, text in troubles) or _all_well(seen, shown),
        why=_WHY,
        action=_ACTION if troubles else "",
        figures=_figures(training, evaluation, channels) | _view_figures(views),
        sheets=_sheets(training, evaluation),
        plots=(_histogram(training, evaluation),),
    )


def _four(inputs: Inputs) -> Inputs:
    return inputs[:, None] if inputs.ndim == 3 else inputs


def _value_troubles(training: Values, evaluation: Values) -> list[Trouble]:
    """How the values that the net is fed differ, and whether they are centred at all."""
    unit = max(evaluation.deviation, 1e-12)
    shift = float(np.median(training.means - evaluation.means)) / unit
    spread = max(training.deviation, 1e-12) / unit
    factor = max(spread, 1 / spread)
    found: list[Trouble] = []
    if abs(shift) > WARN_SHIFT or factor > WARN_SPREAD:
        severe = abs(shift) > SEVERE_SHIFT or factor > SEVERE_SPREAD
        text = f"Training feeds the net other values ({_range(training)}) than evaluation ({_range(evaluation)})."
        found.append((Severity.SEVERE if severe else Severity.WARNING, text))
    elif abs(evaluation.mean) > MEAN_LIMIT * max(evaluation.deviation, 1):
        text = f"What the net is fed is not centred: {_range(evaluation)}; nets learn faster around 0."
        found.append((Severity.NOTE, text))
    return found


def _view_troubles(views: Views) -> list[Trouble]:
    """How the part of the face that is seen, and its size, differ by more than chance in the augmentation explains."""
    if views.matched.sum() < FEWEST_MATCHED:
        return []
    scale, share = views.scale[views.matched], views.share[views.matched]
    middle, part = float(np.median(scale)), float(np.median(share))
    factor = max(middle, 1 / middle)
    other_side = ((scale <= 1) if middle > 1 else (scale >= 1)).mean()
    sized = factor > WARN_FACTOR and other_side < TAIL
    if not sized and part >= WARN_SHARE:
        return []
    severe = (sized and factor > SEVERE_FACTOR) or part < SEVERE_SHARE
    larger = f"{factor:.1f} times as {'large' if middle > 1 else 'small'} as" if sized else "as large as"
    text = f"Training shows {percent(part)} of the picture that evaluation shows, with faces {larger} there."
    return [(Severity.SEVERE if severe else Severity.WARNING, text)]


def _all_well(training: Values, evaluation: Values) -> str:
    return (
        f"Training and evaluation feed the net alike: {_range(training)} and {_range(evaluation)}, with faces of one "
        "size but for what the augmentation does on purpose."
    )


def _range(values: Values) -> str:
    return f"{values.mean:.2f} ± {values.deviation:.2f}, from {values.least:.3g} to {values.greatest:.3g}"


def _figures(training: Inputs, evaluation: Inputs, channels: Sequence[str]) -> dict[str, Figure]:
    """Mean, deviation and range of each channel on both sides."""
    figures: dict[str, Figure] = {}
    names = channels or [str(i) for i in range(training.shape[1])] if training.shape[1] > 1 else [""]
    for side, inputs in (("training", training), ("evaluation", evaluation)):
        figures[f"{side}_size"] = f"{inputs.shape[3]}×{inputs.shape[2]}"
        for i, name in enumerate(names):
            values = Values.of(inputs[:, i : i + 1])
            prefix = f"{side}_{name}" if name else side
            figures |= {f"{prefix}_mean": round(values.mean, 4), f"{prefix}_deviation": round(values.deviation, 4)}
            figures |= {f"{prefix}_least": round(values.least, 4), f"{prefix}_greatest": round(values.greatest, 4)}
    return figures


def _view_figures(views: Views) -> dict[str, Figure]:
    matched = views.matched
    figures: dict[str, Figure] = {"registered": int(matched.sum()), "tried": len(matched)}
    if matched.any():
        scale = np.quantile(views.scale[matched], [0.05, 0.5, 0.95])
        names = ("face_size_low", "face_size", "face_size_high")
        figures |= {name: round(float(value), 3) for name, value in zip(names, scale, strict=True)}
        figures["share_seen"] = round(float(np.median(views.share[matched])), 3)
    return figures


def _sheets(training: Inputs, evaluation: Inputs) -> tuple[Sheet, Sheet]:
    """The first pictures on both sides, on one scale of grey: evaluation's 1st to 99th percentile."""
    low, high = np.quantile(evaluation, [0.01, 0.99])

    def shown(inputs: Inputs) -> NDArray[np.uint8]:
        levels = (np.asarray(inputs[:SHOWN], np.float64) - low) / max(high - low, 1e-12)
        pixels = (255 * levels.clip(0, 1)).round().astype(np.uint8).transpose(0, 2, 3, 1)
        return np.asarray(pixels if pixels.shape[3] == 3 else pixels[..., 0])

    return (
        Sheet("What the net is fed in training", pictures=shown(training)),
        Sheet("The same pictures in evaluation", pictures=shown(evaluation)),
    )


def _histogram(training: Inputs, evaluation: Inputs) -> Plot:
    low, high = np.quantile(np.concatenate([training.ravel(), evaluation.ravel()]), [0.001, 0.999])
    edges = np.linspace(float(low), float(high), 41)
    shares = {
        side: np.histogram(inputs, edges)[0] / inputs.size
        for side, inputs in (("training", training), ("evaluation", evaluation))
    }
    return Plot("Values the net is fed", (edges[1:] + edges[:-1]) / 2, shares, "value", "share of the pixels")
