"""What pydantic refuses, in plain words: the file, the key, and what its value has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_LONGEST = 60
_BRANCHES = ("bool", "int", "float", "str")  # as pydantic calls them
_NUMBER, _WHOLE, _TABLE, _LIST = "a number", "a whole number", "a table", "a list"
_KINDS = {
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "list_type": _LIST,
    "tuple_type": _LIST,
}
# By what pydantic says of the bound.
_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda told: f"above {told['gt']:g}",
    "greater_than_equal": lambda told: f"at least {told['ge']:g}",
    "less_than": lambda told: f"below {told['lt']:g}",
    "less_than_equal": lambda told: f"at most {told['le']:g}",
    "literal_error": lambda told: str(told["expected"]),
}


def invalid(source: str, error: ValidationError, *, kind: str = "") -> MienError:
    """The first thing that is wrong with the tables of a file; lists count from 1.

    Args:
        source: the file or what it is called.
        error: of pydantic, about the whole file.
        kind: what its keys are called, where that is not plain.
    """
    first, *others = error.errors()
    if first["type"] == "missing":
        return MienError(f"{source}: {_place(first['loc'])} is missing")
    if first["type"] == "extra_forbidden":
        return MienError(f"{source}: unknown key {_place(first['loc'])!r}")
    # A value that may be of several kinds is refused by each of them, under a name that no file has.
    same = [one for one in others if _is_branch(one) and _is_branch(first) and _parent(one) == _parent(first)]
    where = _place(_parent(first) if same else first["loc"])
    what = " ".join(filter(None, [kind, f"{where} = {_shown(first['input'])}"])) if where else "the file"
    return MienError(f"{source}: {what} {_wish([first, *same])}")


def _place(parts: Sequence[int | str]) -> str:
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in parts)


def _is_branch(error: ErrorDetails) -> bool:
    """Whether pydantic tells of one of several kinds that the value may be of."""
    last = str(error["loc"][-1]) if error["loc"] else ""
    return last in _BRANCHES or last.startswith("literal[")


def _shown(value: object) -> str:
    """A value, of a long one its beginning."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _parent(error: ErrorDetails) -> Sequence[int | str]:
    return error["loc"][:-1]


def _wish(errors: Sequence[ErrorDetails]) -> str:
    kinds = [_kind(error) for error in errors]
    if None in kinds:
        message = errors[0]["msg"].removeprefix("Value error, ")
        return f"is refused: {message[:1].lower()}{message[1:]}"
    return "must be " + " or ".join(dict.fromkeys(kind for kind in kinds if kind))


def _kind(error: ErrorDetails) -> str | None:
    """What the value has to be; None where pydantic's own words are the best there are."""
    bound = _BOUNDS.get(error["type"])
    return bound(error.get("ctx", {})) if bound else _KINDS.get(error["type"])
