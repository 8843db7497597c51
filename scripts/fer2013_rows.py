"""Writes src/mien/data/audit/fer2013_rows.npz, the fingerprints by which `mien data audit` recognises FER2013.

    mien data import fer2013.csv --out fer && python scripts/fer2013_rows.py fer

The set must hold the rows of the published fer2013.csv in its order: Training, then PublicTest. Nothing from which a
picture could be made is written: hashes of 8 and 16 bytes, and three rounded figures, for each row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mien.data.audit import official
from mien.data.dataset import load

TARGET = Path(__file__).parents[1] / "src" / "mien" / "data" / "audit" / official.FILE_NAME


def main(packed: Path) -> None:
    """Write the fingerprints of the packed FER2013 at `packed`."""
    data = load(packed)
    expected = np.repeat(["train", "val"], [official.TRAINING, official.PUBLIC_TEST])
    if len(data) < len(expected) or (data.split[: len(expected)] != expected).any():
        sys.exit(f"{packed}: not the rows of fer2013.csv in their order")
    rows = official.fingerprints(data.images[: len(expected)], data.table.column("sha256").to_pylist()[: len(expected)])
    official.save(rows, TARGET)
    print(f"{TARGET}: {len(rows):,} rows, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
