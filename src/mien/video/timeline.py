"""What was seen when: a row for each face of each answered frame, and one for a frame without faces."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mien.core.errors import MienError, MissingExtraError
from mien.core.files import atomic_path
from mien.video.scene import Seen

Row = tuple[int | float | str | bool | None, ...]
# Takes index and time in seconds of a frame, and the faces in it.
Timeline = Callable[[int, float, Sequence[Seen]], None]
_GROUP_ROWS = 5_000
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
    """A table to write, `.csv` or `.parquet` by the ending of its name; it is there when the block ends.

    Columns: frame, time_s, face (its number), label, probability, unsure, left, top, right, bottom, score, and
    `p_NAME` for each class of `names`.

    Raises:
        MienError: another ending.
        MissingExtraError: Parquet without pyarrow.
    """
    writers = {".csv": _csv_writer, ".parquet": _parquet_writer}
    if path.suffix.lower() not in writers:
        raise MienError(f"{path}: a timeline is .csv or .parquet")
    columns = _COLUMNS | {f"p_{name}": "float32" for name in names}
    with atomic_path(path) as temporary, writers[path.suffix.lower()](temporary, columns) as write:
        yield lambda index, time_s, seen: write(
            [row + (None,) * (len(columns) - len(row)) for row in rows(index, time_s, seen)]
        )


@contextmanager
def _csv_writer(path: Path, columns: dict[str, str]) -> Iterator[Callable[[Sequence[Row]], None]]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield lambda some: writer.writerows(map(_as_text, some))


def _as_text(row: Row) -> list[str]:
    """Numbers with as many digits as they deserve, truth as 0 and 1, nothing as nothing."""
    return [
        "" if v is None else str(int(v)) if isinstance(v, bool) else f"{v:.5f}" if isinstance(v, float) else str(v)
        for v in row
    ]


@contextmanager
def _parquet_writer(path: Path, columns: dict[str, str]) -> Iterator[Callable[[Sequence[Row]], None]]:
    try:  # here: pyarrow is large, and only this kind of timeline needs it
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pyarrow", "video") from None
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()])
    waiting: list[Row] = []
    with parquet.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            columns_of_rows = zip(schema, zip(*waiting, strict=True), strict=True)
            arrays = [pyarrow.array(values, field.type) for field, values in columns_of_rows]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            waiting.clear()

        def write(some: Sequence[Row]) -> None:
            waiting.extend(some)
            if len(waiting) >= _GROUP_ROWS:
                flush()

        yield write
        if waiting:
            flush()
