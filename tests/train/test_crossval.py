"""Out-of-fold answers: nobody is judged by a net that saw it or its copy, and an interrupted run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.data.audit.label_quality import judge
from mien.data.dataset import Dataset, describe, make_table
from mien.train import crossval
from mien.train.crossval import Plan, fitted, out_of_fold, reduced
from mien.train.fold_store import FACTS, FoldStore

TINY = [
    "model.options={ widths = '8,16', blocks = '0,0' }",
    "train.epochs=14",
    "schedule.warmup_epochs=0.9",
    "train.precision=fp32",
    "train.device=cpu",
]
ALONE = np.full(160, -1)


def tiny(*, epochs: int) -> Plan:
    return Plan(recipe=recipes.read("label-errors", [*TINY, f"train.epochs={epochs}"]), folds=2, side=24, least_steps=1)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return tiny(epochs=8)


@pytest.fixture(scope="module")
def textures() -> Dataset:
    """160 noisy pictures of 16×16: flat, rows, columns, checks."""
    rng = np.random.default_rng(0)
    label = np.arange(160) % 4
    wave = np.where(np.arange(16) // 2 % 2, 40, -40)
    flat = np.zeros((16, 16), np.int64)
    shapes = np.stack([flat, flat + wave[:, None], flat + wave, np.multiply.outer(wave, wave) // 40])
    images = (128 + shapes[label] + rng.normal(0, 15, (160, 16, 16))).clip(0, 255).astype(np.uint8)
    source = [f"texture{i}" for i in range(160)]
    table = make_table(label=label, split=np.full(160, "train"), source=source, images=images)
    labels = LabelSet(name="textures", names=("flat", "rows", "columns", "checks"))
    return Dataset(images, table, describe("textures", labels, images, table))


def relabelled(data: Dataset, label: np.ndarray) -> Dataset:
    """The set with other labels."""
    table = data.table.set_column(data.table.column_names.index("label"), "label", pa.array(label.astype(np.int32)))
    return replace(data, table=table)


def told() -> tuple[list[tuple[int, int | None]], crossval.Progress]:
    said: list[tuple[int, int | None]] = []
    return said, lambda done, total: said.append((done, total))


def test_swapped_labels_are_found_by_nets_that_did_not_see_them(textures: Dataset, plan: Plan, tmp_path: Path) -> None:
    label = textures.label.copy()
    label[[3, 50, 111]] = (label[[3, 50, 111]] + 2) % 4
    found = out_of_fold(relabelled(textures, label), tmp_path, groups=ALONE, plan=plan)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)
    judged = judge(label, found.probabilities)
    assert set(np.argsort(judged.quality)[:3]) == {3, 50, 111}
    np.testing.assert_array_equal(judged.suggested[[3, 50, 111]], textures.label[[3, 50, 111]])


def test_copies_stay_together_and_unlabelled_pictures_are_not_asked(textures: Dataset, tmp_path: Path) -> None:
    groups = ALONE.copy()
    groups[:40] = np.arange(40) // 4
    label = np.where(np.arange(160) == 159, -1, textures.label)
    found = out_of_fold(relabelled(textures, label), tmp_path, groups=groups, plan=tiny(epochs=1))
    assert (found.fold[:40].reshape(10, 4) == found.fold[:40:4, None]).all()
    assert found.fold[159] == -1
    assert np.isnan(found.probabilities[159]).all()
    assert np.isfinite(found.probabilities[:159]).all()


def test_a_finished_fold_is_not_trained_again(
    textures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tiny(epochs=2)
    whole = out_of_fold(textures, tmp_path / "whole", groups=ALONE, plan=short)
    real, calls = crossval._train_and_ask, []

    def killed(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(crossval, "_train_and_ask", killed)
    with pytest.raises(KeyboardInterrupt):
        out_of_fold(textures, tmp_path / "parts", groups=ALONE, plan=short)
    said, tell = told()
    resumed = out_of_fold(textures, tmp_path / "parts", groups=ALONE, plan=short, tell=tell)
    assert len(calls) == 3
    np.testing.assert_array_equal(resumed.probabilities, whole.probabilities)
    # 80 pictures in 8 batches of 10, twice, for each of two folds; the first counts as shown from the start.
    assert said[0] == (160, 320)
    assert said[-1] == (320, 320)
    assert [done for done, _ in said] == sorted(done for done, _ in said)


@pytest.mark.parametrize("changed", ["groups", "plan", "damage"])
def test_answers_that_belong_to_something_else_are_not_used(
    textures: Dataset, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    asked: list[int] = []

    def fake(_data: Dataset, _rows: np.ndarray, held: np.ndarray, *_: object) -> np.ndarray:
        asked.append(len(held))
        return np.full((len(held), 4), 1 / 4, np.float32)

    monkeypatch.setattr(crossval, "_train_and_ask", fake)
    out_of_fold(textures, tmp_path, groups=ALONE, plan=plan)
    out_of_fold(textures, tmp_path, groups=ALONE, plan=plan)
    assert len(asked) == 2
    groups = np.arange(160) // 2 if changed == "groups" else ALONE
    if changed == "damage":
        (tmp_path / "fold-0.npy").write_bytes(b"not an array")
    out_of_fold(textures, tmp_path, groups=groups, plan=replace(plan, side=12) if changed == "plan" else plan)
    assert len(asked) == (3 if changed == "damage" else 4)


def test_pictures_are_reduced_to_the_side_and_smaller_ones_are_left_alone(bar_set: Dataset) -> None:
    assert reduced(bar_set, 24) is bar_set
    small = reduced(bar_set, 12)
    assert small.images.shape == (160, 12, 12)
    assert (small.info.height, small.info.width) == (12, 12)
    blocks = bar_set.images.reshape(160, 12, 2, 12, 2).mean((2, 4))
    assert np.abs(small.images[:, 2:-2, 2:-2] - blocks[:, 2:-2, 2:-2]).mean() < 12


def test_small_sets_get_smaller_batches_and_as_many_steps() -> None:
    plan = Plan()
    large, small = fitted(plan, 24_000).train, fitted(plan, 300).train
    assert large == plan.recipe.train
    assert small.batch_size == 37
    assert small.epochs * (300 // 37) >= plan.least_steps


def test_a_handful_of_pictures_cannot_be_judged(bar_set: Dataset, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="160 labelled pictures are too few for 20 folds"):
        out_of_fold(bar_set, tmp_path, groups=ALONE, plan=replace(plan, folds=20))


def test_files_that_only_have_the_names_of_folds_stay(tmp_path: Path) -> None:
    own = tmp_path / "fold-0.npy"
    own.write_bytes(b"of the user")
    with pytest.raises(MienError, match=r"fold-0\.npy is in the way"):
        FoldStore(tmp_path, {"a": 1}).open()
    assert own.read_bytes() == b"of the user"
    (tmp_path / FACTS).write_text("{}", encoding="utf-8")
    FoldStore(tmp_path, {"a": 1}).open()
    assert not own.exists()
