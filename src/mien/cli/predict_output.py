"""How `mien predict` tells what it found, picture by picture: a table for people, JSON for machines, drawings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.text import Text

from mien.cli.output import Reader, console, dumped, harmless
from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.deploy.annotate import annotate, annotate_crop
from mien.deploy.answers import Sink
from mien.deploy.photos import Face, Looked, Photo

Failures = Mapping[str, str]
_WIDEST_NAME = 48
# Written into drawings, so that a later run knows which files it may replace.
_SIGNATURE = "drawn by mien predict"


@contextmanager
def while_read(shown: AbstractContextManager[Sink], reader: Reader) -> Iterator[Sink]:
    """The same as `shown`, until nobody reads any more: from then on it takes photos and prints nothing."""
    with reader.may_leave(), shown as show:

        def show_to_reader(photo: Photo) -> None:
            with reader.may_leave():
                show(photo)

        yield show_to_reader


@contextmanager
def table(sources: Iterable[str], names: Sequence[str], failures: Failures) -> Iterator[Sink]:
    """Takes photos and prints a line for each face; at the end, on standard error, what could not be read."""
    wide = max((min(len(source), _WIDEST_NAME) for source in sources), default=0)
    label = max(map(len, names)) + len("unsure (?)")
    pictures = 0

    def show(photo: Photo) -> None:
        nonlocal pictures
        if not pictures:
            console.print(f"{'picture':<{wide}}  {'label':<{label}}  probability  next", style="bold", markup=False)
        pictures += 1
        for line in _lines(photo, wide, label):
            # As text: names of files and classes may hold what rich takes for markup, such as [1].
            console.print(Text(harmless(line)))

    yield show
    for message in failures.values():
        typer.echo(f"mien: {harmless(message)}", err=True)
    if failures:
        typer.echo(f"mien: {len(failures)} of {pictures + len(failures)} pictures not answered", err=True)


def _lines(photo: Photo, wide: int, label: int) -> Iterator[str]:
    if not photo.faces:
        yield f"{photo.source:<{wide}}  no face found"
    for number, face in enumerate(photo.faces, 1):
        answer = f"unsure ({face.label}?)" if face.unsure else face.label
        percent = f"{100 * face.probability:.1f} %"
        where = "" if photo.is_crop else f"face {number} of {len(photo.faces)} {_where(face)}"
        name, shown, second = f"{photo.source:<{wide}}", f"{answer:<{label}}", f"{_runner_up(face):<{label}}"
        yield "  ".join((name, shown, f"{percent:>11}", second, where)).rstrip()


def _where(face: Face) -> str:
    left, top, right, bottom = face.box
    return f"at {left:.0f},{top:.0f} ({right - left:.0f}×{bottom - top:.0f})"


def _runner_up(face: Face) -> str:
    others = [(value, name) for name, value in face.probabilities.items() if name != face.label]
    if not others:
        return ""
    value, name = max(others)
    return f"{name} {100 * value:.1f} %"


@contextmanager
def json_object(facts: Mapping[str, str], failures: Failures) -> Iterator[Sink]:
    """Takes photos and prints one JSON object, a prediction a line as they come: nothing is kept for the end.

    Before them stand `facts`: the model and the head that answers.
    """
    write = sys.stdout.write
    begin = "{\n" + "".join(f"{dumped(key)}: {dumped(value)},\n" for key, value in facts.items()) + '"predictions": ['
    empty: list[str] = []
    comma = f"{begin}\n"

    def show(photo: Photo) -> None:
        nonlocal comma
        if not photo.faces:
            empty.append(photo.source)
        for number, face in enumerate(photo.faces, 1):
            write(comma + dumped(_facts(photo, number, face)))
            comma = ",\n"

    yield show
    failed = [{"source": name, "error": message} for name, message in failures.items()]
    write(begin if comma.startswith(begin) else "")
    write(f'\n],\n"without_faces": {dumped(empty)},\n"failed": {dumped(failed)}\n}}\n')


def _facts(photo: Photo, number: int, face: Face) -> dict[str, Any]:
    return {
        "source": photo.source,
        "face": number,
        "label": face.label,
        "probability": face.probability,
        "probabilities": face.probabilities,
        "unsure": face.unsure,
        "crop": photo.is_crop,
        "box": [round(value, 2) for value in face.box],
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in face.landmarks],
        "score": round(face.score, 4),
    }


class Drawings:
    """Writes each picture with its faces marked into a folder, under its own name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, looked: Looked, name: Path) -> None:
        """Write one picture as `name`, of `drawn_name`, in the folder."""
        photo, picture = looked
        marked = annotate_crop(picture, photo.faces[0]) if photo.is_crop else annotate(picture, photo.faces)
        self._save(marked, self.folder / name, picture.info.get("icc_profile"))

    def _save(self, picture: Image.Image, path: Path, profile: bytes | None) -> None:
        """Of what the source says besides its pixels, the colour profile alone is kept, where it is one of RGB."""
        kept = profile if profile and profile[16:20] == b"RGB " else None  # ICC.1: its colour space
        picture.info.clear()  # Pillow would write a comment on
        with atomic_path(path) as temporary:
            if path.suffix == ".png":
                picture.save(temporary, "PNG", icc_profile=kept, pnginfo=_signature())
            else:
                picture.save(temporary, "JPEG", quality=92, icc_profile=kept, comment=_SIGNATURE)


def drawn_name(name: Path) -> Path:
    """What the drawing of a picture is called: PNG stays PNG, all else becomes JPEG."""
    return name.with_suffix(".png" if name.suffix.lower() == ".png" else ".jpg")


def distinct(names: Iterable[Path]) -> Iterator[Path]:
    """The same names, with a number where one was there before."""
    taken: set[Path] = set()
    for name in names:
        found, number = name, 1
        while found in taken:
            number += 1
            found = name.with_stem(f"{name.stem}-{number}")
        taken.add(found)
        yield found


def check_drawn(folder: Path, names: Iterable[Path]) -> None:
    """Raise MienError where a drawing would replace a file that is none."""
    for path in filter(Path.is_file, (folder / name for name in names)):
        try:
            with Image.open(path) as picture:
                told = picture.info.get("Software") or picture.info.get("comment")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # as Pillow says what is no picture
            told = None
        if told not in (_SIGNATURE, _SIGNATURE.encode()):
            raise MienError(f"{path}: is no drawing of mien's, and would be replaced", hint="give --draw a new folder")


def _signature() -> PngInfo:
    info = PngInfo()
    info.add_text("Software", _SIGNATURE)
    return info
