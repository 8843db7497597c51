"""What is advised changes the recipe, and in the direction that is meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evidence_toys import NAMES, answers, columns, counted, healthy, one, recipe, with_history

from mien.core import recipe as recipes
from mien.core.recipe import Recipe
from mien.diagnose.evidence import Evidence
from mien.diagnose.rates import batch_size
from mien.diagnose.thresholds import LIMITS

RARE = {"train": counted(disgust=50), "val": dict.fromkeys(NAMES, 500)}
TURNED = with_history(
    val_loss=[1.0, 0.8, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4],
    val_accuracy=np.full(10, 0.7),
    train_eval_accuracy=np.linspace(0.5, 1, 10),
)
KNOWN = with_history(val_accuracy=np.full(10, 0.7), train_eval_accuracy=np.full(10, 0.99))
FLAT = with_history(val_accuracy=np.full(10, 0.5), train_eval_accuracy=np.full(10, 0.5))
NOISY = with_history(train_eval_accuracy=np.full(10, 0.6))


def advised(evidence: Evidence, name: str, own: Recipe) -> str:
    return one(replace(evidence, recipe=own), name).try_first


@pytest.mark.parametrize(
    "tables",
    [
        {"data": {"sampler": "class-balanced"}},
        {"data": {"sampler": "square-root"}},
        {"loss": {"class_balance": "inverse-frequency"}},
        {"loss": {"class_weights": {"disgust": 4}}},
    ],
)
def test_a_sampler_is_advised_where_nothing_is_done_for_rare_classes(tables: dict[str, object]) -> None:
    for name, recall in (("imbalance", 0.4), ("weak-class", 0.1)):
        own = replace(healthy(), counts=RARE, answers=answers(recall))
        assert "data.sampler=square-root" in advised(own, name, recipe())
        assert "--set" not in advised(own, name, recipe(**tables))
    assert advised(replace(healthy(), counts=RARE, answers=answers(0.4)), "imbalance", recipe(**tables)) == (
        "more pictures of the label"
    )


def test_augmentation_is_advised_where_there_is_less() -> None:
    weak = advised(TURNED, "overfitting", recipe(augment={"flip": "alternate", "rotation_degrees": 5}))
    assert weak == (
        "--set augment.rotation_degrees=15 --set augment.zoom_fraction=0.15; and --set stopping.patience_epochs=5"
    )
    assert "augment.flip=random" in advised(TURNED, "overfitting", recipe())
    strong = ["augment.rotation_degrees=30", "augment.zoom_fraction=0.3", "stopping.patience_epochs=3"]
    for settings in ([], strong):
        own = recipes.read("mien-m", settings)
        for evidence in (TURNED, KNOWN):
            told = advised(evidence, "overfitting", own)
            assert told.startswith("stronger augmentation")
            assert "--set augment" not in told
            assert ("patience" in told) == (evidence is TURNED and not settings)


def test_smoothing_is_advised_where_there_is_less() -> None:
    rising = replace(TURNED, history={**TURNED.history, **columns(train_eval_accuracy=np.full(10, 0.76))})
    sure = replace(healthy(), answers=answers(0.2, sure=0.999))
    calibrated = replace(rising, answers=answers(0.2, sure=0.8))
    cases = (
        (rising, "over-confident"),
        (sure, "over-confident"),
        (calibrated, "over-confident"),
        (NOISY, "label-noise"),
    )
    for evidence, name in cases:
        assert "--set loss.label_smoothing=0.1" in advised(evidence, name, recipe(loss={"label_smoothing": 0.05}))
        for loss in ({"label_smoothing": 0.1}, {"label_smoothing": 0.2}, {"name": "svm"}):
            assert "smoothing" not in advised(evidence, name, recipe(loss=loss))
    assert advised(calibrated, "over-confident", recipe(loss={"label_smoothing": 0.1})) == "nothing for these weights"


def test_the_net_that_a_run_has_is_no_larger_one() -> None:
    assert "mien-m" in advised(FLAT, "underfitting", recipe(model={"name": "mien-s"}))
    assert "mien-m" not in advised(FLAT, "underfitting", recipe(model={"name": "mien-m"}))


@pytest.mark.parametrize("count", [40, 72, 120, 200, 600, 900])
@pytest.mark.parametrize("size", [9, 16, 64, 256])
def test_a_batch_of_the_size_that_is_advised_is_not_too_large(count: int, size: int) -> None:
    own = replace(healthy(), recipe=recipe(train={"batch_size": size}), counts={"train": {"a": count}, "val": {"a": 9}})
    found = batch_size(own)
    assert (found is None) == (count / size >= LIMITS.few_steps or (count < 72 and size == 9))
    if found is not None:
        advised_size = int(found.try_first.rpartition("=")[2])
        assert LIMITS.small_batch < advised_size < size
        assert batch_size(replace(own, recipe=recipe(train={"batch_size": advised_size}))) is None


def test_norms_and_limits_that_a_run_has_are_not_advised() -> None:
    vanishing = with_history(gradient_norm=np.full(10, 1e-9), train_eval_accuracy=np.full(10, 0.3))
    assert "--set model.name=mien-s" in advised(vanishing, "vanishing-gradients", recipe(model={"name": "cnn7"}))
    assert "mien-s" not in advised(vanishing, "vanishing-gradients", recipe(model={"name": "mien-s"}))
    exploding = with_history(gradient_norm=[1, 1, 1e6, 1, 1, 1, 1, 1, 1, 1])
    assert "clip_norm=1," in advised(exploding, "exploding-gradients", recipe(optimiser={"clip_norm": 5}))
    assert advised(exploding, "exploding-gradients", recipe(optimiser={"clip_norm": 1})) == "a lower learning rate"
