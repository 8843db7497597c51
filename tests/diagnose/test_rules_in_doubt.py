"""Rules where curves could be read in two ways: what decides, and what is then said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from evidence_toys import NAMES, answers, columns, healthy, names, one, recipe, splits, with_health, with_history

from mien.diagnose.evidence import HEALTH_PICTURES, Answers, Evidence, Targets
from mien.diagnose.material import unlike
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


HARD = [{"epochs": 4}, {"epochs": 3, "pictures": "hard"}, {}]  # epochs 5 to 7 on what was answered wrong


def test_what_a_phase_on_hard_pictures_does_is_not_laid_on_the_rate() -> None:
    phased = recipe(train={"epochs": 10}, phases=HARD)
    lower = columns(val_accuracy=[0.3, 0.5, 0.7, 0.8, 0.5, 0.8, 0.5, 0.8, 0.82, 0.83])
    higher = columns(train_loss=[1.2, 1.0, 0.8, 0.7, 2.2, 2.1, 2.0, 1.9, 0.7, 0.6])
    for history, update in ((lower, 0.01), (higher, 2e-3)):
        own = with_health(update_ratio=np.full(10, update))
        own = replace(own, history={**own.history, **history})
        assert "learning-rate-too-high" in names(own)
        assert "learning-rate-too-high" not in names(replace(own, recipe=phased))


def test_a_loss_that_rises_besides_a_phase_on_hard_pictures_is_named_with_its_epochs() -> None:
    broke = with_history(train_loss=[1.2, 1.0, 0.8, 0.7, 5.2, 5.1, 5.0, 4.9, 3.0, 0.6])
    first = [{"epochs": 2, "pictures": "hard"}, {}]
    for phases, told in ((HARD, "3.000 in epoch 9, 1.200 in epoch 1."), (first, "5.200 in epoch 5, 0.700 in epoch 4.")):
        own = replace(broke, recipe=recipe(train={"epochs": 10}, phases=phases, model={"start_from": "run"}))
        found = one(own, "learning-rate-too-high")
        assert found.evidence == f"Training loss {told}"
        assert found.epoch == int(told.split()[3].strip(","))


def test_the_first_loss_is_held_to_the_targets_that_there_are() -> None:
    all_of, none, half = np.ones(100), np.zeros(100), np.arange(100) % 2.0
    label, vote = np.log(4), np.log(8)
    for targets, guess in (
        (Targets(none, all_of), vote),
        (Targets(all_of, half), label + vote / 2),
        (Targets(half, 1 - half), (label + vote) / 2),
        (Targets(2 * all_of, none), 2 * label),
    ):
        for loss, named in ((guess, False), (1.4 * guess, True)):
            own = replace(with_health(first_loss=np.full(10, loss)), targets=targets)
            assert ("first-loss" in names(own)) == named
    mixed = replace(with_health(first_loss=np.full(10, 1.25 * (label + vote / 2))), targets=Targets(all_of, half))
    assert "first-loss" in names(mixed)
    small = recipe(train={"batch_size": 12})  # of which more than half may have votes
    assert "first-loss" not in names(replace(mixed, recipe=small))


def test_of_a_first_loss_nothing_is_said_where_targets_are_not_known_or_pictures_are_hard() -> None:
    off = with_health(first_loss=np.full(10, 4.0))
    assert "first-loss" in names(off)
    assert "first-loss" not in names(replace(off, history={**off.history, **columns(val_ferplus_accuracy=[0.5] * 10)}))
    hard = recipe(model={"start_from": "run"}, phases=[{"epochs": 2, "pictures": "hard"}, {}])
    assert "first-loss" not in names(replace(off, recipe=hard))


def test_validation_that_was_drawn_at_random_is_like_training() -> None:
    rng = np.random.default_rng(0)
    faces = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965])
    for shares, train, val in ((faces, 400, 20), (faces, 400, 40), (np.ones(100), 1600, 400)):
        alarms = 0
        for _ in range(200):
            drawn = [rng.multinomial(count, shares / shares.sum()).tolist() for count in (train, val)]
            counts = {s: dict(enumerate(of)) for s, of in zip(("train", "val"), drawn, strict=True)}
            alarms += unlike(replace(healthy(), counts=counts)) is not None  # type: ignore[arg-type]
        assert alarms < 0.1 * 200
    for val in (5, 10, 20):
        shifts = rng.normal(size=(400, val, 2)).mean(1).tolist()
        alarms = sum(unlike(replace(healthy(), splits=splits(0.0, (a, b), val=val))) is not None for a, b in shifts)
        assert alarms < 0.1 * 400


def test_validation_that_is_unlike_training_beyond_chance_is_named() -> None:
    train = {"train": dict.fromkeys(NAMES, 1000)}
    for val, named in (
        ({"angry": 4, "disgust": 2, "fear": 2, "happy": 2}, False),
        ({"angry": 40, "disgust": 20}, True),
    ):
        assert ("validation-unlike-training" in names(replace(healthy(), counts=train | {"val": val}))) == named
    for pictures, named in ((10, False), (40, True)):
        own = replace(healthy(), splits=splits(shift=(0.0, 0.7), val=pictures))
        assert ("validation-unlike-training" in names(own)) == named


def test_validation_that_is_a_copy_of_training_is_reported_of_votes_alone() -> None:
    unlabelled = {"train": dict.fromkeys(NAMES, 0), "val": dict.fromkeys(NAMES, 0)}
    assert "validation-leaked" in names(replace(healthy(), counts=unlabelled, splits=splits(1.0, val=100)))


def test_an_epoch_has_the_steps_of_validation_too_where_that_is_trained_on() -> None:
    large = {"train": {"batch_size": 600}}
    assert "batch-too-large" in names(replace(healthy(), recipe=recipe(**large)))
    assert "batch-too-large" not in names(replace(healthy(), recipe=recipe(**large, data={"train_on_val": True})))
