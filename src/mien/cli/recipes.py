"""`mien recipes`: what can be trained by name."""

from __future__ import annotations

import tomli_w
import typer
from pydantic import BaseModel
from rich.table import Table

from mien.cli.output import console, print_json
from mien.core import recipe as recipes

app = typer.Typer(add_completion=False, rich_markup_mode=None)


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
    recipe = recipes.read(name, settings)
    if as_json:
        print_json(recipe.model_dump(mode="json"))
        return
    console.print(tomli_w.dumps(recipes.to_tree(recipe)), end="", markup=False)
    # TOML has no word for nothing, so keys that are not set can only be named.
    unset = [f"{table}.{key}" for table, part in recipe for key in unset_keys(part)]
    console.print(f"# not set: {', '.join(unset)}", markup=False)


def unset_keys(part: object) -> list[str]:
    """The keys of a recipe's table that are None."""
    return [key for key, value in part if value is None] if isinstance(part, BaseModel) else []
