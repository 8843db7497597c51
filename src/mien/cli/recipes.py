"""`mien recipes`: what can be trained by name."""

from __future__ import annotations

import tomli_w
import typer
from rich.table import Table

from mien.cli.output import console, print_json
from mien.core import recipe as recipes

app = typer.Typer(add_completion=False)


@app.command()
def command(
    name: str | None = typer.Argument(None, help="Print this recipe in full; without it, list all."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change a key first: --set train.epochs=10."),
    as_json: bool = typer.Option(False, "--json", help="Print as one JSON object."),
) -> None:
    """List the recipes, or print one with every key and default."""
    if name is None:
        found = {known: recipes.read(known) for known in recipes.names()}
        if as_json:
            print_json({known: recipe.about for known, recipe in found.items()})
            return
        table = Table("recipe", "net", "epochs", "about")
        for known, recipe in found.items():
            table.add_row(known, recipe.model.name, str(recipe.train.epochs), recipe.about)
        console.print(table)
        return
    tree = recipes.to_tree(recipes.read(name, settings))
    print_json(tree) if as_json else console.print(tomli_w.dumps(tree), end="", markup=False)
