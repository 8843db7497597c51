"""Which pictures a phase trains on, kept in the run folder: what was chosen once holds for every resume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.data.dataset import Dataset
from mien.data.redivide import FOLD, OUTSIDE
from mien.data.subset import listed

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class PhaseRows:
    """Tables `phases/N-NAME.parquet` of a run, each with a column `row`: positions in the packed set."""

    folder: Path

    def has(self, phase: int, name: str) -> bool:
        """Whether the rows of a phase were written."""
        return self._path(phase, name).is_file()

    def load(self, phase: int, name: str) -> Rows:
        """The rows of a phase. Raises MienError when the table is missing or damaged."""
        path = self._path(phase, name)
        try:
            return np.asarray(pq.read_table(path).column("row").to_numpy(), np.int64)
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise MienError(f"{path}: missing or damaged ({error})", hint="copy the run folder as a whole") from None

    def save(self, phase: int, name: str, **columns: NDArray[Any]) -> None:
        """Write the table of a phase."""
        with atomic_path(self._path(phase, name)) as temporary:
            pq.write_table(pa.table(columns), temporary)

    def _path(self, phase: int, name: str) -> Path:
        return self.folder / f"{phase}-{name}.parquet"


def left_out(path: Path, data: Dataset, rows: Rows) -> Rows:
    """Those of the training pictures `rows` that a file lists.

    Of a set with folds none may be among them: then all that are listed are in the fold that is val this time.

    Raises:
        MienError: as `data.subset.listed`, or none of the pictures that could be trained on is listed.
    """
    is_listed = listed(data, path)
    found = rows[is_listed[rows]]
    turns = FOLD in data.table.column_names and (is_listed & (data.column(FOLD) != OUTSIDE)).any()
    if not len(found) and not turns:
        raise MienError(f"{path}: lists no picture that is trained on", hint="rows count in the packed set")
    return found
