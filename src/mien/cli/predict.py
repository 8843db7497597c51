"""`mien predict`: expression labels for the faces in pictures. Loads neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import typer

from mien.cli.options import HeadName, Labels, Model, Threads, UnsureBelow
from mien.cli.output import UNREAD, Reader, harmless, progress
from mien.cli.predict_output import Drawings, check_drawn, distinct, drawn_name, json_object, table, while_read
from mien.cli.writable import check_files, check_folder
from mien.core.errors import MienError, MissingExtraError
from mien.core.labels import LabelSet
from mien.core.spec import ModelSpec
from mien.deploy.answers import Sink, check_distinct, csv_answers, submission_answers
from mien.deploy.photos import Looked, PhotoReader
from mien.deploy.pictures import Named, Picture, picture_files
from mien.deploy.runtime import BATCH_SIZE, Predictor
from mien.faces.centerface import MIN_SCORE, PHOTO_SIDE, CenterFace
from mien.page.words import plural

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Find(StrEnum):
    """How faces are found."""

    auto = "auto"
    crop = "crop"
    detect = "detect"


class _Asked(NamedTuple):
    """A picture, the name it is told by, and the path its drawing gets below the folder of drawings."""

    source: str
    picture: Picture
    drawn: Path


class _Told(NamedTuple):
    """How many pictures were answered, and how many faces of them."""

    pictures: int
    faces: int


class _Packed(NamedTuple):
    """What reads packed sets."""

    labels: Callable[[Path], LabelSet]
    pictures: Callable[..., Iterator[Named]]


@app.command()
def command(
    paths: list[Path] = typer.Argument(help="Photos or cut-out faces, folders of them, packed data sets."),
    model: Model = None,
    faces: Find = typer.Option(Find.auto, help="Look for faces (detect), or is each picture one face (crop)?"),
    labels: Labels = None,
    head: HeadName = None,
    split: str | None = typer.Option(None, help="Of packed data sets: train, val or test; else all."),
    detect_size: int = typer.Option(PHOTO_SIDE, min=32, help="Longer side in px that faces are looked for at."),
    min_score: float = typer.Option(MIN_SCORE, min=0, max=1, help="Leave out faces the detector is less sure of."),
    unsure_below: UnsureBelow = None,
    batch_size: int = typer.Option(BATCH_SIZE, min=1, help="Pictures at a time; the answers do not depend on it."),
    threads: Threads = None,
    csv: Path | None = typer.Option(None, help="Write every probability to this file."),
    draw: Path | None = typer.Option(None, help="Write the pictures with their faces marked into this folder."),
    submission: Path | None = typer.Option(
        None,
        help="Write id,label to this file: row number or file name without its ending, and the class from 0, of packed"
        " sets by their own labels.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """The expression label of every face in pictures: how a face looks, not what a person feels.

    A picture that is one cut-out face already is recognised as such; --faces says it where that is known. Exit code
    1: some pictures could not be read, the rest is answered.
    """
    check_files((csv, submission))
    if draw:
        check_folder(draw)
    predictor = Predictor(model, threads=threads, unsure_below=unsure_below)
    wanted = _labels_of_sets(paths, predictor.spec) if submission and labels is None and head is None else labels
    names = predictor.label_names(labels=wanted, head=head)
    failures: dict[str, str] = {}
    asked = _asked(paths, split, failures)
    check_files((csv, submission), read=[predictor.path, *(a.picture for a in asked if isinstance(a.picture, Path))])
    if draw:
        _check_drawings(asked, paths, draw)
    find = _one_each(faces, asked) if submission else faces
    detector = None if find is Find.crop else _detector(detect_size, min_score, threads)
    reader = PhotoReader(predictor, detector=detector, find=find.value, labels=wanted, head=head)
    whoever, facts = Reader(), _facts(predictor, wanted, head)
    shown = json_object(facts, failures) if as_json else table([a.source for a in asked], names, failures)
    files = [csv_answers(csv, names)] if csv else []
    files += [submission_answers(submission, names)] if submission else []
    # Files are written to the end even where nobody reads what is printed; without any there is nobody to go on for.
    sinks = [*files, while_read(shown, whoever) if files or draw else shown]
    with ExitStack() as stack:
        entered = [stack.enter_context(sink) for sink in sinks]
        told = _tell(_looked(reader, asked, failures, batch_size), entered, asked, draw)
    _say_what_was_written(told, csv=csv, draw=draw, submission=submission, names=names)
    raise typer.Exit(UNREAD if whoever.gone else 1 if failures else 0)


def _facts(predictor: Predictor, labels: LabelSet | str | None, head: str | None) -> dict[str, str]:
    """Model and head that answer; of which labels the head knows nothing is said."""
    facts = {"model": str(predictor.path), "head": predictor.head_name(labels=labels, head=head)}
    if unknown := predictor.unknown_names(labels=labels, head=head):
        _say(f"the head {facts['head']} does not know {', '.join(unknown)}: never answered, probability 0")
    return facts


def _labels_of_sets(paths: Sequence[Path], spec: ModelSpec) -> LabelSet | None:
    """The labels of the packed sets, whose ids a submission is in; None where they differ or the model knows none."""
    found = {_packed().labels(path) for path in paths if _is_packed(path)}
    labels = found.pop() if len(found) == 1 else None
    return labels if labels is not None and spec.best_head(labels)[1] else None


def _asked(paths: Sequence[Path], split: str | None, failures: dict[str, str]) -> list[_Asked]:
    """The pictures of all paths; folders below that cannot be read go to `failures`.

    Raises:
        MienError: names every path that has none.
    """
    found: list[_Asked] = []
    wrong: list[MienError] = []
    for path in paths:
        try:
            found += _pictures(path, split, failures)
        except MissingExtraError:
            raise
        except MienError as error:
            wrong.append(error)
    if wrong:
        hint = next((error.hint for error in wrong if error.hint), None)
        raise MienError("; ".join(error.message for error in wrong), hint=hint)
    if split is not None and not any(map(_is_packed, paths)):
        raise MienError(f"--split {split}: none of these is a packed data set", hint="leave --split out")
    return [one._replace(drawn=name) for one, name in zip(found, distinct(one.drawn for one in found), strict=True)]


def _pictures(path: Path, split: str | None, failures: dict[str, str]) -> Iterator[_Asked]:
    if not _is_packed(path):
        inside = path.resolve().name if path.is_dir() else None
        files = picture_files([path], on_error=lambda name, error: failures.update({name: error.message}))
        return (_Asked(str(file), file, _drawn(file, path, inside)) for file in files)
    named = _packed().pictures(path, split=split)
    inside = path.resolve().name
    return (_Asked(name, pixels, Path(inside, f"{name.replace('/', '_')}.png")) for name, pixels in named)


def _packed() -> _Packed:
    """What reads packed sets: loaded for these alone, since it needs pyarrow, which the plain installation has not."""
    try:
        from mien.deploy.packed import packed_labels, packed_pictures
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pyarrow", "train") from None
    return _Packed(packed_labels, packed_pictures)


def _is_packed(path: Path) -> bool:
    return (path / "dataset.json").is_file()


def _drawn(file: Path, asked: Path, inside: str | None) -> Path:
    """Below the name of the folder that was asked about; never out of the folder of drawings, as `..` would lead."""
    return drawn_name(Path(file.name) if inside is None else Path(inside, file.relative_to(asked)))


def _check_drawings(asked: Sequence[_Asked], paths: Sequence[Path], draw: Path) -> None:
    """Raise MienError when drawings would replace another file or get among the pictures that are asked about."""
    for folder in filter(Path.is_dir, paths):
        if draw.resolve().is_relative_to(folder.resolve()):
            raise MienError(
                f"{draw}: lies in {folder}, and the next to read that would take drawings for pictures",
                hint="give --draw a folder beside it",
            )
    drawn = {folder.resolve() for folder in {(draw / one.drawn).parent for one in asked}}
    for folder in {one.picture.parent for one in asked if isinstance(one.picture, Path)}:
        if folder.resolve() in drawn:
            raise MienError(
                f"{folder}: drawings would get among the pictures that are asked about, and could replace them",
                hint="give --draw a folder of its own",
            )
    check_drawn(draw, [one.drawn for one in asked])


def _one_each(faces: Find, asked: Sequence[_Asked]) -> Find:
    """A submission has one answer a picture, which is then taken for one face."""
    if faces is Find.detect:
        raise MienError("a submission has one answer a picture", hint="leave out --faces detect, or write a --csv")
    check_distinct(one.source for one in asked)
    return Find.crop


def _detector(detect_size: int, min_score: float, threads: int | None) -> CenterFace | None:
    """None where CenterFace is not installed, so that cut-out faces are answered without it."""
    try:
        return CenterFace(longest_side=detect_size, min_score=min_score, threads=threads)
    except MissingExtraError:
        return None


def _looked(
    reader: PhotoReader, asked: Sequence[_Asked], failures: dict[str, str], batch_size: int
) -> Iterator[Looked]:
    stream = reader.stream(
        ((one.source, one.picture) for one in asked),
        batch_size=batch_size,
        on_error=lambda name, error: failures.update({name: error.message}),
    )
    with progress("pictures") as bar:
        task = bar.add_task("predicting", total=len(asked), note="")
        for looked in stream:
            yield looked
            bar.advance(task)


def _say(message: str) -> None:
    typer.echo(f"mien: {harmless(message)}", err=True)


def _say_what_was_written(
    told: _Told, *, csv: Path | None, draw: Path | None, submission: Path | None, names: Sequence[str]
) -> None:
    if csv:
        _say(f"{csv}: {plural(told.faces, 'face')} of {plural(told.pictures, 'picture')}")
    if draw:
        _say(f"{draw}: {plural(told.pictures, 'picture')} marked")
    if submission:
        _say(f"{submission}: {', '.join(f'{i} {n}' for i, n in enumerate(names))}")


def _tell(stream: Iterator[Looked], sinks: Sequence[Sink], asked: Sequence[_Asked], draw: Path | None) -> _Told:
    drawings = Drawings(draw) if draw else None
    pictures = faces = 0
    # In the same order, but for those that could not be read; a picture may have been asked about twice.
    waiting = iter(asked)
    for looked in stream:
        for sink in sinks:
            sink(looked.photo)
        if drawings:
            drawings.add(looked, next(one.drawn for one in waiting if one.source == looked.photo.source))
        pictures, faces = pictures + 1, faces + len(looked.photo.faces)
    return _Told(pictures, faces)
