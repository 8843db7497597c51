"""Fetching a public data set, where the network allows; nothing is ever fetched unless it is asked for by this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mien.core.errors import MienError, MissingExtraError, unknown_name

_FORBIDDEN, _UNKNOWN = (401, 403), 404


@dataclass(frozen=True)
class Remote:
    """A data set on Kaggle.

    Attributes:
        handle: `owner/name` on Kaggle.
        file: what to import of it; None: all of it.
        terms: what its users should know.
    """

    handle: str
    file: str | None
    terms: str

    @property
    def page(self) -> str:
        """Where a browser finds it."""
        return f"https://www.kaggle.com/datasets/{self.handle}"


SETS = {
    "fer2013": Remote(
        "deadskull7/fer2013",
        "fer2013.csv",
        "faces from an image search, handed out for a contest in 2013 (arXiv 1307.0414) whose rules name no licence of "
        "the photographs",
    ),
}


class Client(Protocol):
    """What is used of the package kagglehub."""

    def dataset_download(self, handle: str, /) -> str:
        """Download a data set, unless its cache has it, and return the folder."""


def remote(name: str, handle: str | None = None) -> Remote:
    """A known set by its name, from another place on Kaggle if `handle` says so.

    Raises:
        MienError: no such set, or a handle that is not `owner/name`.
    """
    if name not in SETS:
        raise unknown_name("data set to fetch", name, SETS)
    if handle is None:
        return SETS[name]
    if handle.count("/") != 1 or not all(handle.split("/")):
        raise MienError(f"--handle {handle}: not of the form owner/name", hint=f"--handle {SETS[name].handle}")
    return Remote(handle, None, SETS[name].terms)


def load_kagglehub() -> Client:
    """The package kagglehub, which is loaded here and nowhere else. Raises MissingExtraError when it is not there."""
    try:
        import kagglehub
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "kagglehub", "fetch") from None
    client: Client = kagglehub
    return client


def fetch(wanted: Remote, *, client: Callable[[], Client] = load_kagglehub) -> Path:
    """Download a set into kagglehub's cache and return the file or folder to import.

    Raises:
        MienError: it cannot be had; the hint says what to do instead.
    """
    try:
        folder = Path(client().dataset_download(wanted.handle))
    except MissingExtraError as error:
        raise MienError(error.message, hint=f"{error.hint}, or {_by_hand(wanted)}") from None
    except Exception as error:  # kagglehub raises what its transports raise: many kinds with no common ancestor
        raise _explained(error, wanted) from error
    return _inside(folder, wanted)


def _inside(folder: Path, wanted: Remote) -> Path:
    if wanted.file is None:
        return folder
    found = sorted(folder.rglob(wanted.file))
    if not found:
        raise MienError(f"{wanted.page} has no {wanted.file} any more", hint="--handle OWNER/NAME for another copy")
    return found[0]


def _explained(error: Exception, wanted: Remote) -> MienError:
    """What went wrong between here and Kaggle, and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    if status in _FORBIDDEN or type(error).__name__ in ("UnauthenticatedError", "CredentialError"):
        hint = f"set KAGGLE_API_TOKEN to a token from https://www.kaggle.com/settings/api, or {_by_hand(wanted)}"
        return MienError(f"{wanted.page}: Kaggle wants to know who asks ({reason})", hint=hint)
    if status == _UNKNOWN:
        return MienError(f"{wanted.page}: not there ({reason})", hint="--handle OWNER/NAME for another copy")
    if isinstance(error, OSError) and status is None:
        return MienError(f"{wanted.page}: no way to it from here ({reason})", hint=_by_hand(wanted))
    return MienError(f"{wanted.page}: cannot be fetched ({reason})", hint=_by_hand(wanted))


def _by_hand(wanted: Remote) -> str:
    """The way without this command."""
    what = wanted.file or "the unpacked folder"
    return f"download {wanted.page} with a browser, unpack it, and: mien data import {what} --out PACKED"
