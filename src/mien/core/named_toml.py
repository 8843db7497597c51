"""TOML files that come with mien by name, and those of users by path: recipes, ladders."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, unknown_name


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
        text = path.read_text(encoding="utf-8")
    elif name_or_path in names:
        text = (resources.files("mien") / folder / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise unknown_name(kind, name_or_path, names)
    try:
        return {"name": path.stem, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as error:
        raise MienError(f"{name_or_path}: not valid TOML ({error})") from None
