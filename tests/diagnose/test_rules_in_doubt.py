"""Rules where curves could be read in two ways: what decides, and what is then said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from evidence_toys import NAMES, answers, columns, healthy, names, one, recipe, with_health, with_history

from mien.diagnose.evidence import HEALTH_PICTURES, Answers, Evidence
from mien.train import health


def broken(**values: object) -> Evidence:
    """Updates of nothing at the end of a falling rate, and training pictures that were not learned."""
    history = columns(
        train_loss=[1.2, 1.1, 1.0],
        val_loss=[1.4, 1.4, 1.4],
        val_accuracy=[0.25, 0.3, 0.3],
        train_eval_accuracy=[0.25, 0.3, 0.3],
        learning_rate=[0.1, 0.05, 1e-5],
    )
    health = columns(update_ratio=[1e-6, 1e-6, 1e-6], first_loss=[1.4, 1.4, 1.4])
    return replace(healthy(), history=history | columns(**values), health=health)


def first_epoch(evidence: Evidence) -> Evidence:
    history, health = ({k: v[:1] for k, v in one.items()} for one in (evidence.history, evidence.health))
    return replace(evidence, history=history, health=health)


def test_a_rate_is_called_too_low_by_epochs_in_which_it_was_up() -> None:
    low = broken()
    assert "learning-rate-too-low" in names(low)
    assert "learning-rate-too-low" not in names(first_epoch(low))
    decayed = replace(low, health={**low.health, **columns(update_ratio=[2e-3, 2e-3, 1e-7])})
    mostly = {**decayed.history, **columns(learning_rate=[0.1, 1e-4, 1e-5])}
    last = replace(decayed, history=mostly, health={**decayed.health, **columns(update_ratio=[3e-4, 1e-6, 1e-7])})
    assert "learning-rate-too-low" not in names(decayed)
    assert "learning-rate-too-low" not in names(last)


def test_a_run_that_broke_had_no_rate_that_is_too_low() -> None:
    found = names(broken(train_loss=[50.0, 60.0, 70.0]))
    assert "learning-rate-too-high" in found
    assert "learning-rate-too-low" not in found


def test_large_updates_of_a_run_that_learns_are_a_note_without_a_fall() -> None:
    found = one(with_health(update_ratio=np.full(10, 0.05)), "learning-rate-too-high")
    assert (found.severity, found.confidence) == ("note", "low")
    assert "falls" not in found.evidence


def test_large_updates_stay_a_note_where_one_epoch_lost_a_little_or_no_training_pictures_were_asked() -> None:
    large = with_health(update_ratio=np.full(10, 0.05))
    dip = large.column("val_accuracy").copy()
    dip[-3] -= 0.05
    once = replace(large, history={**large.history, **columns(val_accuracy=dip)})
    unasked = {k: v for k, v in large.history.items() if not k.startswith("train_eval")}
    for own in (once, replace(large, history=unasked)):
        found = one(own, "learning-rate-too-high")
        assert (found.severity, "falls" in found.evidence) == ("note", False)
    dip[5:] = [0.9, 0.7, 0.9, 0.7, 0.9]
    often = one(replace(large, history={**large.history, **columns(val_accuracy=dip)}), "learning-rate-too-high")
    assert (often.severity, "falls" in often.evidence) == ("severe", True)


def test_too_few_updates_are_not_called_too_many_epochs() -> None:
    flat = [0.3, *np.full(11, 0.45)]
    short = with_history(
        step=8 * np.arange(1, 13), val_accuracy=flat, train_eval_accuracy=flat, val_loss=np.linspace(1.3, 1.2, 12)
    )
    assert "too-short" in names(short)
    assert "too-long" not in names(short)
    assert "too-long" in names(replace(short, history={**short.history, **columns(step=80 * np.arange(1, 13))}))


def test_what_is_known_by_heart_without_a_turn_has_no_epoch_to_stop_at() -> None:
    never = with_history(
        val_loss=np.linspace(1.9, 1.1, 10),
        val_accuracy=np.linspace(0.3, 0.68, 10),
        train_eval_accuracy=np.full(10, 0.98),
    )
    found = one(never, "overfitting")
    assert found.epoch is None
    said = found.what + found.evidence + found.try_first
    assert "Stopping at" not in said
    assert "patience" not in said
    assert "turned there" not in said
    assert "would not have helped" in said


def test_what_is_known_by_heart_names_the_epoch_at_which_accuracy_was_best() -> None:
    lost = with_history(
        val_loss=np.append(np.full(9, 1.2), 1.25),
        val_accuracy=[*np.linspace(0.5, 0.72, 6), *np.linspace(0.7, 0.62, 4)],
        train_eval_accuracy=np.full(10, 0.98),
    )
    found = one(lost, "overfitting")
    assert found.epoch == 6
    assert "would not have helped" not in found.what
    assert "best at epoch 6" in found.what
    assert "72.0" in found.evidence


def test_of_several_rare_classes_the_one_that_lost_most_is_named() -> None:
    own = answers(0.1)
    kept = np.flatnonzero((own.ids != 2) | (np.cumsum(own.ids == 2) <= 5))
    few_of_the_rarest = Answers(own.ids[kept], own.probabilities[kept], own.labels)
    train = {**dict.fromkeys(NAMES, 1000), "disgust": 50, "fear": 20}
    counts = {"train": train, "val": dict.fromkeys(NAMES, 500)}
    found = one(replace(healthy(), answers=few_of_the_rarest, counts=counts), "imbalance")
    assert found.title == "Imbalance cost disgust its recall"


def test_epochs_are_counted_in_words() -> None:
    single = first_epoch(with_history(step=np.full(10, 20.0), train_eval_accuracy=np.full(10, 0.26)))
    assert "after 1 epoch;" in one(single, "too-short").evidence
    assert "after 3 epochs." in one(broken(), "learning-rate-too-low").evidence


def test_averages_are_behind_beyond_what_the_few_pictures_of_health_explain() -> None:
    averaged = recipe(average={"ema_decay": 0.999})
    half = columns(plain_accuracy=np.full(10, 0.5), batch_norm_accuracy=np.full(10, 0.5))
    own = replace(healthy(), recipe=averaged, health={**healthy().health, **half})
    near, far = ({**own.health, **columns(probe_accuracy=np.full(10, at))} for at in (0.44, 0.4))
    assert "averages-behind" not in names(replace(own, health=near))
    assert "averages-behind" in names(replace(own, health=far))


def test_the_figures_of_health_are_of_as_many_pictures_as_training_looks_at() -> None:
    assert healthy().health_count == HEALTH_PICTURES == health.PICTURES
