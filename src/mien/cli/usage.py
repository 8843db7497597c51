"""How wrong use reads: every error of the command line in the one style that MienError has."""

from __future__ import annotations

import errno
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from mien.core.errors import MienError, unknown_name
from mien.core.files import final_name

_PLAINER = (
    (r"^Value error, |^Invalid value: ", ""),
    (r"^Input should be a valid integer.*", "must be a whole number"),
    (r"^Input should be a valid number.*", "must be a number"),
    (r"^Input should be greater than or equal to ", "must be at least "),
    (r"^Input should be less than or equal to ", "must be at most "),
    (r"^Input should be ", "must be "),
    (r"^Got unexpected extra arguments?(?:\(s\))? \((.*)\)$", r"more arguments than there are places for: \1"),
)
_WAYS_OUT = {
    errno.EACCES: "choose a place that you may write to, or ask for the permission",
    errno.EPERM: "choose a place that you may write to, or ask for the permission",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "make room, or choose a place on another disk",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another place",
    errno.EEXIST: "choose another name",
}


class Verbs(TyperGroup):
    """A group whose unknown verbs are answered with the nearest name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise unknown_name("verb" if ctx.parent is None else f"verb of {ctx.command_path}:", args[0], known)
        return super().resolve_command(ctx, args)


def usage_error(error: Any, verb: str | None = None) -> MienError:
    """What Typer says about arguments and options, in plain words, and where the help is.

    Args:
        error: a usage error of Typer; its classes are not public, so they are told apart by name.
        verb: that was given, for errors that do not know where they come from.
    """
    where = error.ctx.command_path if error.ctx else f"mien {verb}" if verb else "mien"
    way = f"{where} --help"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _unknown_option(error, way)
    if kind == "MissingParameter" and error.param is not None:
        return MienError(f"{error.param.param_type_name} {_named(error.param)} is missing", hint=way)
    if getattr(error, "param", None) is not None:
        return MienError(f"{_named(error.param)}: {_plain(error.message)}", hint=way)
    return MienError(_plain(error.format_message()), hint=way)


def _unknown_option(error: Any, way: str) -> MienError:
    parameters = error.ctx.command.params if error.ctx else []
    options = [name.removeprefix("--") for one in parameters for name in one.opts if name.startswith("--")]
    keys = _recipe_keys(error.option_name.lstrip("-")) if "set" in options else []
    if keys:
        return MienError(f"unknown option {error.option_name}", hint=f"a key of the recipe: --set {keys[0]}=…")
    near = get_close_matches(error.option_name.lstrip("-"), options, n=1, cutoff=0.5)
    hint = f"did you mean --{near[0]}? {way} lists all" if near else way
    return MienError(f"unknown option {error.option_name}", hint=hint)


def _recipe_keys(name: str) -> list[str]:
    # Loaded only here: recipes take a moment, for which every other command would wait.
    from mien.core.recipe import keys_called

    return keys_called(name)


def _named(parameter: Any) -> str:
    """An option by its long name, an argument as the help writes it."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name).strip("[]").upper()


def _plain(message: str) -> str:
    message = message.strip().removesuffix(".")
    for words, plainer in _PLAINER:
        message = re.sub(words, plainer, message)
    return message[:1].lower() + message[1:]


def memory_error(error: Exception) -> MienError:
    """What does not fit into the memory of the machine or of its GPU, by the first sentence of who was refused it."""
    first = str(error).partition(". ")[0]
    return MienError(
        f"too little memory{f' ({first})' if first else ''}",
        hint="fewer pictures at a time: --batch-size, or train.batch_size and train.eval_batch_size of a recipe",
    )


def system_error(error: OSError) -> MienError:
    """What the operating system refuses, with the file as the user calls it and the way out where there is one."""
    name = error.filename2 or error.filename
    if error.strerror is None or name is None:
        return MienError(str(error))
    path = Path(str(name))
    path = path.with_name(final_name(path.name))
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return MienError(f"{path}: {_plain(error.strerror)}", hint=_WAYS_OUT.get(error.errno or 0))
