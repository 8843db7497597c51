"""`mien data expand`: offline augmentation into a new packed set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from mien.cli.output import bars, console, print_json
from mien.core import recipe as recipes
from mien.core.recipe import AugmentConfig, Recipe
from mien.data.dataset import load
from mien.data.expand import Expansion, check_expandable, expand_data
from mien.data.regroup import groups


def expand(
    packed: Path = typer.Argument(help="A packed data set."),
    recipe: str = typer.Option("mien-m", "--recipe", help="Whose [augment] to apply: a name or a TOML file."),
    copies: int = typer.Option(1, "--copies", "-n", min=1, help="Changed copies of each training picture."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the packed data set to write."),
    setting: list[str] = typer.Option([], "--set", help="Change a key of the recipe: key.path=value."),
    seed: int = typer.Option(0, min=0, help="Of the changes."),
    force: bool = typer.Option(False, "--force", help="Replace a packed data set at --out."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Add changed copies of the training pictures, once and for all; val and test stay as they are."""
    # Loaded here because torch takes a while, and no other verb of `data` needs it.
    from mien.augment.offline import LEFT_TO_TRAINING, Offline

    dataset, chosen = load(packed), recipes.read(recipe, setting)
    change = Offline(chosen.augment, seed)
    check_expandable(dataset, out, force=force)  # before the search for copies
    with bars("pictures", "looking for copies", "expanding") as (looking, tell):
        expansion = Expansion(change, copies, _rule(chosen, seed, LEFT_TO_TRAINING), groups(dataset, progress=looking))
        made = expand_data(dataset, out, expansion, force=force, progress=tell)
    if json:
        added = len(made) - len(dataset)
        print_json({"path": str(out), "count": len(made), "added": added, "fingerprint": made.info.fingerprint})
        return
    console.print(f"wrote {len(made):,} pictures to {out}: {len(dataset):,} as they were and", markup=False, end=" ")
    console.print(f"{len(made) - len(dataset):,} changed copies of training pictures", markup=False)
    for key in (key for key in LEFT_TO_TRAINING if key in chosen.augment.on):
        console.print(f"· augment.{key} is left to training: the pictures keep their size and labels", markup=False)


def _rule(recipe: Recipe, seed: int, left: Sequence[str]) -> dict[str, object]:
    """What is done, for the new set's provenance: only what differs from leaving the pictures alone."""
    plain = AugmentConfig().model_dump(mode="json")
    keys = recipe.augment.model_dump(mode="json").items()
    changes = {k: v for k, v in keys if v != plain[k] and k not in left}
    return {"recipe": recipe.name, "augment": changes, "seed": seed}
