"""Manifest columns as numpy arrays and back.

pyarrow's own conversions (`pa.array`, `to_numpy`, `pq.read_table`) load pandas wherever it is installed, which takes
longer than most of what mien does with a manifest. These go through Arrow's memory instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_LARGEST = 2**31 - 1  # bytes in a column of strings with 32-bit offsets


def read_table(path: Path) -> pa.Table:
    """A Parquet file. Raises OSError or pa.ArrowInvalid when it cannot be read."""
    with pq.ParquetFile(path) as file:
        return file.read()


def to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as an array of its own (N,): numbers by their type, text as objects."""
    kind = column.type
    if pa.types.is_string(kind):
        return np.array(column.to_pylist(), object)
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        return np.array(np.from_dlpack(column.combine_chunks()))
    return np.asarray(column.to_numpy(zero_copy_only=False))


def to_arrow(values: Any) -> pa.Array:
    """A column of numbers or text (N,) for a table; what is a column already stays as it is."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and values.ndim == 1:
        plain = np.ascontiguousarray(values)
        return pa.Array.from_buffers(pa.from_numpy_dtype(plain.dtype), len(plain), [None, pa.py_buffer(plain)])
    texts = values.tolist() if isinstance(values, np.ndarray) else list(values)
    try:
        together = "".join(texts)
    except TypeError:  # not text, or not all of it
        return pa.array(texts)
    lengths = map(len, texts if together.isascii() else [text.encode() for text in texts])
    ends, data = np.cumsum([0, *lengths]), together.encode()
    if len(data) > _LARGEST:
        return pa.array(texts, pa.string())
    return pa.Array.from_buffers(
        pa.string(), len(texts), [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    )
