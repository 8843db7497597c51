"""Repeated seeds and folds: every picture is val once, copies stay together, and what is finished stays."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.cli.app import run as cli
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.data.redivide import take_fold
from mien.train import repeat as repeats
from mien.train.folds import with_folds
from mien.train.repeat import members, repeat, spread


@pytest.fixture
def short(small) -> Recipe:
    return small(train={"epochs": 2})


def test_members_are_named_after_seed_and_fold(short: Recipe) -> None:
    def names(**how: int) -> list[str]:
        return [m.name for m in members(short, **{"folds": None, **how})]

    assert names(seeds=2) == ["seed-0", "seed-1"]
    assert names(seeds=1, folds=3) == ["fold-0", "fold-1", "fold-2"]
    assert names(seeds=2, folds=2) == ["fold-0-seed-0", "fold-1-seed-0", "fold-0-seed-1", "fold-1-seed-1"]


def test_spread_is_mean_and_deviation_of_a_sample() -> None:
    values = [0.5, 0.7, 0.6, float("nan")]
    told = spread(values)
    assert told["mean"] == pytest.approx(0.6)
    assert told["deviation"] == pytest.approx(statistics.stdev(values[:3]))
    assert (told["least"], told["most"], told["n"]) == (0.5, 0.7, 3)
    assert spread([0.5])["deviation"] is None


def test_seeds_give_different_runs_and_a_table_of_them(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path
) -> None:
    told = repeat(bar_set, short, tmp_path / "r", lambda *_: watched(), seeds=2)
    assert json.loads((tmp_path / "r" / "repeat.json").read_text()) == told
    losses = [row["last_val_loss"] for row in told["runs"]]
    assert losses[0] != losses[1]
    assert told["summary"]["last_val_loss"]["mean"] == pytest.approx(statistics.mean(losses))
    with (tmp_path / "r" / "repeat.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["seed-0", "seed-1"]


def test_an_interrupted_repeat_goes_on_and_more_seeds_are_added(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path
) -> None:
    whole = repeat(bar_set, short, tmp_path / "whole", lambda *_: watched(), seeds=3)
    killed = iter([watched(), watched(9)])
    with pytest.raises(KeyboardInterrupt):
        repeat(bar_set, short, tmp_path / "parts", lambda *_: next(killed), seeds=2)
    watches = []

    def watch(*_: object):
        watches.append(watched())
        return watches[-1]

    repeat(bar_set, short, tmp_path / "parts", watch, seeds=2)
    assert [each.epochs for each in watches] == [1]
    told = repeat(bar_set, short, tmp_path / "parts", watch, seeds=3)
    assert len(watches) == 2
    for a, b in zip(whole["runs"], told["runs"], strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}


def test_another_recipe_or_set_does_not_mix_into_a_folder(
    bar_set: Dataset, short: Recipe, small, watched, tmp_path: Path
) -> None:
    repeat(bar_set, short, tmp_path / "r", lambda *_: watched())
    with pytest.raises(MienError, match="another recipe"):
        repeat(bar_set, small(train={"epochs": 3}), tmp_path / "r", lambda *_: watched())
    with pytest.raises(MienError, match="another folds"):
        repeat(bar_set, short, tmp_path / "r", lambda *_: watched(), folds=2)


def test_a_key_of_recipes_that_came_later_does_not_shut_a_folder(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = repeat(bar_set, short, tmp_path / "r", lambda *_: watched())
    written = json.loads((tmp_path / "r" / repeats.FILE).read_text())
    del written["recipe"]["train"]["events"]
    (tmp_path / "r" / repeats.FILE).write_text(json.dumps(written))
    monkeypatch.setattr(repeats, "train", None)
    assert repeat(bar_set, short, tmp_path / "r", lambda *_: watched())["runs"] == before["runs"]


def test_folds_show_every_picture_once_as_val_and_keep_copies_and_classes_together(
    bar_set: Dataset, tmp_path: Path
) -> None:
    group = np.full(160, -1)
    group[:40] = np.arange(40) // 4
    place = bar_set.table.column_names.index("group")
    grouped = replace(bar_set, table=bar_set.table.set_column(place, "group", pa.array(group)))
    divided = with_folds(grouped, tmp_path, 4, seed=0)
    fold = divided.column("fold")
    assert (fold[:40].reshape(10, 4) == fold[:40:4, None]).all()
    for number in range(4):
        assert np.ptp(np.bincount(bar_set.label[fold == number], minlength=7)) <= 3
        assert take_fold(divided, number).rows("val").tolist() == np.flatnonzero(fold == number).tolist()
    written = pq.read_table(tmp_path / "folds.parquet").column("fold").to_numpy()
    assert np.array_equal(written, fold)
    # What was divided stays divided, whatever the seed is now.
    assert np.array_equal(with_folds(grouped, tmp_path, 4, seed=9).column("fold"), fold)


def test_changed_copies_are_never_val_and_make_no_class_large_enough(bar_set: Dataset, tmp_path: Path) -> None:
    flags = ["" if i % 2 else "copy" for i in range(160)]
    group = np.arange(160) // 2
    table = (
        bar_set.table.drop_columns(["flags", "group"]).append_column("flags", [flags]).append_column("group", [group])
    )
    expanded = replace(bar_set, table=table)
    divided = with_folds(expanded, tmp_path, 3, seed=0)
    shown = [row for number in range(3) for row in take_fold(divided, number).rows("val").tolist()]
    assert sorted(shown) == list(range(1, 160, 2))
    with pytest.raises(MienError, match="too few for 16 folds"):
        with_folds(expanded, tmp_path / "more", 16, seed=0)


def test_test_pictures_take_no_part_in_folds(bar_set: Dataset, tmp_path: Path) -> None:
    split = bar_set.split.copy()
    split[:20] = "test"
    table = bar_set.table.set_column(bar_set.table.column_names.index("split"), "split", pa.array(split.tolist()))
    divided = with_folds(Dataset(bar_set.images, table, bar_set.info), tmp_path, 2, seed=0)
    assert (divided.column("fold")[:20] == -1).all()
    assert take_fold(divided, 0).rows("test").tolist() == list(range(20))


def test_folds_of_the_set_itself_are_taken_and_too_many_are_refused(bar_set: Dataset, tmp_path: Path) -> None:
    own = replace(bar_set, table=bar_set.table.append_column("fold", pa.array(np.arange(160) % 4)))
    assert with_folds(own, tmp_path, 4, seed=0) is own
    with pytest.raises(MienError, match="divided into 4 folds, not 5"):
        with_folds(own, tmp_path, 5, seed=0)
    with pytest.raises(MienError, match="too few for 30 folds"):
        with_folds(bar_set, tmp_path, 30, seed=0)


def test_the_command_trains_folds_and_prints_mean_and_spread(
    bar_set: Dataset, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["model.options={ widths = '8,8', blocks = '0,0' }", "data.crop=20", "train.batch_size=20"]
    settings += ["train.epochs=1", "train.device=cpu", "schedule.warmup_epochs=0.2"]
    words = ["repeat", str(bar_set.path), "-r", "mien-s", "--folds", "2", "-o", str(tmp_path / "r")]
    words += [part for setting in settings for part in ("--set", setting)]
    assert cli(words) == 0
    shown = capsys.readouterr().out
    assert "fold-0" in shown
    assert "mean ± deviation" in shown
    # Nothing is trained again.
    monkeypatch.setattr(repeats, "train", None)
    assert cli([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["fold"] for row in told["runs"]] == [0, 1]
    assert told["summary"]["last_val_accuracy"]["n"] == 2
    assert dataset.load(bar_set.path).info.fingerprint == told["data"]


def test_a_folder_is_for_one_recipe_from_the_first_member_on(
    bar_set: Dataset, short: Recipe, small, watched, tmp_path: Path
) -> None:
    out, other = tmp_path / "r", small(train={"epochs": 2}, optimiser={"learning_rate": 0.001})
    with pytest.raises(KeyboardInterrupt):
        repeat(bar_set, short, out, lambda *_: watched(3), seeds=2)
    assert json.loads((out / "repeat.json").read_text())["runs"] == []
    with pytest.raises(MienError, match="another recipe"):
        repeat(bar_set, other, out, lambda *_: watched(), seeds=2)
    # Earlier versions wrote nothing before a member had ended: its own recipe tells.
    (out / "repeat.json").unlink()
    with pytest.raises(MienError, match="seed-0: was begun with another recipe"):
        repeat(bar_set, other, out, lambda *_: watched(), seeds=2)
    (out / "repeat.json").unlink()
    told = repeat(bar_set, short, out, lambda *_: watched(), seeds=2)
    assert [row["epochs"] for row in told["runs"]] == [2, 2]


def test_a_recipe_with_which_nothing_could_begin_may_be_mended(
    bar_set: Dataset, short: Recipe, small, watched, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match="fewer than one batch"):
        repeat(bar_set, small(train={"batch_size": 500}), tmp_path / "r", lambda *_: watched())
    assert repeat(bar_set, short, tmp_path / "r", lambda *_: watched())["runs"]


def test_folds_that_were_written_for_another_number_or_set_are_refused(bar_set: Dataset, tmp_path: Path) -> None:
    with_folds(bar_set, tmp_path, 5, seed=0)
    with pytest.raises(MienError, match="divides into 5 folds, not 3") as caught:
        with_folds(bar_set, tmp_path, 3, seed=0)
    assert "--folds 5" in (caught.value.hint or "")
    half = Dataset(bar_set.images[:80], bar_set.table.slice(0, 80), bar_set.info)
    renamed = replace(bar_set, info=bar_set.info.model_copy(update={"fingerprint": "0" * 64}))
    split = bar_set.split.copy()
    split[:20] = "test"
    table = bar_set.table.set_column(bar_set.table.column_names.index("split"), "split", pa.array(split.tolist()))
    for other in (half, renamed, replace(bar_set, table=table)):
        with pytest.raises(MienError, match="divides another set"):
            with_folds(other, tmp_path, 5, seed=0)
    (tmp_path / "folds.parquet").write_text("no table")
    with pytest.raises(MienError, match="damaged"):
        with_folds(bar_set, tmp_path, 5, seed=0)


def test_more_seeds_of_folds_leave_the_first_seed_as_it_is_under_whatever_name(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    quick, out = small(train={"epochs": 1}), tmp_path / "r"
    killed = iter([watched(), watched(2)])
    with pytest.raises(KeyboardInterrupt):
        repeat(bar_set, quick, out, lambda *_: next(killed), folds=2)
    begun: list[str] = []

    def watch(_recipe: Recipe, name: str):
        begun.append(name)
        return watched()

    told = repeat(bar_set, quick, out, watch, folds=2, seeds=2)
    assert begun == ["fold-1", "fold-0-seed-1", "fold-1-seed-1"]
    assert [(row["seed"], row["fold"]) for row in told["runs"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {row["name"] for row in told["runs"]} == {"fold-0", *begun}
    assert repeat(bar_set, quick, out, watch, folds=2)["runs"] == told["runs"]


def test_a_picture_that_is_left_out_may_be_in_the_fold_that_is_val(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("row\n0\n")
    recipe = small(train={"epochs": 1}, phases=[{"leave_out": str(tmp_path / "rows.csv")}])
    told = repeat(bar_set, recipe, tmp_path / "r", lambda *_: watched(), folds=2)
    left = [pq.read_table(tmp_path / "r" / row["name"] / "phases" / "1-left-out.parquet") for row in told["runs"]]
    assert sorted(table.column("row").to_pylist() for table in left) == [[], [0]]
    (tmp_path / "rows.csv").write_text("row\n")
    with pytest.raises(MienError, match="lists no picture that is trained on"):
        repeat(bar_set, recipe, tmp_path / "s", lambda *_: watched(), folds=2)


def test_folds_cannot_be_trained_on_and_measured(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="would train on the fold"):
        repeat(bar_set, small(data={"train_on_val": True}), tmp_path / "r", lambda *_: watched(), folds=2)
    assert not (tmp_path / "r").exists()


def test_folds_of_a_start_that_could_not_train_are_divided_anew(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    with pytest.raises(MienError, match="fewer than one batch"):
        repeat(bar_set, small(train={"batch_size": 500}), out, lambda *_: watched(), folds=2)
    stale = pq.read_table(out / "folds.parquet")
    repeat(bar_set, small(train={"epochs": 1, "seed": 7}), out, lambda *_: watched(), folds=2)
    own = with_folds(bar_set, tmp_path / "fresh", 2, seed=7).column("fold")
    assert np.array_equal(pq.read_table(out / "folds.parquet").column("fold").to_numpy(), own)
    assert not np.array_equal(stale.column("fold").to_numpy(), own)


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[]", '{"recipe": {}}', '{"recipe": [], "data": "", "folds": null, "runs": []}']
    + [f'{{"recipe": {{}}, "data": "", "folds": null, "runs": {runs}}}' for runs in ("3", "[3]", '[{"seed": 0}]')],
)
def test_a_damaged_file_of_a_repeat_is_named(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path, text: str
) -> None:
    (tmp_path / "repeat.json").write_text(text, encoding="utf-8")
    with pytest.raises(MienError, match=r"repeat\.json: damaged") as error:
        repeat(bar_set, short, tmp_path, lambda *_: watched())
    assert "--out" in (error.value.hint or "")


def test_what_decides_nothing_may_change_between_two_calls(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path
) -> None:
    killed = iter([watched(), watched(3)])
    with pytest.raises(KeyboardInterrupt):
        repeat(bar_set, short, tmp_path, lambda *_: next(killed), seeds=2)
    rarely = short.train.model_copy(update={"checkpoint_minutes": 9})
    same = short.model_copy(update={"name": "renamed", "about": "two epochs", "train": rarely})
    assert len(repeat(bar_set, same, tmp_path, lambda *_: watched(), seeds=2)["runs"]) == 2


@pytest.mark.parametrize("key", ["model.start_from", "distill.teachers"])
def test_folds_learn_nothing_of_weights_that_have_seen_them(
    bar_set: Dataset, short: Recipe, watched, tmp_path: Path, key: str
) -> None:
    repeat(bar_set, short, tmp_path / "seeds", lambda *_: watched(), seeds=1)
    seen = str(tmp_path / "seeds" / "seed-0")
    begun = {
        "model.start_from": {"model": short.model.model_copy(update={"start_from": seen})},
        "distill.teachers": {"distill": short.distill.model_copy(update={"teachers": (seen,)})},
    }[key]
    with pytest.raises(MienError, match=rf"{key} = .*was trained on this set, so on pictures of every fold's val"):
        repeat(bar_set, short.model_copy(update=begun), tmp_path / "folds", lambda *_: watched(), folds=2)
    assert not (tmp_path / "folds").exists()
    other = replace(bar_set, info=bar_set.info.model_copy(update={"fingerprint": "another"}))
    told = repeat(other, short.model_copy(update=begun), tmp_path / "folds", lambda *_: watched(), folds=2)
    assert len(told["runs"]) == 2
