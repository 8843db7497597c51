"""Evidence of runs that never were: a healthy one, and what is changed in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.diagnose.evidence import Answers, Evidence, Fed, Splits
from mien.diagnose.judge import diagnose
from mien.diagnose.verdict import Verdict

NAMES = ("angry", "disgust", "fear", "happy")


def recipe(**tables: object) -> Recipe:
    return recipes.build(dict(tables), source="test")


def columns(**values: object) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def splits(copied: float = 0.0, shift: tuple[float, float] = (0.0, 0.0), *, val: int = 2000) -> Splits:
    """How so many pictures of validation relate to 4,000 of training."""
    return Splits(copied, shift, val, (4000, val))


def healthy() -> Evidence:
    """Ten epochs that rise to 90 %, trained to 92 %."""
    val = 0.9 - 0.6 * np.exp(-np.arange(10) / 1.5)
    return Evidence(
        recipe(),
        columns(
            train_loss=2 - val,
            val_loss=1.5 - val,
            val_accuracy=val,
            train_eval_accuracy=val + 0.02,
            train_eval_loss=1.4 - val,
            gradient_norm=np.full(10, 1.5),
            learning_rate=np.linspace(0.1, 0.001, 10),
        ),
        columns(
            first_loss=np.full(10, np.log(4)),
            clipped_share=np.zeros(10),
            update_ratio=np.full(10, 2e-3),
            probe_accuracy=val,
            plain_accuracy=val,
            batch_norm_accuracy=val,
            **{"dead:act": np.full(10, 0.1), "spread:a": np.ones(10), "spread:b": np.full(10, 0.5)},
        ),
        counts={"train": dict.fromkeys(NAMES, 1000), "val": dict.fromkeys(NAMES, 500)},
        splits=splits(),
        fed=Fed(0.0, 1.0),
    )


def with_history(**values: object) -> Evidence:
    own = healthy()
    return replace(own, history={**own.history, **columns(**values)})


def with_health(**values: object) -> Evidence:
    own = healthy()
    return replace(own, health={**own.health, **columns(**values)})


def answers(recall: float, *, sure: float = 0.9, wrong_as: int = 0) -> Answers:
    """400 pictures of four classes; of the second only the share `recall` is right, all given with `sure`."""
    ids = np.repeat(np.arange(4), 100)
    said = ids.copy()
    missed = np.flatnonzero(ids == 1)[round(100 * recall) :]
    said[missed] = wrong_as
    p = np.full((400, 4), (1 - sure) / 3)
    p[np.arange(400), said] = sure
    return Answers(ids, p, NAMES)


def counted(**changed: int) -> dict[str, int]:
    """A thousand pictures a class but for those named."""
    return dict.fromkeys(NAMES, 1000) | changed


def few(evidence: Evidence, pictures: int) -> Evidence:
    """The same figures, of so few validation pictures a class."""
    counts = {"train": dict.fromkeys(NAMES, 25), "val": dict.fromkeys(NAMES, pictures)}
    own = evidence.splits or splits()
    return replace(evidence, counts=counts, splits=splits(own.copied, own.shift, val=4 * pictures))


def stuck() -> Evidence:
    """Weights that move, a second epoch of which validation is lost, and no more learned than three classes in four."""
    counts = {"train": counted(angry=9000), "val": counted(angry=9000)}
    own = with_history(
        train_loss=np.full(10, 0.85),
        val_loss=[1.4, 8.0, *np.full(8, 0.85)],
        val_accuracy=np.full(10, 0.75),
        train_eval_accuracy=np.full(10, 0.75),
        train_eval_loss=np.full(10, 0.85),
    )
    return replace(own, health={**own.health, **columns(update_ratio=np.full(10, 0.006))}, counts=counts)


def noted(evidence: Evidence) -> list[str]:
    return [v.name for v in diagnose(evidence).notes]


def names(evidence: Evidence) -> list[str]:
    return [v.name for v in diagnose(evidence).faults]


def one(evidence: Evidence, name: str) -> Verdict:
    [found] = [v for v in diagnose(evidence).verdicts if v.name == name]
    return found
