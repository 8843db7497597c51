"""`mien doctor`: whether a recipe can learn from a data set, before it is trained."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from mien.cli.output import bars, console, print_json
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.errors import command as shell

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    recipe: str = typer.Argument(..., help="Name of a shipped recipe or path of a TOML file."),
    data: Path = typer.Argument(..., help="Packed data set."),
    settings: list[str] = typer.Option([], "--set", "-s", help="Change a key: key.path=value. Repeatable."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Check leaks, splits, what the net is fed, balance, the first loss, and that 64 pictures can be learned by heart.

    Exit code 1: a check failed.
    """
    if (Path(recipe) / "dataset.json").is_file():
        raise MienError(f"{recipe}: a packed data set, where the recipe stands", hint=shell("doctor", data, recipe))
    chosen = recipes.read(recipe, settings)
    # Loaded only now: a wrong key is answered at once, before torch takes its seconds.
    from mien.data import dataset
    from mien.train.doctor import examine

    packed = dataset.load(data)
    with bars("steps", "fitting 64 pictures") as (tell,):
        checks = examine(packed, chosen, tell=tell)
    passed = all(check.passed for check in checks)
    if as_json:
        print_json({"passed": passed, "checks": [check.to_json() for check in checks]})
        raise typer.Exit(0 if passed else 1)
    for check in checks:
        mark = "[green]ok[/green]    " if check.passed else "[red]failed[/red]"
        console.print(f"{mark}  [bold]{check.name}[/bold]: {escape(check.seen)}")
        if check.hint:
            console.print(f"          → {check.hint}", markup=False)
    raise typer.Exit(0 if passed else 1)
