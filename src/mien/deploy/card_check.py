"""Whether a shipped model still does what its card says, on the user's own copy of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.data.dataset import Dataset
from mien.deploy.card_data import Figure, Measured, Share, card_path, read_card
from mien.deploy.card_measure import measure_card, split_fingerprint

# Cards show shares in per cent with one decimal and losses with three: half of the last place.
ROUNDING = 5e-4

Value = float | str | None


@dataclass(frozen=True)
class Difference:
    """A figure that is not what the card says; None where one of the two has no such figure."""

    what: str
    card: Value
    found: Value


@dataclass(frozen=True)
class CardReport:
    """The figures of a card against those measured now."""

    model: str
    dataset: str
    split: str
    compared: int
    tolerance: float
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs beyond rounding."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """As plain dictionaries, lists and numbers."""
        return asdict(self) | {"differences": [asdict(d) for d in self.differences], "passed": self.passed}


def verify_card(
    model: Path,
    dataset: Dataset,
    *,
    tolerance: float = ROUNDING,
    progress: Callable[[int], None] | None = None,
) -> CardReport:
    """Measure a shipped file again and compare the figures of its card.

    All but `Card.calibration` and `Card.comparisons`, which the shipped file alone does not give.

    Args:
        model: the file; its card's JSON lies beside it.
        dataset: the user's own copy of the data, packed, with train for the leak-free figures.
        tolerance: largest difference of a share, or of a log loss in nats, that passes; counts have to be equal.
        progress: called with the number of pictures answered since the last call.

    Raises:
        MienError: no card, or pictures, labels or votes other than those the card was measured on.
    """
    card = read_card(card_path(model))
    told = card.measured
    if split_fingerprint(dataset, told.split) != told.fingerprint:
        raise MienError(
            f"{dataset.path or dataset.info.name}: split {told.split!r} is not what the card was measured on: "
            f"{told.pictures:,} pictures of {told.dataset}, compared by pixels, labels and votes",
            hint="import the original files, with --votes if the card has FER+ figures",
        )
    found = {"sha256 of the file": hashlib.sha256(model.read_bytes()).hexdigest()}
    expected: dict[str, Value] = {"sha256 of the file": card.sha256, **dict(_values(told))}
    measured: dict[str, Value] = {
        **found,
        **dict(_values(measure_card(model, dataset, split=told.split, progress=progress))),
    }
    keys = list(expected | measured)
    differing = tuple(
        Difference(key, expected.get(key), measured.get(key))
        for key in keys
        if not _same(expected.get(key), measured.get(key), tolerance)
    )
    return CardReport(str(model), dataset.info.name, told.split, len(keys), tolerance, differing)


def _same(card: Value, found: Value, tolerance: float) -> bool:
    if isinstance(card, float) and isinstance(found, float):
        return abs(card - found) <= tolerance
    return card == found


def _values(measured: Measured) -> Iterator[tuple[str, Value]]:
    """Every figure by what it is called in a difference."""
    yield "pictures", float(measured.pictures)
    for figure in measured.figures:
        where = f"{figure.scored_on}, augmentation {figure.tta}"
        yield from ((f"{where}: {key}", value) for key, value in _of_figure(figure))
    for i, one in enumerate(measured.slices, 1):  # by place: the ends of a range are written rounded
        yield from _of_share(f"slice {i} on {one.scored_on}", one.overall)


def _of_figure(figure: Figure) -> Iterator[tuple[str, Value]]:
    yield "head", figure.head
    yield "copies in train", float(figure.copies)
    yield "macro-F1", figure.macro_f1
    yield "log loss", figure.log_loss
    yield "calibration error", figure.calibration_error
    yield from _of_share("all", figure.overall)
    if figure.leak_free is not None:
        yield from _of_share("leak-free", figure.leak_free)
    for one in figure.classes:
        yield f"{one.name}, pictures", float(one.pictures)
        yield f"{one.name}, recall", one.recall
        yield f"{one.name}, precision", one.precision


def _of_share(name: str, share: Share) -> Iterator[tuple[str, Value]]:
    yield f"{name}, pictures", float(share.pictures)
    yield f"{name}, accuracy", share.accuracy
    yield f"{name}, low", share.low
    yield f"{name}, high", share.high
