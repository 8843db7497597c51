"""Each rule on arrays made for it, and a healthy run of which nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evidence_toys import (
    NAMES,
    answers,
    columns,
    counted,
    few,
    healthy,
    names,
    noted,
    one,
    recipe,
    splits,
    stuck,
    with_health,
    with_history,
)

from mien.diagnose.answered import calibration
from mien.diagnose.evidence import Answers, Evidence, Fed
from mien.diagnose.judge import ORDER, diagnose
from mien.diagnose.verdict import Verdict


def test_nothing_is_found_in_a_healthy_run() -> None:
    diagnosis = diagnose(healthy())
    assert diagnosis.healthy
    assert diagnosis.verdicts == ()
    assert diagnosis.facts["best_epoch"] == 10


T = np.arange(10)
CASES: dict[str, tuple[Evidence, str]] = {
    "overfitting": (
        with_history(
            val_loss=[1.0, 0.8, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4],
            val_accuracy=[0.4, 0.6, 0.7, 0.7, 0.69, 0.69, 0.68, 0.68, 0.67, 0.67],
            train_eval_accuracy=np.linspace(0.5, 1, 10),
        ),
        "overfitting",
    ),
    "over-confident": (
        with_history(
            val_loss=[1.0, 0.8, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4],
            val_accuracy=np.full(10, 0.8),
            train_eval_accuracy=np.full(10, 0.86),
        ),
        "over-confident",
    ),
    "underfitting": (with_history(val_accuracy=np.full(10, 0.5), train_eval_accuracy=np.full(10, 0.5)), "underfitting"),
    "too-short": (
        with_history(val_accuracy=np.linspace(0.3, 0.7, 10), train_eval_accuracy=np.linspace(0.3, 0.72, 10)),
        "too-short",
    ),
    "explodes": (with_history(train_loss=[1, 2, 9, 9, 9, 9, 9, 9, 9, 9]), "learning-rate-too-high"),
    "diverged": (replace(healthy(), diverged={"epoch": 2, "message": "the loss became nan"}), "learning-rate-too-high"),
    "too low": (
        replace(
            with_health(update_ratio=np.full(10, 1e-6)),
            history={**healthy().history, "train_eval_accuracy": np.full(10, 0.3)},
        ),
        "learning-rate-too-low",
    ),
    "decayed": (with_history(learning_rate=0.1 * 0.05**T), "learning-rate-decayed"),
    "small batch": (replace(healthy(), recipe=recipe(train={"batch_size": 4})), "batch-too-small"),
    "large batch": (replace(healthy(), recipe=recipe(train={"batch_size": 2048})), "batch-too-large"),
    "first loss": (with_health(first_loss=np.full(10, 4.0)), "first-loss"),
    "vanishing": (
        with_history(gradient_norm=np.full(10, 1e-7), train_eval_accuracy=np.full(10, 0.25)),
        "vanishing-gradients",
    ),
    "clipped": (
        replace(with_health(clipped_share=np.full(10, 0.9)), recipe=recipe(optimiser={"clip_norm": 0.1})),
        "clipped",
    ),
    "exploding": (with_history(gradient_norm=np.full(10, 500.0)), "exploding-gradients"),
    "dead": (
        replace(
            with_health(**{"dead:act": np.full(10, 0.9)}),
            history={**healthy().history, "train_eval_accuracy": np.full(10, 0.6)},
        ),
        "dead-units",
    ),
    "shrinking": (with_health(**{"spread:b": np.full(10, 1e-6)}), "shrinking-activations"),
    "norms": (with_health(plain_accuracy=np.full(10, 0.5)), "norms-unsettled"),
    "norms that add to the loss": (
        with_health(plain_loss=np.full(10, 600.0), batch_norm_loss=np.full(10, 2.4), norm_shift=np.full(10, 1.7)),
        "norms-unsettled",
    ),
    "weights gone": (
        with_health(**{"spread:a": np.full(10, 1e-5), "spread:b": np.full(10, 1e-5)}),
        "shrinking-activations",
    ),
    "stuck": (stuck(), "learning-rate-too-high"),
    "broke at once": (with_history(train_loss=np.full(10, 5000.0)), "learning-rate-too-high"),
    "averages": (
        replace(with_health(probe_accuracy=np.full(10, 0.3)), recipe=recipe(average={"ema_decay": 0.999})),
        "averages-behind",
    ),
    "leaked": (replace(healthy(), splits=splits(0.3)), "validation-leaked"),
    "on val": (replace(healthy(), recipe=recipe(data={"train_on_val": True})), "validation-leaked"),
    "unlike": (replace(healthy(), splits=splits(shift=(-1.4, 0.0))), "validation-unlike-training"),
    "fed": (replace(healthy(), fed=Fed(0.0, 1.0, "Training feeds other values.")), "fed-differently"),
    "normalisation": (replace(healthy(), fed=Fed(0.01, 0.01)), "wrong-normalisation"),
    "noise": (with_history(train_eval_accuracy=np.full(10, 0.6)), "label-noise"),
    "audited noise": (
        replace(healthy(), audit={"findings": [{"name": "label-errors", "figures": {"suspect_share": 0.2}}]}),
        "label-noise",
    ),
    "weak": (replace(healthy(), answers=answers(0.1)), "weak-class"),
    "pair": (replace(healthy(), answers=answers(0.3)), "confused-pair"),
    "moved labels": (
        replace(
            healthy(),
            answers=answers(0.7),
            counts={"train": counted(angry=1750, disgust=250), "val": dict.fromkeys(NAMES, 500)},
        ),
        "confused-pair",
    ),
    "falls": (
        replace(
            with_health(update_ratio=np.full(10, 0.01)),
            history={**healthy().history, **columns(val_accuracy=[0.3, 0.5, 0.6, 0.7, 0.8, 0.6, 0.8, 0.6, 0.8, 0.7])},
        ),
        "learning-rate-too-high",
    ),
    "few updates": (
        with_history(step=[20, 40], val_accuracy=[0.25, 0.26], train_eval_accuracy=[0.25, 0.26], val_loss=[1.4, 1.4]),
        "too-short",
    ),
    "imbalance": (
        replace(
            healthy(),
            answers=answers(0.3),
            counts={
                "train": {**dict.fromkeys(NAMES, 1000), "disgust": 20},
                "val": dict.fromkeys(NAMES, 500) | {"disgust": 400},
            },
        ),
        "imbalance",
    ),
    "calibration": (replace(healthy(), answers=answers(0.2, sure=0.999)), "over-confident"),
    "few": (
        replace(healthy(), counts={"train": dict.fromkeys(NAMES, 1000), "val": dict.fromkeys(NAMES, 7)}),
        "small-validation",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_named(case: str) -> None:
    evidence, expected = CASES[case]
    found = diagnose(evidence)
    assert expected in [v.name for v in found.faults]
    assert not found.healthy


def test_a_pair_that_is_alike_and_a_class_that_may_be_weak_by_chance_are_notes() -> None:
    alike = diagnose(replace(healthy(), answers=answers(0.55)))
    assert alike.healthy
    assert [v.name for v in alike.notes] == ["confused-pair"]
    own = answers(0.2)
    one_in_ten = np.arange(0, 400, 10)
    fewer = replace(healthy(), answers=Answers(own.ids[one_in_ten], own.probabilities[one_in_ten], own.labels))
    assert "weak-class" in noted(fewer)
    assert "weak-class" not in noted(replace(healthy(), answers=answers(0.1)))


def test_dead_units_of_a_net_that_has_learned_are_a_note() -> None:
    assert noted(with_health(**{"dead:act": np.full(10, 0.9)})) == ["dead-units"]


def test_what_few_pictures_explain_is_no_verdict() -> None:
    assert "too-short" in names(CASES["too-short"][0])
    assert "too-short" not in names(few(CASES["too-short"][0], 5))
    assert "label-noise" in names(with_history(train_eval_accuracy=np.linspace(0.3, 0.83, 10)))
    assert "label-noise" not in names(few(with_history(train_eval_accuracy=np.linspace(0.3, 0.83, 10)), 10))
    assert "validation-leaked" not in names(few(replace(healthy(), splits=splits(1 / 40)), 10))
    assert "learning-rate-too-high" not in names(few(CASES["falls"][0], 5))


def test_what_follows_from_something_else_is_not_said() -> None:
    dead = {"dead:act": np.full(10, 0.9), "update_ratio": np.full(10, 0.5)}
    low = replace(with_health(**dead), history={**healthy().history, "train_eval_accuracy": np.full(10, 0.6)})
    assert {"dead-units", "learning-rate-too-high"} <= set(names(low))
    gone = replace(low, health={**low.health, **columns(**{"spread:a": np.full(10, 1e-5)})})
    assert "shrinking-activations" in names(gone)
    assert not {"dead-units", "learning-rate-too-high"} & set(names(gone))
    norms = CASES["norms that add to the loss"][0]
    broken = replace(norms, history={**norms.history, **columns(train_loss=np.full(10, 5000.0))})
    assert "norms-unsettled" not in names(broken)
    started_wrong = replace(stuck(), health={**stuck().health, **columns(first_loss=np.full(10, 3.0))})
    assert names(started_wrong)[0] == "first-loss"


def test_statistics_that_are_off_and_do_no_harm_are_not_said() -> None:
    off = with_health(plain_loss=np.full(10, 0.5), batch_norm_loss=np.full(10, 0.5), norm_shift=np.full(10, 1.7))
    assert "norms-unsettled" not in names(off)


def test_a_tenth_of_next_to_nothing_is_no_over_confidence() -> None:
    assert "over-confident" in names(CASES["over-confident"][0])
    tiny = {**CASES["over-confident"][0].history, **columns(val_loss=np.linspace(1e-4, 9e-4, 10))}
    assert "over-confident" not in names(replace(CASES["over-confident"][0], history=tiny))


def test_a_rare_class_that_is_called_another_is_weak_and_no_confused_pair() -> None:
    rare = replace(CASES["pair"][0], counts={"train": counted(disgust=200), "val": dict.fromkeys(NAMES, 500)})
    assert "confused-pair" in names(CASES["pair"][0])
    assert "confused-pair" not in names(rare)


def test_of_a_net_that_has_learned_nothing_no_labels_are_doubted() -> None:
    untaught = with_history(val_accuracy=np.full(10, 0.3), train_eval_accuracy=np.full(10, 0.2))
    assert "label-noise" not in names(untaught)


def test_a_steep_rise_is_no_sign_of_too_high_a_rate() -> None:
    rising = {**healthy().history, **columns(val_accuracy=np.linspace(0.3, 0.9, 10))}
    own = replace(with_health(update_ratio=np.full(10, 0.01)), history=rising)
    assert "learning-rate-too-high" not in names(own)


def test_labels_have_not_moved_where_all_shares_differ() -> None:
    own = CASES["moved labels"][0]
    balanced = {"train": {"angry": 1750, "disgust": 250, "fear": 1600, "happy": 400}, "val": own.counts["val"]}
    assert "confused-pair" in names(own)
    assert "confused-pair" not in names(replace(own, counts=balanced))


def test_far_too_long() -> None:
    flat = np.full(30, 0.9)
    own = with_history(val_accuracy=flat, train_eval_accuracy=flat, val_loss=np.full(30, 0.5), train_loss=flat)
    assert "too-long" in names(own)


def test_verdicts_come_in_the_order_to_act_on_them() -> None:
    both = replace(CASES["overfitting"][0], splits=splits(0.3))
    found = names(both)
    assert found[0] == "validation-leaked"
    assert found == sorted(found, key=ORDER.index)


def test_the_epoch_and_what_stopping_there_would_have_given() -> None:
    found = {v.name: v for v in diagnose(CASES["overfitting"][0]).verdicts}
    verdict: Verdict = found["overfitting"]
    assert verdict.epoch == 3
    assert "Stopping at epoch 3 would have given 70.0" in verdict.evidence


def test_the_json_holds_the_contract() -> None:
    told = diagnose(CASES["overfitting"][0], missing=("predictions",)).to_json()
    assert set(told) == {"format", "verdicts", "healthy", "facts"}
    keys = {"name", "title", "what", "evidence", "confidence", "severity", "try_first", "expected_gain", "epoch"}
    assert all(set(v) == keys for v in told["verdicts"])
    assert told["facts"]["not_looked_at"] == ["predictions"]


def test_without_an_audit_a_leak_says_which_copies_count() -> None:
    leaking = replace(healthy(), splits=splits(0.3))
    audited = replace(leaking, audit={"findings": []})
    [[alone], [known]] = [
        [v.evidence for v in diagnose(e).verdicts if v.name == "validation-leaked"] for e in (leaking, audited)
    ]
    assert "mien data audit" in alone
    assert "mien data audit" not in known


def test_what_a_loss_rose_above_is_named() -> None:
    at_once = one(CASES["broke at once"][0], "learning-rate-too-high")
    assert at_once.evidence == "Training loss 5000.000 in epoch 1, 1.386 at the very first step."
    later = one(CASES["explodes"][0], "learning-rate-too-high")
    assert later.evidence == "Training loss 9.000 in epoch 3, 1.000 in epoch 1."


def test_answers_that_are_calibrated_are_not_to_be_calibrated() -> None:
    own = answers(0.2, sure=0.8)
    found = one(replace(CASES["over-confident"][0], answers=own), "over-confident")
    assert (found.severity, "calibrate" in found.try_first) == ("note", False)
    assert "400 answers of the kept weights are not too sure" in found.evidence
    assert one(CASES["over-confident"][0], "over-confident").severity == "warning"


def test_answers_that_are_a_little_too_sure_are_not_called_calibrated() -> None:
    own = answers(0.2, sure=0.88)
    assert calibration(replace(healthy(), answers=own)) is None
    found = one(replace(CASES["over-confident"][0], answers=own), "over-confident")
    assert (found.severity, "calibrate" in found.try_first) == ("warning", True)
