"""`mien models`: the networks in a list, or one of them layer by layer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from mien.cli.output import console, print_json
from mien.core.errors import MienError
from mien.core.files import write_text
from mien.core.recipe import apply_settings
from mien.models.describe import Description, describe
from mien.models.describe import graph as drawn
from mien.models.zoo import ZOO

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    name: str | None = typer.Argument(None, help="A network, or timm:NAME for any of timm's. Default: list all."),
    size: int | None = typer.Option(None, min=1, help="Side of the pictures in px. Default: what the net is made for."),
    channels: int = typer.Option(1, min=1, max=3, help="1: grey, 3: colour."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change an option: --set dropout=0.1. Repeatable."),
    graph: Path | None = typer.Option(None, "--graph", "-g", help="Draw the network into this file: net.svg."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """List the networks, or print one layer by layer. Figures are with a classifier for seven classes."""
    if graph is not None and (name is None or graph.suffix.lower() != ".svg"):
        raise MienError(f"--graph {graph}: one network is drawn, as SVG", hint="mien models mien-s --graph net.svg")
    if name is None:
        nets = [describe(known, side=size, channels=channels) for known in ZOO]
        print_json({"networks": [_summary(net) for net in nets]}) if as_json else _show_list(nets)
        return
    net = describe(name, side=size, channels=channels, options=apply_settings({}, settings))
    if graph is not None:
        write_text(graph, drawn(net))
    print_json(_full(net)) if as_json else _show(net)
    if graph is not None and not as_json:
        console.print(f"\ndrawn: {graph}", markup=False)


def _summary(net: Description) -> dict[str, Any]:
    """A network for machines, without its layers."""
    return {
        "name": net.name,
        "description": net.description,
        "input": net.input,
        "parameters": net.table.parameters,
        "multiply_adds": net.table.multiply_adds,
        "options": {option.name: option.value for option in net.options},
    }


def _full(net: Description) -> dict[str, Any]:
    return {**_summary(net), "layers": [asdict(layer) for layer in net.table.layers]}


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _table(*columns: str, right: int) -> Table:
    """An empty table whose last `right` columns hold numbers."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns, 1):
        is_number = place > len(columns) - right
        table.add_column(column, justify="right" if is_number else "left", no_wrap=is_number)
    return table


def _show_list(nets: list[Description]) -> None:
    table = _table("network", "what it is", "input", "parameters", "multiply-adds", right=3)
    for net in nets:
        counts = f"{net.table.parameters:,}", f"{net.table.multiply_adds:,}"
        table.add_row(net.name, net.description, _sizes(net.input), *counts)
    console.print(table)
    console.print("\nmien models NAME shows the layers and options; timm:NAME is any network of timm.")


def _show(net: Description) -> None:
    console.print(f"{net.name}: {net.description}; input {_sizes(net.input)}\n", markup=False)
    options = _table("option", "value", "meaning", right=0)
    for option in net.options:
        options.add_row(option.name, _plain(option.value), option.meaning)
    console.print(options)
    console.print()
    columns = "output", "parameters", "multiply-adds", "sees px", "stride px"
    layers = _table("layer", "kind", *columns, right=len(columns))
    # Names whole, even where the terminal is narrow.
    layers.columns[0].min_width = max(len(layer.name) for layer in net.table.layers) - len("backbone.")
    layers.columns[1].min_width = max(len(layer.kind) for layer in net.table.layers)
    for layer in net.table.layers:
        field = str(layer.receptive_field or "all"), str(layer.stride or "")
        counts = f"{layer.parameters:,}", f"{layer.multiply_adds:,}"
        layers.add_row(layer.name.removeprefix("backbone."), layer.kind, _sizes(layer.shape), *counts, *field)
    layers.add_section()
    layers.add_row("all", "", "", f"{net.table.parameters:,}", f"{net.table.multiply_adds:,}", "", "")
    console.print(layers)


def _plain(value: Any) -> str:
    """An option's value as it is written after --set."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
