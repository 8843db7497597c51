"""Settings that verdicts advise: only those that change a recipe, and in the direction that is meant.

`before` is what leads to a piece of advice in its sentence; it goes where that goes.
"""

from __future__ import annotations

from mien.core.recipe import Recipe

_SMOOTHING, _PATIENCE, _CLIP = 0.1, 5, 1
_WITH_NORMS = ("mien-s", "mien-m")
_AUGMENTATION = {"rotation_degrees": 15, "zoom_fraction": 0.15}


def augmentation(recipe: Recipe) -> str:
    """The plain augmentations that the recipe has less of."""
    own = recipe.augment
    more = ["flip=random"] if own.flip == "off" else []
    more += [f"{key}={value:g}" for key, value in _AUGMENTATION.items() if getattr(own, key) < value]
    return " ".join(f"--set augment.{one}" for one in more) or "stronger augmentation (augment.*)"


def patience(recipe: Recipe, before: str = "") -> str:
    """Early stopping; "" where the recipe stops as early."""
    own = recipe.stopping.patience_epochs
    return "" if own is not None and own <= _PATIENCE else f"{before}--set stopping.patience_epochs={_PATIENCE}"


def smoothing(recipe: Recipe, before: str = "") -> str:
    """Label smoothing; "" where the recipe has as much, or a loss without a distribution to smooth."""
    loss = recipe.loss
    smoothed = loss.name == "svm" or loss.label_smoothing >= _SMOOTHING
    return "" if smoothed else f"{before}--set loss.label_smoothing={_SMOOTHING}"


def clipping(recipe: Recipe) -> str:
    """A limit for gradients, before another piece of advice; "" where the recipe has one as low."""
    own = recipe.optimiser.clip_norm
    return "" if own is not None and own <= _CLIP else f"--set optimiser.clip_norm={_CLIP}, or "


def norms(recipe: Recipe, rate: str) -> str:
    """A net with norms or another rate; the rate alone where the net is one of ours, which have norms."""
    if recipe.model.name in _WITH_NORMS:
        return f"a {rate}"
    return f"a net with norms (--set model.name={_WITH_NORMS[0]}) or a {rate}"


def rebalancing(recipe: Recipe, before: str = "") -> str:
    """A sampler that shows rare classes more often; "" where the recipe does something for them already."""
    return "" if rebalances(recipe) else f"{before}--set data.sampler=square-root"


def rebalances(recipe: Recipe) -> bool:
    """Whether the recipe shows rare classes more often, or weighs labels."""
    loss = recipe.loss
    return recipe.data.sampler != "shuffle" or loss.class_balance != "none" or bool(loss.class_weights)
