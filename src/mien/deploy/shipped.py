"""The trained models that come with mien: NAME.onnx, NAME.md and NAME.json in the package's folder `weights`."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import MienError, like, unknown_name

# Which one answers when none is named: the first of these that is there.
PREFERRED = ("expression-m", "expression-s")
_NONE_SHIPPED = "this mien comes without a trained model"
_OWN = "train one, and give --model FILE or RUN"


def folder() -> Path:
    """Where the shipped models lie."""
    return Path(__file__).parent.parent / "weights"


def shipped() -> tuple[str, ...]:
    """Names of the models that are there, the preferred ones first."""
    found = {path.stem for path in folder().glob("*.onnx")}
    return tuple(name for name in (*PREFERRED, *sorted(found - set(PREFERRED))) if name in found)


def shipped_file(name: str | None = None) -> Path:
    """The file of a shipped model; None: of the one that answers when none is named.

    Raises:
        MienError: no model is shipped, or none of that name; the message lists those that are.
    """
    names = shipped()
    if not names:
        wanted = "" if name is None else f", so none is called {name!r}"
        raise MienError(_NONE_SHIPPED + wanted, hint=_OWN)
    if name is not None and name not in names:
        raise unknown_name("shipped model", name, names)
    return folder() / f"{name or names[0]}.onnx"


def no_such(model: Path, kinds: str) -> MienError:
    """An error for what is neither a file or folder nor a shipped model: with the nearest name, else with `kinds`."""
    names = shipped()
    there = f", or a shipped model: {', '.join(names)}" if names else f"; {_NONE_SHIPPED}"
    meant = like(model.name, names) if is_name(model) else None
    hint = f"did you mean {meant!r}?" if meant else f"give {kinds}{there}"
    return MienError(f"{model}: no such run or model", hint=hint)


def is_name(model: Path) -> bool:
    """Whether what was given for a model may be the name of a shipped one: a bare word that is no file or folder.

    >>> is_name(Path("expression-s")), is_name(Path("runs/s")), is_name(Path("s.onnx"))
    (True, False, False)
    """
    return model.name == str(model) and not model.suffix and bool(model.name) and not model.exists()
