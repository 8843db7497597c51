"""`mien data split` and `mien data group`: dividing a set anew, and finding the copies that must stay together."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.data_shown import print_dataset, summary
from mien.cli.output import bars, console, print_json
from mien.core.errors import MienError
from mien.data.dataset import load
from mien.data.redivide import FOLD, LEFT_OUT, Division, split_data
from mien.data.regroup import about_groups, write_groups

# What is left out, by the keys of the provenance.
_LEFT_OUT = {
    "copies": "copies of pictures in test",
    "people": "pictures of people who are in test",
    "changed": "changed copies outside of train",
}


def split(
    packed: Path = typer.Argument(help="A packed data set."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the packed data set to write."),
    val: float | None = typer.Option(None, help="Share of val: 0.1 if not given. Not with --folds."),
    test: float = typer.Option(0.0, help="Share of test."),
    folds: int | None = typer.Option(None, help="Divide all outside test into so many folds; val is then fold 0."),
    keep_test: bool | None = typer.Option(
        None, help="Leave test as it is, without its copies and people elsewhere. So if there is one and no --test."
    ),
    apart: bool = typer.Option(False, "--apart", help="Let copies go to different splits, as if nobody had looked."),
    seed: int = typer.Option(0, min=0, help="Of the draw."),
    force: bool = typer.Option(False, "--force", help="Replace a packed data set at --out."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Divide a packed data set anew: stratified by class, copies and people kept on one side."""
    if folds is not None and val is not None:
        raise MienError(f"--val {val}: with --folds, val is one of the folds", hint="leave out --val or --folds")
    parent = load(packed)
    share = Division.val if val is None else val
    division = Division(val=share, test=test, folds=folds, keep_test=keep_test, apart=apart, seed=seed)
    with bars("pictures", "looking for copies", "writing") as (looking, writing):
        divided = split_data(parent, out, division, force=force, looking=looking, progress=writing)
    left_out = divided.info.provenance[LEFT_OUT]
    tested = int((parent.split == "test").sum())
    groups = None if apart else about_groups(divided.column("group"))
    if as_json:
        print_json(
            {
                **summary(divided),
                "rule": divided.info.provenance["rule"],
                "groups": groups,
                "left_out": sum(left_out.values()),
                "left_out_by": left_out,
            }
        )
        return
    print_dataset(divided)
    if groups is not None:
        console.print(f"· {groups['pictures']:,} pictures in {groups['groups']:,} groups of copies, kept together")
    if folds:
        console.print(f"· column `{FOLD}` of the manifest: folds 0 to {folds - 1}, val is fold 0")
    for kind, count in left_out.items():
        if count:
            console.print(f"· {count:,} {_LEFT_OUT[kind]} left out")
    if tested and (divided.split == "test").any() and not test:
        console.print("· test is as it was")
    elif tested:
        console.print(f"· the {tested:,} pictures of the former test are divided with the others")


def group(
    packed: Path = typer.Argument(help="A packed data set."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Look for copies and write their groups into the manifest, in place.

    Pixels, labels, splits and fingerprint stay. `mien eval` then says the leak-free score beside the plain one.
    """
    with bars("pictures", "looking for copies") as (looking,):
        grouped = write_groups(load(packed), progress=looking)
    found = about_groups(grouped.column("group"))
    if as_json:
        print_json({"path": str(packed), "count": len(grouped), **found})
    else:
        console.print(
            f"{found['pictures']:,} of {len(grouped):,} pictures are in {found['groups']:,} groups of copies"
            f"; written into {packed / 'manifest.parquet'}",
            markup=False,
        )
