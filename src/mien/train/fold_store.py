"""Answers of finished folds on disk, so that an interrupted cross-validation goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.files import atomic_path, write_json

Probabilities = NDArray[np.float32]
FACTS = "crossval.json"


@dataclass(frozen=True)
class FoldStore:
    """One file a fold in `folder`, beside the facts they depend on.

    Attributes:
        folder: its own.
        facts: everything that decides the answers, as JSON would give it back.
    """

    folder: Path
    facts: Mapping[str, Any]

    def open(self) -> None:
        """Make the folder ready: answers that belong to other facts are removed.

        Raises:
            MienError: there are files of that name that mien did not write.
        """
        path = self.folder / FACTS
        try:
            same = json.loads(path.read_text(encoding="utf-8")) == self.facts
        except (OSError, ValueError):
            same = False
        if not same:
            found = sorted(self.folder.glob("fold-*.npy"))
            if found and not path.is_file():
                raise MienError(
                    f"{found[0]} is in the way, and no {FACTS} beside it says that mien wrote it",
                    hint="move it, or choose another --out",
                )
            for old in found:
                old.unlink()
            write_json(path, self.facts)

    def load(self, fold: int, shape: tuple[int, int]) -> Probabilities | None:
        """The answers of a fold, or None when it is not finished or its file is damaged."""
        try:
            found = np.load(self._path(fold), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if found.shape == shape and found.dtype == np.float32 else None

    def save(self, fold: int, answers: Probabilities) -> None:
        """Keep the answers (n, K) of a fold."""
        with atomic_path(self._path(fold)) as temporary, temporary.open("wb") as file:
            np.save(file, answers, allow_pickle=False)

    def _path(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}.npy"
