"""Writing that is brought to an end whatever fails on the way, and tells what failed first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import av

from mien.core.errors import MienError


@final
class Failures:
    """What went wrong so far.

    Attributes:
        first: the failure that is to be told; those that follow are often its consequences.
    """

    def __init__(self) -> None:
        self.first: BaseException | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep an error of the block for `tell`; what comes after the block is done all the same."""
        try:
            yield
        except BaseException as error:  # interruption as well: it is told, after what is open was closed
            self.first = self.first or error

    def tell(self) -> None:
        """Raise the first failure if there is one."""
        if self.first is not None:
            raise self.first


@contextmanager
def writing(path: Path, *, begun: bool = True, instead: str | None = None) -> Iterator[None]:
    """Raise MienError that names `path` when the block cannot write, whatever temporary name it writes to.

    Args:
        path: what is written.
        begun: whether there may be something in it by then.
        instead: what to try where its format does not take what is written.
    """
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        why = "is the disk full, or the folder closed to you?" if isinstance(error, OSError) else instead
        kept = "what was written is kept if it can be read" if begun else None
        hint = "; ".join(filter(None, [kept, why])) or None
        raise MienError(f"{path}: cannot be written ({error.strerror or error})", hint=hint) from error
