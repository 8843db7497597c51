"""`mien shipped`: the trained models that come with mien, and what their cards say. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from mien.cli.output import console, print_json
from mien.core.errors import MienError
from mien.deploy.card_data import Card, Figure, card_path, read_card, to_json
from mien.deploy.runtime import Predictor
from mien.deploy.shipped import folder, shipped, shipped_file

_KEY = (
    "head: that answers when none is asked for; labels: those of FER2013; TTA: the same with flips × shifts; in %, "
    "each head by its own labels, on the split that the card names. mien shipped NAME prints the card"
)
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    name: str | None = typer.Argument(None, help="A model, to read its card. Default: list all."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """List the trained models that come with mien, or print the card of one.

    Any of them is given by its name: --model NAME. Without --model, the first of the list answers.
    """
    if name is not None:
        _one(shipped_file(name), as_json=as_json)
        return
    cards = {name: _card(shipped_file(name)) for name in shipped()}
    if as_json:
        print_json({"folder": str(folder()), "models": [_facts(*item) for item in cards.items()]})
    elif cards:
        console.print(_table(cards))
        console.print(f"\n{_KEY}", style="dim")
    else:
        console.print("this mien comes without a trained model: train one, and give --model FILE or RUN")


def _one(model: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(read_card(card_path(model))))
        return
    text = model.with_suffix(".md")
    if not text.is_file():
        raise MienError(f"{text}: missing", hint="install mien again: card and model come together")
    console.print(text.read_text(encoding="utf-8"), markup=False)


def _card(model: Path) -> Card | None:
    """None where a model was put into the folder without a card."""
    return read_card(card_path(model)) if card_path(model).is_file() else None


def _facts(name: str, card: Card | None) -> dict[str, Any]:
    """A model for machines: its file, and the card without recipe and classes."""
    model = shipped_file(name)
    facts: dict[str, Any] = {"name": name, "file": str(model), "bytes": model.stat().st_size, "accuracy": {}}
    facts["head"] = _head(model)
    if card is None:
        return facts
    scores = {f"{f.scored_on}/{f.tta}": f.overall.model_dump() for f in card.measured.figures}
    return facts | {
        "precision": card.precision,
        "parameters": card.parameters,
        "split": card.measured.split,
        "accuracy": scores,
    }


def _table(cards: dict[str, Card | None]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("head", no_wrap=True)
    for column in ("MB", "numbers", "labels", "TTA", "leak-free", "FER+", "leak-free"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, card in cards.items():
        file = shipped_file(name)
        size = f"{file.stat().st_size / 1e6:.2f}"
        table.add_row(name, _head(file), size, *(_figures(card) if card else ["no card", *["–"] * 5]))
    return table


def _head(file: Path) -> str:
    """The head that answers when none is asked for."""
    return Predictor(file, threads=1).spec.head().name


def _figures(card: Card) -> list[str]:
    measured = card.measured
    labels, votes = measured.of("labels"), measured.of("ferplus")
    by_labels = [_percent(labels), _percent(measured.of("labels", "flip-shift")), _leak_free(labels)]
    return [card.precision, *by_labels, _percent(votes), _leak_free(votes)]


def _leak_free(figure: Figure | None) -> str:
    return "–" if figure is None or figure.leak_free is None else f"{100 * figure.leak_free.accuracy:.1f}"


def _percent(figure: Figure | None) -> str:
    return "–" if figure is None else f"{100 * figure.overall.accuracy:.1f}"
