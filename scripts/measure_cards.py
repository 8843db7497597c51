"""Measure the cards of the shipped models anew: after a change of what is measured, such as which copies are found.

    python scripts/measure_cards.py PACKED [NAME ...] [--default-head HEAD]

Writes NAME.json and NAME.md beside the models and prints the figures that changed. The models stay as they are, but
for the head that answers when nothing is asked for, where one is named.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import onnx

from mien.core.files import atomic_path, write_json, write_text
from mien.data import dataset as datasets
from mien.deploy.card_data import card_path, read_card, to_json
from mien.deploy.card_measure import measure_card
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import shipped, shipped_file
from mien.deploy.shipped_card import card_text
from mien.deploy.signing import sign


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="packed set that the cards are about")
    parser.add_argument("names", nargs="*", default=shipped())
    parser.add_argument("--default-head", help="which head answers when nothing is asked for; else as it was")
    options = parser.parse_args()
    dataset = datasets.load(options.data)
    for name in options.names:
        model = shipped_file(name)
        before = read_card(card_path(model))
        if options.default_head:
            answer_by(model, options.default_head)
        file = {"sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "bytes": model.stat().st_size}
        card = before.model_copy(update=file | {"measured": measure_card(model, dataset)})
        for old, new in zip(before.measured.figures, card.measured.figures, strict=True):
            if old != new:
                kept = [None if one.leak_free is None else round(one.leak_free.accuracy, 4) for one in (old, new)]
                print(f"{name}, {new.scored_on}, {new.tta}: {old.copies} → {new.copies} copies, {kept[0]} → {kept[1]}")
        write_json(card_path(model), to_json(card))
        write_text(model.with_suffix(".md"), card_text(card, Predictor(model, threads=1).spec))


def answer_by(model: Path, head: str) -> None:
    """Write into a file's spec which head answers when nothing is asked for. Raises MienError when it has no such."""
    spec = Predictor(model, threads=1).spec
    proto = onnx.load(model)
    sign(proto, spec.model_copy(update={"default_head": spec.head(head).name}))
    with atomic_path(model) as temporary:
        temporary.write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    main()
