"""The model card of a shipped file as Markdown, written from its data alone."""

from __future__ import annotations

from mien.core.spec import ModelSpec
from mien.deploy.card import NOT_A_FEELING, model_facts, percent, table, use
from mien.deploy.card_data import Card, Comparison, Figure, Measured, Share, SliceFigure

_TITLES = {"labels": "The data set's labels", "ferplus": "FER+ majority"}
_WEAKEST = 5


def card_text(card: Card, spec: ModelSpec) -> str:
    """Markdown of a card: use, model, data, training, figures, weaknesses, limits."""
    file = {"file": f"{card.name}.onnx, {card.bytes / 1e6:.2f} MB, {card.precision}", "sha256": card.sha256}
    parts = [
        f"# {card.name}\n",
        use(card.name, "Expression labels for faces"),
        table("Model", model_facts(spec, card.training.weights) | {"parameters": f"{card.parameters:,}"} | file),
        _training(card),
        _figures(card),
        _weaknesses(card.measured),
        _comparisons(card.comparisons),
        f"## Recipe\n\n```toml\n{card.training.recipe.strip()}\n```\n",
        NOT_A_FEELING,
    ]
    return "\n".join(part for part in parts if part)


def _training(card: Card) -> str:
    told = card.training
    facts = {"command": f"`{told.command}`", "epochs": str(told.epochs)}
    if told.minutes is not None:
        facts["time"] = f"about {told.minutes:.0f} minutes, by the run's log"
    facts |= told.machine
    return table("Training data", told.data | {"licence": told.data_licence}) + "\n" + table("Training", facts)


def _figures(card: Card) -> str:
    measured = card.measured
    lines = [
        f"Measured from the shipped file on {measured.pictures:,} pictures of {measured.dataset}, split "
        f"{measured.split}, {measured.date}; in brackets 95 % intervals. `mien verify --card {card.name} PACKED` "
        f"measures the figures of the tables again, and the known weaknesses. The weights of an epoch and the "
        f"temperatures were chosen on the same split, which flatters its figures a little; no other pictures were "
        f"looked at.\n",
        "| scored on | augmentation | accuracy | without copies of training pictures | macro-F1 | log loss | "
        "calibration error |\n|---|---|---|---|---|---|---|",
    ]
    lines += [_row(figure) for figure in measured.figures]
    if card.calibration:
        told = ", ".join(f"{head} {percent(error)}" for head, error in card.calibration.items())
        halves = f"Calibration error on the half of the split that a temperature was not fitted on: {told}."
        lines.append(f"\n{halves} It is not measured again.")
    lines += [_classes(figure) for figure in measured.figures if figure.tta == "none"]
    return "## Figures\n\n" + "\n".join(lines) + "\n"


def _row(figure: Figure) -> str:
    free = "–" if figure.leak_free is None else f"{_share(figure.leak_free)}, {figure.copies:,} left out"
    title = _TITLES.get(figure.scored_on, figure.scored_on)
    cells = [
        f"{title}, {figure.overall.pictures:,} pictures, head `{figure.head}`",
        figure.tta,
        _share(figure.overall),
        free,
        percent(figure.macro_f1),
        f"{figure.log_loss:.3f} nats",
        percent(figure.calibration_error),
    ]
    return f"| {' | '.join(cells)} |"


def _classes(figure: Figure) -> str:
    rows = "".join(
        f"| {one.name} | {one.pictures:,} | {percent(one.recall)} | {percent(one.precision)} |\n"
        for one in figure.classes
    )
    title = _TITLES.get(figure.scored_on, figure.scored_on)
    return f"\n### {title}, by class\n\n| label | pictures | recall | precision |\n|---|---|---|---|\n{rows}"


def _weaknesses(measured: Measured) -> str:
    """The slices whose whole interval lies below the score of all pictures, the worst first."""
    found: list[SliceFigure] = []
    for kind in dict.fromkeys(one.scored_on for one in measured.slices):
        overall = measured.of(kind)
        below = [
            one
            for one in measured.slices
            if overall is not None and one.scored_on == kind and one.overall.high < overall.overall.accuracy
        ]
        found += sorted(below, key=lambda one: one.overall.accuracy)[:_WEAKEST]
    if not found:
        return ""
    rows = "".join(
        f"| {_TITLES.get(one.scored_on, one.scored_on)} | {one.name} | {one.overall.pictures:,} | "
        f"{_share(one.overall)} |\n"
        for one in found
    )
    return (
        "## Known weaknesses\n\nFifths of the pictures by what was measured of them (grey levels 0–255, detail 0–1), "
        "and numbers of votes, where the interval lies below the score of all. Where voters disagree, part of "
        "the loss is theirs.\n\n| scored on | pictures with | pictures | accuracy |\n|---|---|---|---|\n" + rows
    )


def _comparisons(comparisons: tuple[Comparison, ...]) -> str:
    if not comparisons:
        return ""
    rows = "".join(
        f"| {one.precision} | {one.bytes / 1e6:.2f} MB | {_changes(one)} | {one.speed_ratio:.2f} | "
        f"{'yes' if one.pays else 'no'} |\n"
        for one in comparisons
    )
    return (
        "## Against the fp32 file\n\nMeasured where the card was made, and not again by `mien verify --card`. Speed: "
        "one face on one thread, median of paired turns.\n\n"
        "| numbers | size | accuracy, points | times as fast | pays |\n|---|---|---|---|---|\n" + rows
    )


def _changes(one: Comparison) -> str:
    return ", ".join(f"{kind} {100 * change:+.2f}" for kind, change in one.accuracy_change.items())


def _share(share: Share) -> str:
    return percent(share.accuracy, {"low": share.low, "high": share.high})
