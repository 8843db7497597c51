"""`mien data`: import, show and export data sets."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli import data_audit, data_expand, data_fetch, data_review, data_split, data_subset
from mien.cli.data_shown import check_settings, draw_fed, print_dataset, print_imported, summary, summary_of_import
from mien.cli.output import bars, console, print_json
from mien.cli.usage import Verbs
from mien.core.errors import MienError
from mien.data.correct_packed import correct_packed
from mien.data.dataset import load
from mien.data.export import export_data
from mien.data.formats import FORMATS, WRITTEN
from mien.data.pack import ImportOptions, import_data
from mien.data.sizing import Colour
from mien.data.split import VAL_FRACTION
from mien.data.target import SHOW

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Import, show and export data sets.",
)
_FORMATS = ", ".join(form.name for form in FORMATS)
_WRITTEN = ", ".join(form.name for form in WRITTEN)
app.command("audit")(data_audit.command)
app.command("split")(data_split.split)
app.command("group")(data_split.group)
app.command("subset")(data_subset.subset)
app.command("review")(data_review.review)
app.command("expand")(data_expand.expand)
app.command("fetch")(data_fetch.fetch)


@app.command("import")
def import_(
    source: Path = typer.Argument(help="A CSV, list or TFRecord file, or a folder."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder of the packed data set to write."),
    form: str | None = typer.Option(None, "--format", help=f"Read as: {_FORMATS}. Recognised if not given."),
    labels: str | None = typer.Option(None, help="Map onto a label set: fer2013, ferplus8, ferplus10, fer5."),
    names: Path | None = typer.Option(None, help="File with the class names: one a line, or `0 angry`."),
    votes: Path | None = typer.Option(None, help="FER+ votes; fer2013new.csv beside the source is found by itself."),
    no_votes: bool = typer.Option(False, "--no-votes", help="Leave votes beside the source alone."),
    size: int | None = typer.Option(None, help="Side in pixels. Kept as it is when all pictures agree."),
    colour: Colour = typer.Option("auto", help="auto, grey or colour."),
    val_fraction: float = typer.Option(VAL_FRACTION, help="Share of train that becomes val when there is no val."),
    test_as_val: bool = typer.Option(False, "--test-as-val", help="Use the source's test split for validation."),
    seed: int = typer.Option(0, min=0, help="Of the split."),
    strict: bool = typer.Option(False, "--strict", help="Stop at the first row or picture that cannot be read."),
    corrections: Path | None = typer.Option(None, help="corrections.csv of an audit. Corrects packed sets, too."),
    force: bool = typer.Option(False, "--force", help="Replace a packed data set at --out."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Turn any known format into a packed data set, recognised by itself."""
    if votes is not None and no_votes:
        raise MienError(f"--votes {votes} and --no-votes contradict each other", hint="leave out one of them")
    options = ImportOptions(
        format=form,
        labels=labels,
        names=names,
        votes=False if no_votes else votes,
        size=size,
        colour=colour,
        val_fraction=val_fraction,
        test_as_val=test_as_val,
        seed=seed,
        strict=strict,
        corrections=corrections,
    )
    with bars("pictures", "reading headers", "importing") as (surveying, tell):
        if corrections is not None and (source / "dataset.json").is_file():
            _check_plain(source, options)
            imported = correct_packed(source, out, corrections, force=force, progress=tell)
        else:
            imported = import_data(source, out, options=options, force=force, progress=tell, surveying=surveying)
    if json:
        print_json(summary_of_import(imported))
    else:
        print_imported(imported)


def _check_plain(packed: Path, options: ImportOptions) -> None:
    """Raise MienError for options that say how to read a source: a packed set has been read."""
    plain = vars(ImportOptions(corrections=options.corrections))
    given = {name: value for name, value in vars(options).items() if value != plain[name]}
    flags = ["--no-votes" if value is False else f"--{name.replace('_', '-')}" for name, value in given.items()]
    if flags:
        raise MienError(
            f"{packed} is a packed set, which is corrected as it is: {', '.join(flags)} would change nothing",
            hint="leave them out, or import its source again",
        )


@app.command()
def show(
    packed: Path = typer.Argument(help="A packed data set."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder for the pictures. PACKED/show if not given."),
    seed: int = typer.Option(0, min=0, help="Of the samples drawn."),
    recipe: str | None = typer.Option(None, "--recipe", help="Draw what this recipe feeds the net, too."),
    setting: list[str] = typer.Option([], "--set", help="Change a key of the recipe: key.path=value."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Count pictures by class and split, and draw a bar chart and a sheet of samples."""
    check_settings(recipe, setting)
    # Loaded here because matplotlib takes a while, and only this verb draws.
    from mien.data.sheet import write_counts, write_samples

    dataset = load(packed)
    folder = out or packed / SHOW
    files = {"counts": folder / "counts.png", "samples": folder / "samples.png"}
    write_counts(dataset, files["counts"])
    write_samples(dataset, files["samples"], seed=seed)
    if recipe is not None:
        files["fed"] = folder / "fed.png"
        draw_fed(dataset, recipe, setting, files["fed"])
    if json:
        print_json({**summary(dataset), "files": {name: str(path) for name, path in files.items()}})
        return
    print_dataset(dataset)
    for path in files.values():
        console.print(f"wrote {path}", markup=False)


@app.command()
def export(
    packed: Path = typer.Argument(help="A packed data set."),
    form: str = typer.Option(..., "--to", help=f"Format: {_WRITTEN}."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder to write."),
    force: bool = typer.Option(False, "--force", help="Replace an earlier export at --out."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Write a packed data set in another format. Importing it again gives the same pictures, labels and splits."""
    dataset = load(packed)
    with bars("pictures", "exporting") as (tell,):
        export_data(dataset, out, form, force=force, progress=tell)
    if json:
        print_json({"format": form, "out": str(out), "count": len(dataset)})
    else:
        console.print(f"wrote {len(dataset):,} pictures as {form} to {out}", markup=False)
