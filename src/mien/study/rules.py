"""The data of a step: a packed set made by a rule from the one that the study is given."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from mien.core.errors import MienError
from mien.data import dataset
from mien.data.dataset import Dataset, describe, digests
from mien.data.derive import derive
from mien.data.subset import relabel
from mien.study.ladder import DataRule

Rows = NDArray[np.int64]
DRAW = 20240607  # every ladder's small sets hold the same pictures, whatever the seed of a training


def ruled(parent: Dataset, rule: DataRule, folder: Path) -> Dataset:
    """The set that `rule` makes of `parent`: written to `folder` once, opened when it is there; no rule, no new set.

    Raises:
        MienError: a class that the set has not or has too few pictures of, or a set in `folder` made from another.
    """
    if rule == DataRule():
        return parent
    path = folder / hashlib.sha256(rule.model_dump_json().encode()).hexdigest()[:12]
    if path.exists():
        found = dataset.load(path)
        if found.info.provenance.get("parent") != parent.info.fingerprint:
            raise MienError(f"{path}: made from another set than {parent.path}", hint="choose another --out")
        return found
    labels, label = relabel(parent.labels, parent.label, drop=rule.drop, merge={})
    train = np.repeat(_drawn(parent, rule, label), rule.times)
    val = train if rule.val == "train" else _labelled(parent.rows("val"), label)
    rows = np.concatenate([train, val])
    split = np.repeat(["train", "val"], [len(train), len(val)])
    told = {"verb": "study", **rule.model_dump(mode="json")}
    plain = rule.zoom_train == rule.zoom_val == 1
    out = path if plain else path.with_name(f"{path.name}-unzoomed")
    made = derive(
        parent, out, rule=told, rows=rows, columns={"label": label[rows], "split": split}, labels=labels, force=True
    )
    return made if plain else _zoomed(made, rule, path)


def foreseen(parent: Dataset, rule: DataRule) -> Dataset:
    """The parent with the labels that `rule` leaves its pictures; none is drawn, repeated or enlarged.

    Raises:
        MienError: a class that the set has not or has too few pictures of.
    """
    if rule == DataRule():
        return parent
    labels, label = relabel(parent.labels, parent.label, drop=rule.drop, merge={})
    _drawn(parent, rule, label)
    place = parent.table.column_names.index("label")
    table = parent.table.set_column(place, "label", pa.array(label))
    return Dataset(parent.images, table, parent.info.model_copy(update={"labels": labels.names}), parent.path)


def _labelled(rows: Rows, label: Rows) -> Rows:
    return rows[label[rows] >= 0]


def _drawn(parent: Dataset, rule: DataRule, label: Rows) -> Rows:
    """Training rows, `per_class` of each class where that is asked for, in the order of the set."""
    rows = _labelled(parent.rows("train"), label)
    if rule.per_class is None:
        return rows
    rng, chosen = np.random.default_rng(DRAW), []
    for number in np.unique(label[rows]):
        own = rows[label[rows] == number]
        if len(own) < rule.per_class:
            raise MienError(
                f"{parent.path or parent.info.name}: a class has {len(own)} training pictures, "
                f"per_class = {rule.per_class} asks for more",
                hint="lower per_class, or drop the class",
            )
        chosen.append(rng.choice(own, rule.per_class, replace=False))
    return np.sort(np.concatenate(chosen))


def _zoomed(made: Dataset, rule: DataRule, path: Path) -> Dataset:
    """A set whose pictures show their middle only, enlarged to the old size."""
    sides = {"train": rule.zoom_train, "val": rule.zoom_val}
    images = np.stack([zoom(image, sides.get(s, 1)) for image, s in zip(made.images, made.split, strict=True)])
    place = made.table.column_names.index("sha256")
    table = made.table.set_column(place, "sha256", pa.array(digests(images)))
    info = describe(made.info.name, made.labels, images, table, **made.info.provenance)
    return dataset.save(path, images, table, info)


def zoom(image: NDArray[np.uint8], side: float) -> NDArray[np.uint8]:
    """The middle of a picture (H, W) or (H, W, 3), `side` of its height and width, enlarged to the whole."""
    if side == 1:
        return image
    height, width = image.shape[:2]
    left, top = (1 - side) / 2 * width, (1 - side) / 2 * height
    box = (left, top, width - left, height - top)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box), np.uint8)
