"""A font on this machine that has the letters of a text: the one that comes with Pillow has Latin ones only."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    "darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "win32": ("C:/Windows/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts"),
}
# Parts of file names of plain faces with many letters, those of few scripts first; others come after them.
_PREFERRED = (
    *("dejavusans.", "notosans-regular", "liberationsans-regular", "arial.", "segoeui.", "helvetica."),
    *("notosanscjk-regular", "notosanssc-regular", "sourcehansans", "wqy", "droidsansfallback", "pingfang", "hiragino"),
    *("msyh.", "simsun", "yugoth", "malgun", "arialuni", "arial unicode"),
)
_ENDINGS = (".ttf", ".ttc", ".otf")
# So many files are opened at most: a picture is not worth a search through thousands.
_MOST_TRIED = 200
_LATIN = "Aa0#%()?"
_TRIED_SIZE = 16
_MISSING = "\U0010ffff"  # is in no font: its shape stands for what is not there


def font(size: float, text: str) -> Font:
    """A font of `size` pixels with every letter of `text`, where the machine has one; else Pillow's own."""
    file = None if has_letters(_own(size), text) else font_file(text)
    return _own(size) if file is None else _loaded(file, size)


def legible(text: str) -> bool:
    """Whether `font` finds one that has every letter."""
    return has_letters(_own(_TRIED_SIZE), text) or font_file(text) is not None


def font_file(text: str, *, first: Sequence[Path] = ()) -> Path | None:
    """A font file with every letter of `text`: one of `first` or of the system's; None where there is none."""
    return _font_file("".join(sorted({*_LATIN, *(letter for letter in text if not letter.isascii())})), tuple(first))


def has_letters(font: Font, text: str) -> bool:
    """Whether a font has a shape of its own for every letter of `text`."""
    if text.isascii() or isinstance(font, ImageFont.ImageFont):  # the latter is Pillow's without FreeType
        return text.isascii()
    missing = _shape(font, _MISSING)
    return all(letter.isspace() or _shape(font, letter) != missing for letter in set(text))


def in_ascii(text: str) -> str:
    """A text that every font has: other letters become question marks."""
    return text.encode("ascii", "replace").decode()


def _shape(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@cache
def _own(size: float) -> Font:
    return ImageFont.load_default(size)


@cache
def _loaded(file: Path, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file), size)


@lru_cache(maxsize=256)
def _font_file(letters: str, first: tuple[Path, ...]) -> Path | None:
    for file in (*first, *_installed()):
        try:
            if has_letters(ImageFont.truetype(str(file), _TRIED_SIZE), letters):
                return file
        except (OSError, ValueError):  # not a font, or one that Pillow cannot draw
            continue
    return None


@cache
def _installed() -> tuple[Path, ...]:
    """Font files of the system, the likeliest to be wanted first."""
    files = sorted(_files(), key=lambda file: (_rank(file), file.name))
    return tuple(files[:_MOST_TRIED])


def _files() -> Iterator[Path]:
    for folder in _FOLDERS.get(sys.platform, _FOLDERS["linux"]):
        try:
            place = Path(folder).expanduser()
        except RuntimeError:  # a user without a home
            continue
        for file in place.rglob("*"):
            if file.suffix.lower() in _ENDINGS:
                yield file


def _rank(file: Path) -> int:
    name = file.name.lower()
    return next((i for i, part in enumerate(_PREFERRED) if name.startswith(part)), len(_PREFERRED))
