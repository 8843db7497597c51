"""What was seen when: a row for each face of each answered frame, and one for a frame without faces."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, final

from mien.core.errors import MienError, MissingExtraError
from mien.core.files import atomic_path
from mien.video.failures import Failures, writing
from mien.video.scene import Seen

Row = tuple[int | float | str | bool | None, ...]
# Takes index and time in seconds of a frame, and the faces in it.
Timeline = Callable[[int, float, Sequence[Seen]], None]
_GROUP_ROWS = 5_000
_LONGEST_ROW = 65_536  # bytes
_COLUMNS = {
    "frame": "int64",
    "time_s": "float64",
    "face": "int64",
    "label": "string",
    "probability": "float32",
    "unsure": "bool",
    "left": "float32",
    "top": "float32",
    "right": "float32",
    "bottom": "float32",
    "score": "float32",
}


def rows(index: int, time_s: float, seen: Sequence[Seen]) -> list[Row]:
    """The rows of one frame; of a frame without faces one that is empty after its time."""
    return [
        (
            *(index, time_s, number, face.label, face.probability, face.unsure, *face.box, face.score),
            *face.probabilities.values(),
        )
        for number, face in seen
    ] or [(index, time_s)]


@contextmanager
def timeline(path: Path, names: Sequence[str]) -> Iterator[Timeline]:
    """A table to write, `.csv` or `.parquet` by the ending of its name.

    It is there when the block ends, also when an error ends that after the first rows; one that is told is the first.
    Columns: frame, time_s, face (its number), label, probability, unsure, left, top, right, bottom, score, and
    `p_NAME` for each class of `names`.

    Raises:
        MienError: another ending, or a file that cannot be written.
        MissingExtraError: Parquet without pyarrow.
    """
    kinds: dict[str, Callable[[Path, dict[str, str]], _Table]] = {".csv": _CsvTable, ".parquet": _ParquetTable}
    if path.suffix.lower() not in kinds:
        raise MienError(f"{path}: a timeline is .csv or .parquet")
    columns = _COLUMNS | {f"p_{name}": "float32" for name in names}
    begun = False
    failures = Failures()

    def add(index: int, time_s: float, seen: Sequence[Seen]) -> None:
        nonlocal begun
        begun = True
        with writing(path):
            table.write([row + (None,) * (len(columns) - len(row)) for row in rows(index, time_s, seen)])

    with failures.noted(), atomic_path(path) as temporary:
        with writing(path, begun=False):
            table = kinds[path.suffix.lower()](temporary, columns)
        with failures.noted():
            yield add
        with failures.noted(), writing(path):
            table.close()
        if not (begun and table.whole):
            failures.tell()
    failures.tell()


class _Table(Protocol):
    """A file that takes rows; closed once. Raises OSError when it cannot write."""

    whole: bool  # whether the file can be read, though rows may be missing

    def write(self, some: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


@final
class _CsvTable:
    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        self.whole = True
        self._path = path
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(columns)

    def write(self, some: Sequence[Row]) -> None:
        try:
            self._writer.writerows(map(_as_text, some))
        except OSError:
            self.whole = False
            raise

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            self.whole = False
            raise
        finally:
            self.whole = self.whole or _drop_half_row(self._path) > 0


def _drop_half_row(path: Path) -> int:
    """Cut a file back to its last whole line, as half a number is a wrong number; the bytes that are left."""
    with path.open("rb+") as file:
        start = max(file.seek(0, os.SEEK_END) - _LONGEST_ROW, 0)
        file.seek(start)
        return file.truncate(start + file.read().rfind(b"\n") + 1)


def _as_text(row: Row) -> list[str]:
    """Numbers with as many digits as they deserve, truth as 0 and 1, nothing as nothing."""
    return [
        "" if v is None else str(int(v)) if isinstance(v, bool) else f"{v:.5f}" if isinstance(v, float) else str(v)
        for v in row
    ]


@final
class _ParquetTable:
    def __init__(self, path: Path, columns: dict[str, str]) -> None:
        try:  # here: pyarrow is large, and only this kind of timeline needs it
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "pyarrow", "video") from None
        self.whole = False
        self._path = path
        self._pyarrow, self._parquet = pyarrow, parquet
        self._schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()])
        self._waiting: list[Row] = []
        self._writer: Any = parquet.ParquetWriter(path, self._schema)

    def write(self, some: Sequence[Row]) -> None:
        self._waiting.extend(some)
        if len(self._waiting) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Without what is written last the file cannot be read."""
        try:
            if self._waiting:
                self._flush()
        finally:
            self._writer.close()
            self.whole = self._can_be_read()

    def _can_be_read(self) -> bool:
        """After a failure to write, pyarrow closes a file without its end and says nothing."""
        try:
            self._parquet.read_metadata(self._path)
        except (OSError, self._pyarrow.ArrowException):
            return False
        return True

    def _flush(self) -> None:
        columns_of_rows = zip(self._schema, zip(*self._waiting, strict=True), strict=True)
        arrays = [self._pyarrow.array(values, field.type) for field, values in columns_of_rows]
        self._writer.write_table(self._pyarrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting.clear()
