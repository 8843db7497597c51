"""Manifest columns go to numpy and back unchanged, and pandas stays out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.arrow import read_table, to_arrow, to_numpy

Write = Callable[..., Path]


@settings(deadline=None)  # the first conversion of pyarrow's own loads pandas
@given(st.lists(st.text(max_size=5), max_size=8))
def test_text_of_any_kind_comes_back(texts: list[str]) -> None:
    try:
        expected = pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        with pytest.raises(UnicodeEncodeError):
            to_arrow(texts)
        return
    column = to_arrow(texts)
    assert column.equals(expected)
    assert to_numpy(pa.chunked_array([column])).tolist() == texts
    assert to_arrow(np.array(texts, object)).equals(expected)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_numbers_keep_their_type_and_are_an_array_of_their_own(kind: type) -> None:
    values = np.arange(10, dtype=kind)[::3]
    column = pa.chunked_array([to_arrow(values[:2]), to_arrow(values[2:])])
    back = to_numpy(column)
    assert back.dtype == kind
    assert back.tolist() == [0, 3, 6, 9]
    back[0] = 7
    assert column[0].as_py() == 0


@pytest.mark.parametrize("values", [[True, False], [1, None, 3], [None, "a"], [1, 2]])
def test_what_is_neither_plain_numbers_nor_text_goes_arrows_own_way(values: list[object]) -> None:
    assert to_arrow(values).equals(pa.array(values))
    np.testing.assert_array_equal(
        to_numpy(pa.chunked_array([pa.array(values)])), pa.chunked_array([pa.array(values)]).to_numpy()
    )


def test_a_column_stays_as_it_is() -> None:
    column = pa.array(["a"])
    assert to_arrow(column) is column


def test_a_file_that_is_no_parquet_is_an_error_that_loading_understands(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("nothing")
    with pytest.raises(pa.ArrowInvalid):
        read_table(tmp_path / "x.parquet")


def test_importing_and_opening_data_loads_neither_pandas_nor_protobuf(write_csv: Write, tmp_path: Path) -> None:
    rows = [(i % 7, i, ("Training", "PublicTest", "PrivateTest")[i // 7]) for i in range(21)]
    source = write_csv(rows)
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    (tmp_path / "fer2013new.csv").write_text(header + "".join(f"{row[2]},,9,0,0,0,0,0,0,0,0,0\n" for row in rows))
    code = (
        "import json, sys; from pathlib import Path; from mien.data.pack import import_data\n"
        "data = import_data(Path(sys.argv[1]), Path(sys.argv[2])).dataset\n"
        "data.label, data.split, data.votes, data.column('source'), data.column('weight')\n"
        "print(json.dumps([name for name in ('pandas', 'google.protobuf', 'torch') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(tmp_path / "out")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
