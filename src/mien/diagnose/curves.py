"""Rules over the curves: overfitting, over-confidence, underfitting, too short and too long."""

from __future__ import annotations

import numpy as np

from mien.diagnose import advice
from mien.diagnose.answered import FEWEST_ANSWERS, too_sure
from mien.diagnose.chance import surely_apart, surely_below
from mien.diagnose.evidence import Evidence
from mien.diagnose.states import gained, still_rising
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Confidence, Verdict
from mien.page.words import percent, plural

_NEEDED = ("val_loss", "val_accuracy")
_PAIR = (*_NEEDED, "train_eval_accuracy")


def overfitting(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Validation turned while training went on; says where, and what stopping there would have given."""
    if not e.has(*_PAIR) or e.epochs < limits.overfit_epochs + 1:
        return None
    loss, accuracy, train = (e.column(name) for name in ("val_loss", "val_accuracy", "train_eval_accuracy"))
    turn = int(loss.argmin())
    above = loss[-limits.overfit_epochs :] > limits.overfit_loss_factor * loss[turn]
    gap, best = float(train[-1] - accuracy[-1]), int(accuracy.argmax())
    lost = float(accuracy[best] - accuracy[-1])
    turned = above.all() and turn < e.epochs - limits.overfit_epochs and gap >= limits.overfit_gap
    if not turned and not (gap >= limits.memorised_gap and train[-1] >= limits.memorised):
        return None
    if not turned:
        return _memorised(e, limits)
    sure = lost >= limits.overfit_accuracy_lost
    return Verdict(
        "overfitting",
        "Overfitting",
        f"From epoch {turn + 1} on the net learned its training pictures by heart: validation loss turned there "
        "while training went on improving.",
        f"Validation loss {loss[turn]:.3f} at epoch {turn + 1}, {loss[-1]:.3f} at the end; training accuracy "
        f"{percent(train[-1], 1)}, validation {percent(accuracy[-1], 1)}. Stopping at epoch "
        f"{turn + 1} would have given "
        f"{percent(accuracy[turn], 1)}; the best was {percent(accuracy[best], 1)} at epoch {best + 1}.",
        "high" if sure or gap >= limits.memorised_gap else "medium",
        "warning",
        f"{advice.augmentation(e.recipe)}{advice.patience(e.recipe, '; and ')}",
        epoch=turn + 1,
    )


def _memorised(e: Evidence, limits: Thresholds) -> Verdict:
    """Learned by heart, though validation loss has not turned: where accuracy has, there was a better epoch."""
    loss, accuracy, train = (e.column(name) for name in ("val_loss", "val_accuracy", "train_eval_accuracy"))
    best = int(accuracy.argmax())
    held = accuracy[best] - accuracy[-1] < limits.overfit_accuracy_lost
    stopping = (
        "Stopping earlier would not have helped: validation had not turned for good when the run ended."
        if held
        else f"Validation loss had not turned for good when the run ended, but accuracy was best at epoch {best + 1}."
    )
    return Verdict(
        "overfitting",
        "Overfitting",
        f"The net knows nearly all of its training pictures by heart and other pictures far less well. {stopping}",
        f"Training accuracy {percent(train[-1], 1)}, validation {percent(accuracy[-1], 1)}"
        f"{'' if held else f', {percent(accuracy[best], 1)} at epoch {best + 1}'}; validation loss {loss.min():.3f} at "
        f"its lowest, {loss[-1]:.3f} at the end.",
        "high",
        "warning",
        f"{advice.augmentation(e.recipe)}; or more pictures",
        epoch=None if held else best + 1,
    )


def over_confident(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Validation loss rises while accuracy holds: the answers stay, the probabilities lose their meaning."""
    if not e.has(*_NEEDED) or e.epochs < 4:
        return None
    loss, accuracy = e.column("val_loss"), e.column("val_accuracy")
    turn = int(loss.argmin())
    if (
        accuracy[-1] < e.chance + 0.1
        or loss[-1] < max(limits.loss_rises * loss[turn], loss[turn] + limits.loss_rises_by)
        or accuracy[-1] < accuracy[turn] - limits.overfit_accuracy_lost
    ):
        return None
    # What answers is the kept epoch, calibrated or not, and its answers say more than the curve of what came after.
    kept = e.answers if e.answers is not None and len(e.answers.ids) >= FEWEST_ANSWERS else None
    calibrated = kept is not None and not too_sure(kept)
    answered = f" The {len(kept.ids):,} answers of the kept weights are not too sure." if kept and calibrated else ""
    smoothing = advice.smoothing(e.recipe, "; " if calibrated else "; or ")
    return Verdict(
        "over-confident",
        "Loss up, accuracy not down" if calibrated else "Over-confident: loss up, accuracy not down",
        "The net answers as well as before but with too much certainty, and the few wrong answers given with certainty "
        "make the loss rise. Accuracy counts answers, loss weighs their certainty: both curves are right.",
        f"Validation loss {loss[turn]:.3f} → {loss[-1]:.3f} since epoch {turn + 1}, accuracy "
        f"{percent(accuracy[turn], 1)} → {percent(accuracy[-1], 1)}.{answered}",
        "high" if loss[-1] > 1.3 * loss[turn] else "medium",
        "note" if calibrated else "warning",
        f"nothing for these weights{smoothing and f'{smoothing} keeps the loss of another training down'}"
        if calibrated
        else f"mien calibrate RUN (temperature){smoothing}",
        epoch=turn + 1,
    )


def underfitting(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Even the training pictures are answered badly, and no better than validation."""
    if not e.has(*_PAIR):
        return None
    train, val = float(e.column("train_eval_accuracy")[-1]), float(e.column("val_accuracy")[-1])
    if not surely_below(train, e.probe_count, limits.underfit_accuracy) or train - val >= limits.underfit_gap:
        return None
    if still_rising(e, limits) or _few_updates(e, limits):
        return None  # it may only have been too short
    return Verdict(
        "underfitting",
        "Underfitting",
        "The net has not learned its own training pictures: it is too small, held back too much, or the rate is wrong.",
        f"Training accuracy {percent(train, 1)} (in evaluation mode), validation {percent(val, 1)}.",
        "high" if train < 0.5 else "medium",
        "warning",
        f"more epochs, a larger net{'' if e.recipe.model.name == 'mien-m' else ' (--set model.name=mien-m)'}, "
        "less dropout and augmentation; mien lr DATA for the rate",
    )


def _few_updates(e: Evidence, limits: Thresholds) -> bool:
    """Whether there were so few updates that nothing can have been learned; the rate may have been right or not."""
    return e.has("step") and e.column("step")[-1] < limits.few_updates


def too_short(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Accuracy was still rising, and there was more to learn from the training pictures.

    A falling rate lifts accuracy at the end of any run; where training is ahead of validation by then, more of the same
    would mostly be learned by heart, so that the rise alone is no sign.
    """
    if not e.has(*_PAIR):
        return None
    accuracy, train = e.column("val_accuracy"), e.column("train_eval_accuracy")
    if _few_updates(e, limits) and surely_below(float(train[-1]), e.probe_count, limits.underfit_accuracy):
        return _short(e, f"There were {int(e.column('step')[-1])} updates in all", "medium")
    ahead = train[-1] - accuracy[-1] > limits.underfit_gap and surely_apart(
        float(train[-1]) - limits.underfit_gap, e.probe_count, float(accuracy[-1]), e.val_count
    )
    if not still_rising(e, limits) or accuracy[-1] < e.chance or train[-1] > limits.learned or ahead:
        return None
    before, after = gained(accuracy, limits)
    gain = "in the first epoch" if len(accuracy) == 1 else f"by {100 * (after - before):.1f} points in the last quarter"
    return _short(e, f"Validation accuracy rose {gain}", "high" if after - before > 2 * limits.late_gain else "medium")


def _short(e: Evidence, evidence: str, confidence: Confidence) -> Verdict:
    return Verdict(
        "too-short",
        "Trained too short",
        "When the run ended there was more to learn, and it was still learning or had hardly begun.",
        f"{evidence}, to {percent(e.column('val_accuracy')[-1], 1)} of validation after {plural(e.epochs, 'epoch')}; "
        f"training pictures {percent(e.column('train_eval_accuracy')[-1], 1)}.",
        confidence,
        "warning",
        f"--set train.epochs={2 * e.epochs}",
        epoch=e.epochs,
    )


def too_long(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Nearly all of the run brought nothing, and it was not the updates that were too few."""
    if not e.has(*_NEEDED) or e.epochs < limits.long_epochs or too_short(e, limits) is not None:
        return None
    accuracy = e.column("val_accuracy")
    enough = int(np.flatnonzero(accuracy >= accuracy.max() - 0.01)[0])
    if enough + 1 > limits.early_share * e.epochs or accuracy.max() < e.chance + 0.1:
        return None
    return Verdict(
        "too-long",
        "Trained far too long",
        f"Validation accuracy was within one point of its best by epoch {enough + 1}; the rest was time spent.",
        f"{percent(accuracy[enough], 1)} at epoch {enough + 1} of {e.epochs}, best {percent(accuracy.max(), 1)}.",
        "medium",
        "warning",
        f"--set train.epochs={2 * (enough + 1)} or --set stopping.patience_epochs={max(3, enough)}",
        epoch=enough + 1,
    )


def flat_accuracy(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:  # noqa: ARG001 - as all rules
    """Loss down but accuracy flat: certainty grows on answers that were right already."""
    if not e.has(*_NEEDED) or e.epochs < 6:
        return None
    loss, accuracy = e.column("val_loss")[-4:], e.column("val_accuracy")[-4:]
    if loss[-1] > 0.95 * loss[0] or np.ptp(accuracy) > 0.005:
        return None
    return Verdict(
        "loss-down-accuracy-flat",
        "Loss down, accuracy flat",
        "The net grows surer of answers that were right already; none changes sides. That is no fault.",
        f"Over the last four epochs validation loss {loss[0]:.3f} → {loss[-1]:.3f}, accuracy within "
        f"{100 * np.ptp(accuracy):.1f} points.",
        "medium",
        "note",
        "nothing; compare confidence with mien calibrate RUN",
    )


RULES = (overfitting, over_confident, underfitting, too_short, too_long, flat_accuracy)
