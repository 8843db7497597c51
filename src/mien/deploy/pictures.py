"""What can be asked about: paths, bytes, PIL pictures, arrays, many of them; and finding pictures in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.errors import MienError
from mien.core.paths import absent
from mien.core.picture import SUFFIXES, Pixels, conform, decode, from_pil
from mien.core.spec import ModelSpec

Picture = str | os.PathLike[str] | bytes | Image.Image | Pixels
Named = tuple[str, Picture]
Pictures = Picture | Iterable[Picture | Named]


def each(pictures: Pictures) -> Iterator[Named]:
    """Single pictures with a name each: the one given with it, its path, or else `#` and its position.

    An array (N, H, W) or (N, H, W, 3) counts as N pictures, (H, W) and (H, W, 3) as one; nothing is read yet.
    """
    for i, item in enumerate(_singles(pictures)):
        if isinstance(item, tuple):
            yield item
        else:
            yield (os.fspath(item) if isinstance(item, str | os.PathLike) else f"#{i}"), item


def _singles(pictures: Pictures) -> Iterator[Picture | Named]:
    if isinstance(pictures, np.ndarray):
        yield from (pictures if _is_batch(pictures) else (pictures,))
    elif isinstance(pictures, str | os.PathLike | bytes | Image.Image):
        yield pictures
    else:
        for item in pictures:
            yield from _singles(item) if isinstance(item, np.ndarray) else (item,)


def _is_batch(array: NDArray[np.generic]) -> bool:
    # A last axis of up to four is colour, of the right kind or not: pictures four pixels wide are not asked about.
    return array.ndim == 4 or (array.ndim == 3 and array.shape[-1] > 4)


def to_input(picture: Picture, spec: ModelSpec) -> Pixels:
    """One picture as the model takes it: uint8 (H, W) for grey or (H, W, 3), the same as at import.

    Raises:
        MienError: it cannot be read, or is nothing that shows a picture.
    """
    return conform(opened(picture), spec.height, spec.width, channels=spec.channels)


def opened(picture: Picture) -> Image.Image:
    """Any kind of picture as a PIL one, upright and in mode L or RGB.

    Raises:
        MienError: it cannot be read, or is nothing that shows a picture.
    """
    if isinstance(picture, bytes):
        return decode(picture)
    if isinstance(picture, str | os.PathLike):
        return decode(Path(picture))
    if isinstance(picture, Image.Image):
        return from_pil(picture)
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    raise MienError(
        f"cannot look at a {type(picture).__name__}", hint="give a path, bytes, a PIL picture or a uint8 array"
    )


def _from_array(array: NDArray[np.generic]) -> Image.Image:
    if array.dtype != np.uint8:
        raise MienError(f"pictures in arrays are uint8, 0 to 255, got {array.dtype}", hint="scale, round and cast them")
    single = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
    if single.ndim not in (2, 3) or single.shape[2:] not in ((), (3,)) or 0 in single.shape:
        raise MienError(f"pictures in arrays have shape (H, W) or (H, W, 3), got {array.shape}")
    return Image.fromarray(np.ascontiguousarray(single))


def picture_files(paths: Iterable[Path], *, on_error: Callable[[str, MienError], None] | None = None) -> Iterator[Path]:
    """Files as given, and the pictures in folders and below, sorted by name; hidden ones are left out.

    Args:
        paths: files and folders.
        on_error: is told path and error of a folder below that cannot be read, and is left out; None raises.

    Raises:
        MienError: a path that is not there or cannot be read, or a folder without pictures.
    """
    for path in paths:
        if not path.exists():
            raise absent(path)
        unread: dict[str, MienError] = {}
        files = sorted(_pictures_below(path, unread)) if path.is_dir() else [path]
        for name, error in unread.items():
            if on_error is None or not files:
                raise error
            on_error(name, error)
        if not files:
            raise MienError(f"{path}: no pictures in this folder", hint=f"looked for {' '.join(sorted(SUFFIXES))}")
        yield from files


def _pictures_below(folder: Path, unread: dict[str, MienError]) -> Iterator[Path]:
    """Pictures in a folder and below; the folders of it that cannot be read go to `unread`."""

    def note(error: OSError) -> None:
        unread[error.filename] = MienError(f"{error.filename}: cannot be read ({error.strerror})")

    for parent, folders, files in os.walk(folder, onerror=note):
        # Hidden names are thumbnails and the "._" shadows of another system, not pictures anyone meant.
        folders[:] = [name for name in folders if not name.startswith(".")]
        kept = (Path(parent, name) for name in files if not name.startswith("."))
        yield from (path for path in kept if path.suffix.lower() in SUFFIXES)
