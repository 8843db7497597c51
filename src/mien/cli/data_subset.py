"""`mien data subset`: a set without some of its classes, rows or copies."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.data_shown import print_dataset, summary
from mien.cli.output import bars, console, print_json
from mien.core.errors import MienError
from mien.data.dataset import load
from mien.data.subset import Rule, subset_data


def subset(
    packed: Path = typer.Argument(help="A packed data set."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the packed data set to write."),
    splits: list[str] = typer.Option([], "--split", help="Keep this split only; repeatable."),
    drop: list[str] = typer.Option([], help="Leave out a class; repeatable."),
    merge: list[str] = typer.Option([], help="CLASS=OTHER: make a class part of another or of a new one; repeatable."),
    without: list[Path] = typer.Option([], help="Leave out the rows of a finding (its .parquet file); repeatable."),
    drop_leaks: bool = typer.Option(False, "--drop-leaks", help="Leave out pictures of train with a copy elsewhere."),
    one_per_group: bool = typer.Option(False, "--one-per-group", help="Keep one of each group of copies."),
    share: float = typer.Option(
        1.0, min=0.0, max=1.0, help="Keep this share of each class of train, for quick trials."
    ),
    seed: int = typer.Option(0, min=0, help="Of that draw."),
    force: bool = typer.Option(False, "--force", help="Replace a packed data set at --out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write a packed data set without some of its classes, rows or copies."""
    rule = Rule(
        splits=tuple(splits),
        drop=tuple(drop),
        merge=dict(_pair(text) for text in merge),
        without=tuple(without),
        drop_leaks=drop_leaks,
        one_per_group=one_per_group,
        share=share,
        seed=seed,
    )
    with bars("pictures", "looking for copies", "writing") as (looking, writing):
        made = subset_data(load(packed), out, rule, force=force, looking=looking, progress=writing)
    if as_json:
        print_json({**summary(made.dataset), "left_out": made.left_out})
        return
    print_dataset(made.dataset)
    for what, count in made.left_out.items():
        console.print(f"· left out: {count:,} ({what})", markup=False)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old.strip() and equals and new.strip()):
        raise MienError(f"--merge {text}: not of the form CLASS=OTHER", hint="--merge disgust=angry")
    return old.strip(), new.strip()
