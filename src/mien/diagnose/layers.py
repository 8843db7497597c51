"""Rules over the layers: dead units, shrinking activations, norms that are not settled, averages left behind."""

from __future__ import annotations

from mien.diagnose import advice
from mien.diagnose.chance import surely_apart, surely_below
from mien.diagnose.evidence import Evidence
from mien.diagnose.states import DEAD, SPREAD, exploded, last, vanished
from mien.diagnose.thresholds import LIMITS, Thresholds
from mien.diagnose.verdict import Verdict
from mien.page.words import percent


def dead_units(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """A layer most of whose ReLU units are 0 for every picture; a note where the training pictures are learned.

    A wide layer may need few of its units for few classes.
    """
    dead = {name: share for name, share in last(e, DEAD).items() if share > limits.dead_share}
    if not dead or vanished(e, limits):
        return None
    name, share = max(dead.items(), key=lambda item: item[1])
    harms = not e.has("train_eval_accuracy") or surely_below(
        float(e.column("train_eval_accuracy")[-1]), e.probe_count, limits.underfit_accuracy
    )
    return Verdict(
        "dead-units",
        "Dead units",
        "Most units of a layer are 0 whatever picture comes; their weights get no gradient and stay so."
        + ("" if harms else " The net has learned its training pictures without them."),
        f"{percent(share)} of {name} are dead at the end; {len(dead)} layers have more than "
        f"{percent(limits.dead_share)}.",
        "high" if share > 0.8 else "medium",
        "warning" if harms else "note",
        f"--set optimiser.learning_rate={e.recipe.optimiser.learning_rate / 10:.2g}, or a net with norms (mien-s)",
        epoch=e.epochs,
    )


def shrinking(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """Outputs of a later layer hardly differ between pictures."""
    spread = {name: value for name, value in last(e, SPREAD).items() if "heads" not in name}
    if len(spread) < 2:
        return None
    first = next(iter(spread.values()))
    name, least = min(spread.items(), key=lambda item: item[1])
    gone = vanished(e, limits)
    if least >= limits.spread_vanishes * max(first, 1e-12) and not gone:
        return None
    return Verdict(
        "shrinking-activations",
        "Activations shrink",
        "Layer by layer less is left of the difference between pictures, until a layer says the same of all.",
        f"Deviation of the outputs {first:.2g} in the first layer, {least:.2g} in {name}.",
        "medium",
        "warning",
        f"--set optimiser.weight_decay={e.recipe.optimiser.weight_decay / 100:.2g}"
        if gone and e.recipe.optimiser.weight_decay
        else advice.norms(e.recipe, "lower learning rate"),
        epoch=e.epochs,
    )


def norms(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """The same weights answer better with norms fed by the batch: the running statistics do not fit them."""
    if not e.has("plain_accuracy", "batch_norm_accuracy") or exploded(e, limits):
        return None  # of a run that broke, statistics are no news
    plain, batch = float(e.column("plain_accuracy")[-1]), float(e.column("batch_norm_accuracy")[-1])
    added = float(e.column("plain_loss")[-1] - e.column("batch_norm_loss")[-1]) if e.has("plain_loss") else 0.0
    shift = float(e.column("norm_shift")[-1]) if e.has("norm_shift") else 0.0
    if batch - plain < limits.norm_accuracy and (added < limits.norm_loss or shift < limits.norm_shift):
        return None
    return Verdict(
        "norms-unsettled",
        "Norm statistics do not fit the weights",
        "In evaluation mode the net uses statistics that training gathered on the way, and those do not fit its "
        "weights yet: it answers better with the statistics of the batch at hand.",
        f"The same pictures and weights: {percent(plain, 1)} with running statistics, "
        f"{percent(batch, 1)} with the batch's; the loss is {added:+.3g} apart, the statistics {shift:.2f} deviations.",
        "high" if batch - plain > 2 * limits.norm_accuracy or added > 2 * limits.norm_loss else "medium",
        "warning",
        "more steps: --set train.epochs=… or a smaller train.batch_size; a lower learning rate",
        epoch=e.epochs,
    )


def averages(e: Evidence, limits: Thresholds = LIMITS) -> Verdict | None:
    """The averaged weights, which are validated and exported, lag behind the plain ones."""
    if not e.has("plain_accuracy", "probe_accuracy") or not (
        e.recipe.average.ema_decay or e.recipe.average.swa_from_epoch
    ):
        return None
    plain, averaged = float(e.column("plain_accuracy")[-1]), float(e.column("probe_accuracy")[-1])
    if plain - averaged < limits.average_accuracy or not surely_apart(plain, e.health_count, averaged, e.health_count):
        return None
    return Verdict(
        "averages-behind",
        "Averaged weights lag behind",
        "What is validated and exported is an average that still holds on to early weights.",
        f"The same pictures: {percent(averaged, 1)} with averaged weights, {percent(plain, 1)} with the plain ones.",
        "high" if plain - averaged > 2 * limits.average_accuracy else "medium",
        "warning",
        "--set average.ema_decay=0.99 and --set average.ema_annealing=count; or more steps",
        epoch=e.epochs,
    )


RULES = (dead_units, shrinking, norms, averages)
