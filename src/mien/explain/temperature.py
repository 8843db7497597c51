"""Temperature scaling and the threshold below which a model should rather say nothing, as functions of arrays.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 4.2: all logits of a head are
divided by one temperature that minimises the log loss of held-out pictures. The order of the classes stays, so the
accuracy does too. Everything here takes probabilities: softmax(z/T)^(1/t), normalised, is softmax(z/(T·t)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mien.core.errors import MienError
from mien.evaluate.metrics import Ids, Probabilities, checked, mean_log_loss

# Where a temperature is looked for. A split that is answered without a fault would else drive it to 0.
LOWEST, HIGHEST = 0.2, 10.0
# A share of fewer pictures says nothing about a precision.
LEAST_ANSWERED = 30
_TINY = float(np.finfo(np.float32).tiny)


def soften(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """Probabilities (N, K) as they were with all logits divided by `temperature`; above 1 they come closer together."""
    logits = np.log(np.asarray(probabilities, np.float64).clip(_TINY)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    softened: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return softened


def fit_temperature(ids: Ids, probabilities: Probabilities) -> float:
    """The temperature between `LOWEST` and `HIGHEST` with the least log loss; raises as `metrics.measure`.

    The log loss is convex in 1/T, so there is one minimum, found here on the logarithm of T.
    """
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    found = minimize_scalar(
        lambda power: mean_log_loss(right, soften(p, float(np.exp(power)))),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def threshold_for(ids: Ids, probabilities: Probabilities, precision: float) -> float | None:
    """The probability from which on at least `precision` (0–1) of the answers are right, with the most answers.

    It lies half-way between the last answer that is given and the next that is not, so that rounding decides nothing.
    0 where all answers together are right often enough; None where no `LEAST_ANSWERED` of them are.

    Raises:
        MienError: as `metrics.measure`, or a precision that is no share.
    """
    if not 0 < precision < 1:
        raise MienError(f"a precision of {precision:g} is not between 0 and 1", hint="0.9 means nine answers in ten")
    right, p = checked(ids, probabilities, np.shape(probabilities)[-1])
    confidence, hit = p.max(1), p.argmax(1) == right
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = np.append(confidence[order], -np.inf)
    share = hit[order].cumsum() / np.arange(1, len(order) + 1)
    # Equally sure answers are given together or not at all.
    ends = sorted_confidence[:-1] > sorted_confidence[1:]
    enough = ends & (share >= precision) & (np.arange(1, len(order) + 1) >= LEAST_ANSWERED)
    if not enough.any():
        return None
    last = int(np.flatnonzero(enough)[-1])
    return 0.0 if last == len(order) - 1 else float(sorted_confidence[last : last + 2].mean())


def halves(groups: NDArray[np.integer], *, seed: int = 0) -> NDArray[np.bool_]:
    """Two halves (N,) for cross-fitting, drawn by `seed`; pictures of one group (≥ 0) stay together."""
    rng = np.random.default_rng(seed)
    lone = np.asarray(groups) < 0
    keys = np.where(lone, -1 - np.arange(len(groups)), groups)
    names, place = np.unique(keys, return_inverse=True)
    first = rng.permutation(len(names)) < len(names) / 2
    return np.asarray(first[place])
