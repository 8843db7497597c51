"""Rules over the steps: learning rate, batch size, gradients, the first loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mien.core.labels import FERPLUS8
from mien.core.phases import phases
from mien.core.recipe import Recipe
from mien.diagnose import advice
from mien.diagnose.chance import Z, deviation
from mien.diagnose.evidence import Evidence, Targets
from mien.diagnose.states import exploded, steady, stopped_unlearned, vanished
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Confidence, Verdict
from mien.page.words import percent, plural


def guessing(recipe: Recipe, classes: int, targets: Targets, limits: Thresholds = LIMITS) -> tuple[float, float] | None:
    """The loss of a first batch under equal answers, and how far from it none is one of guessing.

    With equal answers cross entropy is ln C whatever the target, smoothed or not (Karpathy 2019); a picture without a
    target for a head adds nothing, and batches vary by what is in them. None where the recipe's loss starts elsewhere.
    """
    loss, first = recipe.loss, phases(recipe)[0].config
    if loss.name != "cross-entropy" or recipe.distill.teachers or loss.class_balance != "none" or loss.class_weights:
        return None
    if first.pictures == "hard":
        return None
    each = targets.labels * math.log(classes) + targets.votes * loss.votes_weight * math.log(len(FERPLUS8))
    by_chance = Z * float(each.std()) / math.sqrt(recipe.train.batch_size)
    return float(each.mean()), limits.first_loss_share * float(each.mean()) + by_chance


def _targets(e: Evidence) -> Targets | None:
    """Of the training pictures; without the data they are known where no votes count, and each weight is taken as 1."""
    if e.targets is not None or len(e.column("val_ferplus_accuracy")):
        return e.targets
    return Targets(np.ones(1), np.zeros(1))


def first_loss(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """The first step's loss is not that of guessing."""
    classes, targets = len(e.counts.get("train", {})), _targets(e)
    guess = guessing(e.recipe, classes, targets, limits) if classes > 1 and targets is not None else None
    if guess is None or not e.has("first_loss"):
        return None
    found, (expected, room) = float(e.column("first_loss")[0]), guess
    if e.recipe.model.start_from and found < expected:
        return None  # it has learned before
    if abs(found - expected) <= room:
        return None
    return Verdict(
        "first-loss",
        "The first loss is not that of guessing",
        "Before it learns anything a net should be as unsure as a guess. This one was not: the last layer's start, the "
        "normalisation or the labels are wrong.",
        f"First loss {found:.3f}, guessing gives {expected:.3f}.",
        "high" if abs(found - expected) > 2 * room else "medium",
        "warning",
        "mien doctor RECIPE DATA; look at data.normalise and at the labels",
        epoch=1,
    )


def _lower(e: Evidence) -> str:
    return f"--set optimiser.learning_rate={e.recipe.optimiser.learning_rate / 10:.2g}; mien lr DATA finds the range"


