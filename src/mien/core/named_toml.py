"""TOML files that come with mien by name, and those of users by path: recipes, ladders."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, unknown_name

_FORM = 'a table begins with [train], a key reads epochs = 30, text stands in "quotes"'


def shipped_names(folder: str) -> list[str]:
    """Names of the TOML files in a folder of the package."""
    files = (file.name for file in (resources.files("mien") / folder).iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def read_tree(kind: str, name_or_path: str, *, folder: str) -> dict[str, Any]:
    """The tables of a shipped file by its name, or of a user's file by its path; `name` is that of the file by default.

    Args:
        kind: what the file is, for errors: recipe, ladder.
        name_or_path: a name in `folder`, or a path that ends in .toml or exists.
        folder: of the package.

    Raises:
        MienError: no such file or name (names the nearest), or damaged TOML.
    """
    path, names = Path(name_or_path), shipped_names(folder)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise MienError(f"{path}: no such {kind} file", hint=f"shipped {kind}s: {', '.join(names)}")
        data = path.read_bytes()
    elif name_or_path in names:
        data = (resources.files("mien") / folder / f"{name_or_path}.toml").read_bytes()
    else:
        raise unknown_name(kind, name_or_path, names)
    return {"name": path.stem, **parse(data, source=name_or_path)}


def parse(data: bytes, *, source: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises MienError that names `source` when it is damaged or not UTF-8."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MienError(f"{source}: not UTF-8 in line {line}", hint="save it as UTF-8, as TOML has to be") from None
    except tomllib.TOMLDecodeError as error:
        raise MienError(f"{source}: not valid TOML ({error})", hint=_FORM) from None
