"""Groups of copies in a packed set: found once, kept in its manifest, used by whatever divides or measures it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.core.errors import MienError
from mien.data.audit import copies as finding
from mien.data.audit.groups import sizes
from mien.data.dataset import Dataset, load, write_parts
from mien.data.derive import GROUPS
from mien.data.formats.base import Progress


def is_grouped(dataset: Dataset) -> bool:
    """Whether the `group` column says which pictures are copies, be it that there are none."""
    return GROUPS in dataset.info.provenance or bool((dataset.column("group") >= 0).any())


def groups(dataset: Dataset, *, progress: Progress | None = None) -> NDArray[np.int64]:
    """Group ids (N,) of copies, −1 alone: from the manifest if they are known, else by looking for copies."""
    return dataset.column("group").astype(np.int64) if is_grouped(dataset) else finding.of(dataset, progress).group


def write_groups(dataset: Dataset, *, progress: Progress | None = None) -> Dataset:
    """Look for copies and write their groups into the manifest of the set, in place.

    Pixels, labels and splits stay, and so does the fingerprint: runs on this set still fit it.

    Raises:
        MienError: the set is not on disk.
    """
    if dataset.path is None:
        raise MienError(f"{dataset.info.name}: groups are written into a set on disk", hint="save it first")
    group = finding.of(dataset, progress).group
    place = dataset.table.schema.get_field_index("group")
    about = {GROUPS: about_groups(group)}
    info = dataset.info.model_copy(update={"provenance": dataset.info.provenance | about})
    write_parts(dataset.path, dataset.table.set_column(place, "group", [group]), info)
    return load(dataset.path)


def about_groups(group: NDArray[np.integer]) -> dict[str, Any]:
    """What the provenance says about groups."""
    return {
        "mien": __version__,
        "groups": len(sizes(np.asarray(group, np.int64))),
        "pictures": int((group >= 0).sum()),
    }