def rate_too_high(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """The loss was no number any more, rose above its start, or jumps from epoch to epoch with huge updates."""
    if e.diverged is not None:
        evidence = str(e.diverged.get("message", "the loss was not finite"))
        epoch = e.diverged.get("epoch")
        return _too_high(e, f"{evidence[:1].upper()}{evidence[1:]}.", "high", epoch if isinstance(epoch, int) else None)
    if not e.has("train_loss", "val_accuracy"):
        return None
    loss = e.column("train_loss")
    if exploded(e, limits):
        epochs = steady(e.recipe, len(loss))
        worst = int(epochs[loss[epochs].argmax()])
        return _too_high(e, _rose(e, int(epochs[0]), worst, limits), "high", worst + 1)
    update = float(np.median(e.column("update_ratio"))) if e.has("update_ratio") else 0.0
    falls = _falls(e)
    stuck = _is_stuck(e, update, limits)
    wild = falls > limits.falls and update > limits.update_high / 4
    if not (stuck or wild or (update > 2 * limits.update_high and not vanished(e, limits))):
        return None
    fell = (
        f"beyond chance validation accuracy falls by {100 * falls:.1f} points from one epoch to the next in the second "
        "half; "
    )
    evidence = (
        f"An update moves the weights by {percent(update, 2)} (about 0.1\N{NO-BREAK SPACE}% is usual); "
        f"{fell if wild else ''}the first epoch's loss was {loss[0]:.3g}."
    )
    if not (stuck or wild or stopped_unlearned(e, limits)):
        return _large_updates(e, evidence)
    return _too_high(e, evidence, "high" if stuck or (wild and update > limits.update_high) else "medium", None)


def _rose(e: Evidence, first: int, worst: int, limits: Thresholds) -> str:
    """The highest training loss and the one it is held against: the first epoch's, or that of the very first step."""
    loss = e.column("train_loss")
    highest = f"Training loss {loss[worst]:.3f} in epoch {worst + 1}"
    if loss[worst] > limits.loss_explodes * loss[first]:
        return f"{highest}, {loss[first]:.3f} in epoch {first + 1}."
    return f"{highest}, {float(e.column('first_loss')[0]):.3f} at the very first step."


def _large_updates(e: Evidence, evidence: str) -> Verdict:
    """Updates far above the usual of a run that learned all the same: no fault."""
    return Verdict(
        "learning-rate-too-high",
        "Large updates",
        "The steps are far larger than usual, and the run learned without losing ground: that need not be a fault.",
        evidence,
        "low",
        "note",
        f"where runs differ much from seed to seed: {_lower(e)}",
    )


def _is_stuck(e: Evidence, update: float, limits: Thresholds) -> bool:
    """Whether weights moved much and nothing was learned but how frequent the classes are, after a start that broke.

    Broke: the first epoch's loss was above that of the untrained net, or that of validation far above it later. A net
    whose very first loss was off had another reason.
    """
    if not e.has("first_loss", "val_loss") or e.epochs < limits.stuck_epochs or update <= limits.update_stuck:
        return False
    if first_loss(e, limits) is not None:
        return False
    loss, first = e.column("train_loss"), float(e.column("first_loss")[0])
    known = min(first, _entropy(e.counts.get("train", {}))) if e.counts.get("train") else first
    unlearned = e.column("val_accuracy").max() < e.chance + 0.1 and loss[1:].min(initial=9e9) > 0.97 * known
    broke = loss[0] > 1.01 * first or e.column("val_loss").max() > limits.loss_explodes * first
    return bool(unlearned and broke)


def _entropy(counts: Mapping[str, int]) -> float:
    """The loss of answering every picture with the shares of the classes, in nats."""
    shares = [count / sum(counts.values()) for count in counts.values() if count]
    return -sum(share * math.log(share) for share in shares)


def _falls(e: Evidence) -> float:
    """How far validation accuracy falls from an epoch to the next, in the mean of the second half, beyond chance.

    Falls alone: a rise, however steep, is what training is for.
    """
    accuracy, count = e.column("val_accuracy"), e.val_count
    epochs = steady(e.recipe, len(accuracy))
    epochs = epochs[epochs > len(accuracy) // 2]
    if len(epochs) < 2 or not count:
        return 0.0
    before, after = accuracy[epochs - 1], accuracy[epochs]
    pairs = zip(before.tolist(), after.tolist(), strict=True)
    chance = [Z * math.hypot(deviation(a, count), deviation(b, count)) for a, b in pairs]
    return float(np.maximum(before - after - chance, 0).mean())


def _too_high(e: Evidence, evidence: str, confidence: Confidence, epoch: int | None) -> Verdict:
    return Verdict(
        "learning-rate-too-high",
        "Learning rate too high",
        "The steps are so large that training jumps over what it looks for, or breaks.",
        evidence,
        confidence,
        "severe",
        _lower(e),
        epoch=epoch,
    )


def rate_too_low(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """The weights hardly moved and the training pictures are not learned.

    Only epochs count at whose end the rate was still up: the ratio is the last update's, and a rate that falls to
    nothing ends in an update of nothing. Of a single epoch, or of a run that broke, it says too little.
    """
    if not e.has("update_ratio", "train_eval_accuracy", "learning_rate") or e.epochs < 2 or exploded(e, limits):
        return None
    rate = e.column("learning_rate")
    update, train = e.column("update_ratio")[rate >= rate.max() / 10], float(e.column("train_eval_accuracy")[-1])
    largest = float(update.max())
    if largest > limits.update_low * 5 or float(np.median(update)) > limits.update_low or train > 0.85:
        return None
    if e.has("gradient_norm") and float(e.column("gradient_norm").max()) < limits.gradient_vanishes:
        return None  # then gradients, not the rate
    return Verdict(
        "learning-rate-too-low",
        "Learning rate too low",
        "The steps are so small that the net hardly left its start.",
        f"An update moves the weights by {100 * largest:.2g} % at most (about 0.1 % is usual); training accuracy "
        f"{percent(train, 1)} after {plural(e.epochs, 'epoch')}.",
        "high" if largest < limits.update_low else "medium",
        "severe",
        f"--set optimiser.learning_rate={e.recipe.optimiser.learning_rate * 10:.2g}; mien lr DATA finds the range",
    )


def rate_decayed(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """For a good part of the run the rate was next to nothing, so that no curve could move."""
    if not e.has("learning_rate", "train_eval_accuracy") or e.epochs < 4:
        return None
    rate = e.column("learning_rate")
    low = rate < limits.decayed_rate * max(rate.max(), e.recipe.optimiser.learning_rate)
    if low.mean() < limits.decayed_epochs or e.column("train_eval_accuracy")[-1] > 0.95:
        return None
    first = int(np.flatnonzero(low)[0])
    return Verdict(
        "learning-rate-decayed",
        "The learning rate decayed to nothing",
        f"From epoch {first + 1} on the rate was so small that no curve could move.",
        f"Rate {rate.max():.2g} at its highest, {rate[first]:.2g} at epoch {first + 1}, {rate[-1]:.2g} at the end; "
        f"{percent(float(low.mean()))} of the epochs below {limits.decayed_rate:g} of the highest.",
        "high",
        "warning",
        "--set schedule.name=cosine"
        + (" (or a larger schedule.gamma)" if "gamma" in e.recipe.schedule.model_fields_set else ""),
        epoch=first + 1,
    )


def batch_size(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Too few pictures in a batch to judge by, or so many that an epoch has hardly a step."""
    size, count = e.recipe.train.batch_size, e.train_count
    if size <= limits.small_batch:
        return Verdict(
            "batch-too-small",
            "Batches too small",
            "A batch is too few pictures to judge by: its accuracy and its norms' statistics are mostly noise.",
            f"{size} pictures a batch; the accuracy of a single one has a deviation of about "
            f"{50 / math.sqrt(size):.0f} points.",
            "high" if size <= limits.small_batch // 2 else "medium",
            "warning",
            "--set train.batch_size=64, and the learning rate larger in proportion",
        )
    smaller = max(limits.small_batch + 1, min(128, count // limits.few_steps))
    if not count or count / size >= limits.few_steps or smaller >= size:
        return None
    return Verdict(
        "batch-too-large",
        "Batches too large",
        "An epoch has so few steps that the net hardly moves in it.",
        f"{size} pictures a batch of {count:,}: {max(1, count // size)} steps an epoch, "
        f"{max(1, count // size) * e.epochs} in all.",
        "high" if count / size < limits.few_steps / 2 else "medium",
        "warning",
        f"--set train.batch_size={smaller}",
    )


def gradients(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Gradients vanish, explode, or are cut off in most of the steps."""
    if not e.has("gradient_norm"):
        return None
    norm = e.column("gradient_norm")
    train = e.column("train_eval_accuracy")
    learned = len(train) and train[-1] > 0.95
    if np.median(norm) < limits.gradient_vanishes and not learned:
        return Verdict(
            "vanishing-gradients",
            "Vanishing gradients",
            "Next to nothing of the error reaches the weights, so they cannot learn.",
            f"Median of the gradient norm {np.median(norm):.2g}.",
            "high",
            "severe",
            f"{advice.norms(e.recipe, 'higher learning rate')}, and look for dead layers below",
        )
    clipped = float(np.median(e.column("clipped_share"))) if e.has("clipped_share") else 0.0
    if clipped > limits.clipped:
        return Verdict(
            "clipped",
            "Most updates are clipped",
            "More than half of the updates were shortened: the limit sets the step, not the learning rate.",
            f"{percent(clipped)} of the updates in a middle epoch; gradient norm "
            f"{np.median(norm):.2g}, limit {e.recipe.optimiser.clip_norm:g}.",
            "high",
            "warning",
            f"--set optimiser.learning_rate={e.recipe.optimiser.learning_rate / 3:.2g}, or a higher "
            "optimiser.clip_norm",
        )
    if norm.max() > limits.gradient_explodes:
        worst = int(norm.argmax())
        return Verdict(
            "exploding-gradients",
            "Exploding gradients",
            "Some steps were driven by gradients far beyond the usual.",
            f"Mean gradient norm {norm[worst]:.3g} in epoch {worst + 1}; usual is 0.5 to 5.",
            "medium",
            "warning",
            f"{advice.clipping(e.recipe)}a lower learning rate",
            epoch=worst + 1,
        )
    return None


RULES = (first_loss, rate_too_high, rate_too_low, rate_decayed, batch_size, gradients)
