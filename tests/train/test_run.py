"""The real command on a tiny net for a few steps, then everything a run promises."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mien.cli.app import run as cli
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.models.store import load_classifier, read_weights
from mien.train import checkpoint, loop
from mien.train.checkpoint import Progress
from mien.train.measure import Measured, measure
from mien.train.prepare import make_spec
from mien.train.run import resume, train
from mien.train.step import DivergedError, Learner

TINY = [
    "model.options={ widths = '8,8,8,8' }",
    "data.crop=20",
    "train.epochs=3",
    "train.batch_size=20",
    "train.precision=fp32",
    "train.device=cpu",
    "average.ema_decay=0.9",
    "augment.erase_pixels=5",
    "schedule.warmup_epochs=0.5",
]


def tiny(*settings: str) -> Recipe:
    return recipes.read("mien-s", [*TINY, *settings])


# Mean training losses of three epochs; the first is close to ln 7 + ln 8 = 4.03, the loss of guessing with both heads.
GOLDEN: dict[str, tuple[list[str], list[float]]] = {
    "sgd": (
        ["optimiser.name=sgd", "optimiser.learning_rate=0.12", "optimiser.weight_decay=5e-4"],
        [4.027838, 3.772173, 3.497869],
    ),
    "muon": ([], [4.023364, 3.884957, 3.802775]),
}


class Silent:
    """Watches nothing; stops the training after `steps` steps as a kill would, if asked to."""

    def __init__(self, steps: int | None = None) -> None:
        self.left = steps

    def step(self, progress: Progress, *, waited: float) -> None:  # noqa: ARG002
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def epoch(self, row: dict[str, float | int]) -> None:
        pass


def weights(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return read_weights(run / "weights" / f"{which}.safetensors")[0]


def test_the_command_trains_and_leaves_exactly_the_files_it_promises(bar_set: Dataset, tmp_path: Path) -> None:
    settings = [part for setting in TINY for part in ("--set", setting)]
    assert cli(["train", str(bar_set.path), "--recipe", "mien-s", "--out", str(tmp_path / "r"), *settings]) == 0
    found = {str(p.relative_to(tmp_path / "r")) for p in (tmp_path / "r").rglob("*") if p.is_file()}
    events = {name for name in found if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert found - events == {
        "recipe.toml",
        "env.json",
        "data.json",
        "health.csv",
        "history.csv",
        "train.log",
        "weights/best.safetensors",
        "weights/last.safetensors",
        "weights/resume/state.safetensors",
    }
    lines = (tmp_path / "r" / "history.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch,step,learning_rate,train_loss,gradient_norm,train_eval_loss")


@pytest.mark.parametrize("optimiser", GOLDEN)
def test_the_first_losses_are_what_they_were(bar_set: Dataset, tmp_path: Path, optimiser: str) -> None:
    settings, expected = GOLDEN[optimiser]
    finished = train(bar_set, tiny(*settings), tmp_path / "r", Silent())
    losses = [row["train_loss"] for row in finished.progress.rows]
    assert losses == pytest.approx(expected, rel=2e-3)


SHIPPED = {
    "emotion-net": (
        ["model.options.dense=32", "data.votes=true", "loss.vote_scheme=multi-target"],
        [4.025606, 4.024787],
    ),
    # At its own rate of 1e-3 rounding grows within two epochs to more than the bound, from one processor to another.
    "lenet5-fer": (["optimiser.learning_rate=1e-5"], [1.947966, 1.964458]),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_other_shipped_recipes_train_as_they_did(name: str, bar_set: Dataset, tmp_path: Path) -> None:
    settings, golden = SHIPPED[name]
    whole = ["train.epochs=2", "train.batch_size=20", "train.device=cpu", "train.precision=fp32", *settings]
    finished = train(bar_set, recipes.read(name, whole), tmp_path / "r", Silent())
    assert [row["train_loss"] for row in finished.progress.rows] == pytest.approx(golden, rel=2e-3)


def test_a_net_learns_an_easy_task(bar_set: Dataset, tmp_path: Path) -> None:
    recipe = tiny("train.epochs=25", "augment.flip=off", "augment.rotation_degrees=0", "augment.zoom_fraction=0")
    recipe = recipe.model_copy(update={"augment": recipes.AugmentConfig(), "data": recipes.DataConfig()})
    finished = train(bar_set, recipe, tmp_path / "r", Silent())
    last = finished.progress.rows[-1]
    assert last["val_accuracy"] > 0.9
    assert last["val_ferplus_accuracy"] > 0.9


def test_a_run_killed_at_any_step_and_resumed_equals_one_never_killed(same_after_a_kill) -> None:
    assert same_after_a_kill(tiny("model.options.dropout=0.4"), 1, 6, 7, 11).position > 11


def test_the_best_weights_stay_those_of_their_epoch_through_a_resume_inside_a_later_one(
    bar_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = count(1.0)
    # The loss of validation only rises: the first epoch stays the best.
    monkeypatch.setattr(loop, "measure", lambda *a, **k: replace(measure(*a, **k), loss=next(losses)))
    recipe = tiny("stopping.metric=loss", "train.checkpoint_minutes=1e-9")
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, tmp_path / "r", Silent(6 + 3))
    before = weights(tmp_path / "r", "best")
    resumed = resume(RunDir(tmp_path / "r"), bar_set, Silent())
    after = weights(tmp_path / "r", "best")
    assert (resumed.progress.best_epoch, resumed.progress.epoch) == (1, 3)
    assert all(torch.equal(before[name], after[name]) for name in before)
    last = weights(tmp_path / "r", "last")
    assert not all(torch.equal(before[name], last[name]) for name in before)


def test_a_start_that_was_killed_before_it_was_a_run_is_cleared_away(bar_set: Dataset, tmp_path: Path) -> None:
    (tmp_path / "r" / "weights" / "resume").mkdir(parents=True)
    (tmp_path / "r" / "data.json").write_text("{}")
    assert train(bar_set, tiny("train.epochs=1"), tmp_path / "r", Silent()).progress.epoch == 1


def test_training_on_validation_keeps_the_last_epoch_as_the_best(bar_set: Dataset, tmp_path: Path) -> None:
    finished = train(bar_set, tiny("data.train_on_val=true"), tmp_path / "r", Silent())
    assert finished.progress.best_epoch == 3


def test_a_finished_run_can_be_made_longer_but_not_turned_into_another(bar_set: Dataset, tmp_path: Path) -> None:
    train(bar_set, tiny("train.epochs=1"), tmp_path / "r", Silent())
    longer = resume(RunDir(tmp_path / "r"), bar_set, Silent(), settings=["train.epochs=2"])
    assert [row["epoch"] for row in longer.progress.rows] == [1, 2]
    assert recipes.read(str(tmp_path / "r" / "recipe.toml")).train.epochs == 2
    with pytest.raises(MienError, match=r"train\.batch_size cannot change"):
        resume(RunDir(tmp_path / "r"), bar_set, Silent(), settings=["train.batch_size=10"])


def test_resuming_on_other_data_is_refused(bar_set: Dataset, tmp_path: Path) -> None:
    train(bar_set, tiny("train.epochs=1"), tmp_path / "r", Silent())
    split = bar_set.split.tolist()
    split[0] = "test"
    index = bar_set.table.column_names.index("split")
    table = bar_set.table.set_column(index, "split", [split])
    info = dataset.describe("bars", bar_set.labels, bar_set.images, table)
    other = dataset.save(tmp_path / "other", bar_set.images, table, info)
    with pytest.raises(MienError, match="not the data this run was trained on"):
        resume(RunDir(tmp_path / "r"), other, Silent())


def test_a_loss_that_is_not_finite_stops_with_its_step_and_keeps_the_last_good_state(
    bar_set: Dataset, tmp_path: Path
) -> None:
    recipe = tiny("optimiser.learning_rate=1e30", "schedule.name=constant", "schedule.warmup_epochs=0")
    with pytest.raises(MienError, match=r"(loss became (nan|inf) at step \d+|weight became infinite)"):
        train(bar_set, recipe, tmp_path / "r", Silent())
    better = resume(RunDir(tmp_path / "r"), bar_set, Silent(), settings=["optimiser.learning_rate=0.01"])
    assert better.progress.epoch == 3


def test_early_stopping_ends_after_its_patience_and_keeps_the_best(bar_set: Dataset, tmp_path: Path) -> None:
    # A rate of nearly nothing: the first epoch stays the best.
    recipe = tiny("train.epochs=20", "stopping.patience_epochs=2", "optimiser.learning_rate=1e-12")
    finished = train(bar_set, recipe, tmp_path / "r", Silent())
    assert finished.progress.stopped
    assert finished.progress.epoch == finished.progress.best_epoch + 2


def test_saving_more_often_does_not_move_the_early_stop(bar_set: Dataset, tmp_path: Path) -> None:
    recipe = tiny("train.epochs=20", "stopping.patience_epochs=2", "optimiser.learning_rate=1e-12")
    stopped = train(bar_set, recipe, tmp_path / "r", Silent()).progress.epoch
    run = RunDir(tmp_path / "r")
    assert resume(run, bar_set, Silent(), settings=["train.checkpoint_minutes=9"]).progress.epoch == stopped
    assert resume(run, bar_set, Silent(), settings=["stopping.patience_epochs=3"]).progress.epoch > stopped


def test_a_weight_that_is_not_finite_is_noted_and_nothing_is_overwritten(
    bar_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(folder: Path, learner: Learner, progress: Progress) -> None:
        if progress.epoch == 1:
            next(learner.model.parameters()).data.fill_(float("nan"))
        save(folder, learner, progress)

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", spoilt)
    with pytest.raises(DivergedError, match="before epoch 2, step 1"):
        train(bar_set, tiny("train.epochs=3"), tmp_path / "r", Silent())
    assert RunDir(tmp_path / "r").read_json(RunDir(tmp_path / "r").diverged)["epoch"] == 2
    monkeypatch.undo()
    assert resume(RunDir(tmp_path / "r"), bar_set, Silent()).progress.epoch == 3


def test_training_accuracy_is_measured_without_dropout_and_augmentation(bar_set: Dataset, tmp_path: Path) -> None:
    finished = train(bar_set, tiny("model.options.dropout=0.9", "train.epochs=2"), tmp_path / "r", Silent())
    model, spec = load_classifier(tmp_path / "r" / "weights" / "last.safetensors")
    rows = bar_set.rows("train")
    logits = model(torch.from_numpy(bar_set.images[rows]))[0]
    accuracy = (logits.argmax(1).numpy() == bar_set.label[rows]).mean()
    assert finished.progress.rows[-1]["train_eval_accuracy"] == pytest.approx(accuracy)
    assert spec.heads[0].name == "fer2013"


def test_weights_know_labels_size_and_the_normalisation_of_the_training_set(bar_set: Dataset) -> None:
    rows = bar_set.rows("train")
    spec = make_spec(bar_set, tiny(), rows)
    pixels = bar_set.images[rows] / 255
    assert spec.normalise.mean == pytest.approx([pixels.mean()], abs=1e-6)
    assert spec.normalise.std == pytest.approx([pixels.std()], abs=1e-6)
    assert [head.name for head in spec.heads] == ["fer2013", "ferplus8"]
    assert (spec.height, spec.crop) == (24, 20)


def test_training_on_validation_as_well_uses_its_pictures(bar_set: Dataset, tmp_path: Path) -> None:
    finished = train(bar_set, tiny("train.epochs=1", "data.train_on_val=true"), tmp_path / "r", Silent())
    assert finished.progress.rows[0]["step"] == 160 // 20


def test_a_device_that_is_not_there_is_named_with_what_was_found(bar_set: Dataset, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(MienError, match=r"'cuda' is not there: torch .* sees 0 CUDA devices"):
        train(bar_set, tiny("train.device=cuda"), tmp_path / "r", Silent())
    assert not (tmp_path / "r").exists()


def test_an_existing_run_is_not_overwritten(bar_set: Dataset, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "precious").write_text("x")
    with pytest.raises(MienError, match="exists already"):
        train(bar_set, tiny(), tmp_path / "r", Silent())


def test_a_batch_larger_than_the_set_or_a_crop_larger_than_the_picture_is_refused_at_once(
    bar_set: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match="fewer than one batch"):
        train(bar_set, tiny("train.batch_size=500"), tmp_path / "r", Silent())
    with pytest.raises(MienError, match=r"data.crop = 8 is 11% (.|\n)*--size 9, or --set data.crop=22"):
        train(bar_set, tiny("data.crop=8"), tmp_path / "r", Silent())
    with pytest.raises(MienError, match="larger than the pictures"):
        train(bar_set, tiny("data.crop=30"), tmp_path / "r", Silent())


def test_a_run_starts_from_the_weights_of_another(bar_set: Dataset, tmp_path: Path) -> None:
    train(bar_set, tiny("train.epochs=1"), tmp_path / "a", Silent())
    start = tmp_path / "a" / "weights" / "last.safetensors"
    recipe = tiny("train.epochs=1", "optimiser.learning_rate=1e-12", f"model.start_from={start}")
    train(bar_set, recipe, tmp_path / "b", Silent())
    name = next(n for n in weights(tmp_path / "a") if n.endswith("conv.weight"))
    torch.testing.assert_close(weights(tmp_path / "b")[name], weights(tmp_path / "a")[name])


def test_the_environment_and_data_of_a_run_are_on_record(bar_set: Dataset, tmp_path: Path) -> None:
    train(bar_set, tiny("train.epochs=1"), tmp_path / "r", Silent())
    environment = json.loads((tmp_path / "r" / "env.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert environment["precision"] == "fp32"
    assert json.loads((tmp_path / "r" / "data.json").read_text())["fingerprint"] == bar_set.info.fingerprint


def test_fewer_epochs_than_a_run_has_are_refused(bar_set: Dataset, tmp_path: Path) -> None:
    recipe = tiny("train.checkpoint_minutes=1e-9")
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, tmp_path / "r", Silent(6 + 3))
    run = RunDir(tmp_path / "r")
    with pytest.raises(MienError, match=r"train\.epochs = 1, but the run is in epoch 2 already") as caught:
        resume(run, bar_set, Silent(), settings=["train.epochs=1"])
    assert "at least 2" in (caught.value.hint or "")
    assert recipes.read(str(run.recipe)).train.epochs == 3
    assert resume(run, bar_set, Silent(), settings=["train.epochs=2"]).progress.epoch == 2


def judged(*figures: Measured, metric: str = "accuracy") -> Progress:
    progress, recipe = Progress(), recipes.build({"stopping": {"metric": metric, "patience_epochs": 9}}, source="t")
    for figure in figures:
        loop._judge(recipe, progress, figure, may_stop=True)
        progress.epoch += 1
    return progress


def test_an_epoch_without_a_figure_is_beaten_by_any_other_and_beats_none() -> None:
    nan = float("nan")
    losses = [Measured(0.5, loss, 0.9) for loss in (nan, 1.0, 0.5, nan, 0.7)]
    found = judged(*losses, metric="loss")
    assert (found.best_epoch, found.best, found.waited) == (3, -0.5, 2)
    votes = judged(*(Measured(nan, nan, share) for share in (0.2, 0.6, 0.4)), metric="loss")
    assert (votes.best_epoch, votes.best) == (2, 0.6)


def test_a_plateau_lowers_the_rate_and_of_a_set_with_votes_alone_is_one_of_their_accuracy(
    bar_set: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = iter([0.1, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])
    # The rehearsal takes the first.
    monkeypatch.setattr(loop, "measure", lambda *_, **__: Measured(float("nan"), float("nan"), next(shares)))
    settings = ["schedule={ name = 'plateau', patience_epochs = 1, gamma = 0.5 }", "train.probe=0", "train.epochs=7"]
    rows = train(bar_set, tiny(*settings), tmp_path / "r", Silent()).progress.rows
    rates = [row["learning_rate"] for row in rows]
    assert rates[1:6] == [rates[0]] * 5
    assert rates[6] == 0.5 * rates[0]
    state = RunDir(tmp_path / "r").resume / "state.safetensors"
    with safe_open(state, framework="pt") as file:
        plateau = json.loads(file.metadata()["state"])["plateau"]
    assert (plateau["factor"], plateau["best"]) == (0.5, pytest.approx(0.6))


@pytest.mark.parametrize("key", ["train.probe=1", "average={ ema_decay = 0, swa_from_epoch = 1 }"])
def test_single_pictures_are_measured_without_batch_statistics(bar_set: Dataset, tmp_path: Path, key: str) -> None:
    images = np.ascontiguousarray(bar_set.images[:, ::3, ::3])
    table = dataset.make_table(label=bar_set.label, split=bar_set.split, source=bar_set.column("source"), images=images)
    small = dataset.save(tmp_path / "set", images, table, dataset.describe("small", bar_set.labels, images, table))
    settings = ["data.crop=8", "train.eval_batch_size=1"]  # the last maps are of one pixel
    finished = train(small, tiny("train.epochs=1", *settings, key), tmp_path / "r", Silent())
    assert finished.progress.epoch == 1
    assert math.isnan(finished.progress.health[0]["batch_norm_loss"]) == key.startswith("train.probe")
