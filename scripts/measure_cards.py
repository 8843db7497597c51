"""Measure the cards of the shipped models anew: after a change of what is measured, such as which copies are found.

    python scripts/measure_cards.py PACKED [NAME ...]

Writes NAME.json and NAME.md beside the models, which stay as they are, and prints the figures that changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mien.core.files import write_json, write_text
from mien.data import dataset as datasets
from mien.deploy.card_data import card_path, read_card, to_json
from mien.deploy.card_measure import measure_card
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import shipped, shipped_file
from mien.deploy.shipped_card import card_text


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="packed set that the cards are about")
    parser.add_argument("names", nargs="*", default=shipped())
    options = parser.parse_args()
    dataset = datasets.load(options.data)
    for name in options.names:
        model = shipped_file(name)
        before = read_card(card_path(model))
        card = before.model_copy(update={"measured": measure_card(model, dataset)})
        for old, new in zip(before.measured.figures, card.measured.figures, strict=True):
            if old != new:
                kept = [None if one.leak_free is None else round(one.leak_free.accuracy, 4) for one in (old, new)]
                print(f"{name}, {new.scored_on}, {new.tta}: {old.copies} → {new.copies} copies, {kept[0]} → {kept[1]}")
        write_json(card_path(model), to_json(card))
        write_text(model.with_suffix(".md"), card_text(card, Predictor(model, threads=1).spec))


if __name__ == "__main__":
    main()
