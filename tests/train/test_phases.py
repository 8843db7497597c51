"""Phases at work: sizes, frozen parts, hard examples, pictures left out, and resumes inside of any of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset, describe, make_table, save
from mien.models.store import load_classifier, read_weights
from mien.train import step as steps
from mien.train.batches import Batch
from mien.train.checkpoint import Progress
from mien.train.inputs import make_inputs
from mien.train.machine import Machine
from mien.train.mining import Answers, hardest
from mien.train.prepare import prepare
from mien.train.run import changed, resume, train
from mien.train.soup import average_weights


def state(run: Path, which: str) -> dict[str, torch.Tensor]:
    return read_weights(run / "weights" / f"{which}.safetensors")[0]


def begun(data: Dataset, recipe: Recipe, folder: Path):
    """The parts and the learner of a training that has not begun."""
    return prepare(data, recipe, RunDir(folder), Machine(recipe.train))


def test_pictures_come_at_the_size_of_the_phase(bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch) -> None:
    seen: list[int] = []

    def watch(*arguments, **keys):
        seen.append((found := make_inputs(*arguments, **keys)).pictures.shape[-1])
        return found

    monkeypatch.setattr(steps, "make_inputs", watch)
    recipe = small(phases=[{"epochs": 2, "size": 12}, {"epochs": 1, "size": 16}, {}])
    finished = train(bar_set, recipe, tmp_path / "r", watched())
    assert seen == [12] * 12 + [16] * 6 + [20] * 6
    assert finished.spec.crop == 20
    # Measured and exported at its own size.
    assert load_classifier(tmp_path / "r" / "weights" / "last.safetensors")[1].input_side == (20, 20)


def test_reducing_keeps_the_mean_and_does_not_alias(bar_set: Dataset, small, tmp_path: Path) -> None:
    recipe = small(phases=[{"size": 10}], augment={"flip": "off", "erase_pixels": 0, "erase_probability": 0})
    parts, learner = begun(bar_set, recipe, tmp_path)
    stage = parts.stages.at(learner, Progress())
    batch = next(iter(stage.batches.epoch(0)))
    inputs = make_inputs(parts.stages.pictures.images, batch, stage.phase.recipe, size=stage.step.size).pictures
    crops = torch.from_numpy(bar_set.images[parts.stages.rows[batch.indices]][:, 2:22, 2:22]).float()
    halves = crops.unflatten(1, (10, 2)).unflatten(3, (10, 2)).mean((2, 4))
    assert (inputs[:, 0] - halves)[:, 1:-1, 1:-1].abs().mean() < 6
    assert inputs.mean().item() == pytest.approx(crops.mean().item(), abs=1)


def test_a_net_for_one_size_only_and_sizes_too_large_are_named_before_anything_begins(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    phases = [{"epochs": 1}, {"size": 16}]
    fixed = small(model={"name": "emotion-net", "options": {}}, data={"crop": None}, phases=phases)
    with pytest.raises(MienError, match="phase 2: the net takes no pictures of 16×16"):
        train(bar_set, fixed, tmp_path / "r", watched())
    with pytest.raises(MienError, match=r"size = 32 is larger than the pictures \(24×24\)"):
        train(bar_set, small(data={"crop": None}, phases=[{"size": 32}]), tmp_path / "r", watched())
    assert not (tmp_path / "r").exists()


def test_a_net_whose_options_leave_no_pixels_is_refused_before_there_is_a_run(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    recipe = small(model={"name": "cliquenet", "options": {"blocks": 7, "filters": 2, "layers": 2, "stem": 2}})
    with pytest.raises(MienError, match="fewer stages, or larger pictures"):
        train(bar_set, recipe, tmp_path / "r", watched())
    assert not (tmp_path / "r").exists()


def tall_set(bar_set: Dataset, folder: Path) -> Dataset:
    """The bars on pictures of 40×24 px."""
    images = np.pad(bar_set.images, ((0, 0), (8, 8), (0, 0)))
    columns = {"label": bar_set.label, "split": bar_set.split, "source": [str(i) for i in range(len(bar_set))]}
    table = make_table(images=images, **columns)
    return save(folder, images, table, describe("tall", FER2013, images, table))


def test_pictures_that_are_not_square_keep_their_proportion(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    bar = torch.zeros(1, 1, 40, 24, dtype=torch.uint8)
    bar[:, :, 8:32, 8:16] = 255
    still = {"flip": "off", "erase_pixels": 0, "erase_probability": 0}
    recipe = small(data={"crop": None}, augment=still, phases=[{"epochs": 1, "size": 12}, {}], train={"epochs": 2})
    only = Batch(0, 0, np.array([0]), slice(0, 1), 0, 0.0)
    fed = make_inputs(bar, only, recipe, size=12).pictures
    assert fed.shape == (1, 1, 20, 12)
    assert int((fed[0, 0, :, 6] > 127).sum()) == 12
    assert int((fed[0, 0, 10] > 127).sum()) == 4
    tall = tall_set(bar_set, tmp_path / "tall")
    assert train(tall, recipe, tmp_path / "r", watched()).progress.epoch == 2
    fixed = small(model={"name": "emotion-net", "options": {}}, data={"crop": None}, phases=[{"size": 18}])
    with pytest.raises(MienError, match="the net takes no pictures of 30×18"):
        train(tall, fixed, tmp_path / "f", watched())


def test_frozen_parts_and_their_norms_stay_as_they_were_and_learn_again_later(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    phases = [{"epochs": 1, "freeze": ["stages.0"]}, {"epochs": 1, "freeze": ["stages"]}, {}]
    recipe = small(train={"epochs": 3}, phases=phases)
    kept: list[dict[str, torch.Tensor]] = []

    class Keeps(watched):
        def epoch(self, _row) -> None:
            kept.append(state(tmp_path / "r", "last"))

    train(bar_set, recipe, tmp_path / "r", Keeps())
    frozen = [name for name in kept[0] if "stages" in name]
    assert any("running_mean" in name for name in frozen)
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in frozen)
    assert not torch.equal(kept[0]["heads.0.weight"], kept[1]["heads.0.weight"])
    assert not any(torch.equal(kept[1][name], kept[2][name]) for name in frozen if name.endswith("conv.weight"))


def test_a_pretrained_net_is_tuned_head_first_and_grows_with_its_pictures(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    recipe = small(
        model={"name": "timm:test_resnet", "options": {}},
        data={"crop": None},
        train={"epochs": 3},
        optimiser={"name": "adamw", "learning_rate": 1e-3, "layer_decay": 0.7},
        phases=[{"epochs": 1, "size": 16, "freeze": ["backbone"]}, {"epochs": 1, "size": 16}, {}],
    )
    finished = train(bar_set, recipe, tmp_path / "r", watched())
    assert finished.progress.epoch == 3
    assert finished.progress.rows[-1]["train_loss"] < finished.progress.rows[0]["train_loss"]


@pytest.mark.parametrize(
    ("freeze", "message"),
    [(["bakbone"], "no parameter has 'bakbone' in its name"), (["backbone", "heads"], "leaves nothing to learn")],
)
def test_freezing_nothing_or_everything_is_refused(
    bar_set: Dataset, small, watched, tmp_path: Path, freeze: list[str], message: str
) -> None:
    with pytest.raises(MienError, match=message):
        train(bar_set, small(phases=[{"epochs": 1}, {"freeze": freeze}]), tmp_path / "r", watched())
    assert not (tmp_path / "r" / "recipe.toml").exists()


def test_the_hardest_are_the_wrong_ones_and_at_least_a_batch() -> None:
    label = np.array([0, 1, 2, -1, 0, 1])
    answers = Answers(np.array([0, 0, 0, 0, 0, 1]), np.array([0.1, 2, 3, 0, 0.4, 0.2], np.float32))
    everything = np.ones(6, bool)
    assert hardest(label, answers, everything, least=2).tolist() == [1, 2]
    assert hardest(label, answers, everything, least=4).tolist() == [1, 2, 4, 5]
    assert hardest(label, answers, np.arange(6) != 2, least=1).tolist() == [1]
    # With many classes a right answer can cost more than a wrong one.
    close = Answers(answers.answer, np.array([5, 2, 3, 0, 4, 1], np.float32))
    assert hardest(label, close, everything, least=3).tolist() == [0, 1, 2]


def test_hard_examples_are_what_the_averaged_weights_get_wrong_and_suspected_ones_stay_out(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    train_rows = bar_set.rows("train")
    suspected = train_rows[:30]
    pq.write_table(pa.table({"row": suspected, "why": ["?"] * 30}), tmp_path / "suspected.parquet")
    phases = [{"epochs": 2}, {"epochs": 1, "pictures": "hard", "leave_out": str(tmp_path / "suspected.parquet")}, {}]
    recipe = small(phases=phases, average={"ema_decay": 0.5})
    weights: list[Path] = []

    class Keeps(watched):
        def epoch(self, _row) -> None:
            weights.append(tmp_path / f"{len(weights)}.safetensors")
            weights[-1].write_bytes((tmp_path / "r" / "weights" / "last.safetensors").read_bytes())

    finished = train(bar_set, recipe, tmp_path / "r", Keeps())
    model, _ = load_classifier(weights[1])
    with torch.inference_mode():
        answer = model(torch.from_numpy(bar_set.images[train_rows]))[0].argmax(1).numpy()
    wrong = train_rows[(answer != bar_set.label[train_rows]) & ~np.isin(train_rows, suspected)]
    assert len(wrong) >= 20
    table = pq.read_table(tmp_path / "r" / "phases" / "2-hard.parquet")
    assert table.column("row").to_pylist() == wrong.tolist()
    assert all(a != b for a, b in zip(table["label"].to_pylist(), table["answer"].to_pylist(), strict=True))
    steps_of = np.diff([0, *(row["step"] for row in finished.progress.rows)])
    assert steps_of.tolist() == [6, 6, len(wrong) // 20, 6]


def test_each_presentation_has_random_numbers_of_its_own_also_after_a_shorter_phase(
    bar_set: Dataset, small, tmp_path: Path
) -> None:
    parts, learner = begun(bar_set, small(phases=[{"epochs": 2, "sampler": "label-shuffling"}, {}]), tmp_path)
    first = list(parts.stages.at(learner, Progress()).batches.epoch(0))
    assert [batch.position for batch in first] == list(range(len(first)))
    later = parts.stages.at(learner, Progress(epoch=2, position=2 * len(first)))
    assert next(iter(later.batches.epoch(2))).position == 2 * len(first)


def test_rows_to_leave_out_may_be_a_csv_file_and_wrong_ones_are_refused(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"

    def attempt() -> int:
        recipe = small(train={"epochs": 1}, phases=[{"leave_out": str(file)}])
        return train(bar_set, recipe, tmp_path / "r", watched()).progress.position

    for text, message in (
        ("row\n900\n", "lists rows of another set"),
        ("rows\n1\n", "no column `row`"),
        ("row\nx\n", "with whole numbers"),
        ("row\n3\n7\n", "lists no picture that is trained on"),
        (f"row\n{chr(10).join(map(str, range(140)))}\n", "fewer than one batch"),
    ):
        file.write_text(text)
        with pytest.raises(MienError, match=message):
            attempt()
    file.unlink()
    with pytest.raises(MienError, match="not a CSV file"):
        attempt()
    file.write_text("row\n" + "\n".join(map(str, range(40))) + "\n")
    assert attempt() == (120 - 30) // 20


def test_a_resume_keeps_to_the_rows_that_were_chosen_when_their_file_is_gone(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("row\n" + "\n".join(map(str, range(40))) + "\n")
    recipe = small(phases=[{"epochs": 2}, {"leave_out": str(file)}], train={"checkpoint_minutes": 1e-9})
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, tmp_path / "r", watched(3))
    file.unlink()
    finished = resume(RunDir(tmp_path / "r"), bar_set, watched())
    assert finished.progress.position == 6 + 6 + 4 + 4


def test_early_stopping_waits_for_the_last_phase(bar_set: Dataset, small, watched, tmp_path: Path) -> None:
    recipe = small(
        train={"epochs": 9},
        optimiser={"learning_rate": 1e-12},
        stopping={"patience_epochs": 2},
        phases=[{"epochs": 4}, {}],
    )
    finished = train(bar_set, recipe, tmp_path / "r", watched())
    assert finished.progress.stopped
    assert finished.progress.epoch == 4 + 2


def test_every_phase_resumes_to_the_same_numbers(same_after_a_kill, small, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("row\n" + "\n".join(map(str, range(30))) + "\n")
    recipe = small(
        train={"epochs": 5},
        optimiser={"name": "adamw", "learning_rate": 1e-3, "layer_decay": 0.8, "l1": {"heads": 1e-4}},
        average={"ema_decay": 0.9},
        phases=[
            {"epochs": 1, "freeze": ["stages.0"], "size": 12},
            {"epochs": 1, "leave_out": str(tmp_path / "rows.csv"), "sampler": "label-shuffling"},
            {"epochs": 2, "pictures": "hard", "learning_rate_factor": 0.5},
            {"augment": {"erase_pixels": 0, "erase_probability": 0}},
        ],
    )
    assert same_after_a_kill(recipe, 3, 14).epoch == 5


def test_frozen_norms_keep_their_statistics_through_swa_and_its_soup(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    phases = [{"epochs": 1}, {"freeze": ["backbone"]}]
    average = {"swa_from_epoch": 2, "snapshots": 2}
    train(bar_set, small(train={"epochs": 3}, phases=phases), tmp_path / "plain", watched())
    train(bar_set, small(train={"epochs": 3}, phases=phases, average=average), tmp_path / "swa", watched())
    plain, averaged = state(tmp_path / "plain", "last"), state(tmp_path / "swa", "last")
    kept = [name for name in plain if "running" in name]
    assert kept
    assert all(torch.equal(plain[name], averaged[name]) for name in kept)
    files = sorted((tmp_path / "swa" / "snapshots").glob("*.safetensors"))
    average_weights(files[-2:], bar_set, small(train={"epochs": 3}, phases=phases), tmp_path / "soup.safetensors")
    soup = read_weights(tmp_path / "soup.safetensors")[0]
    assert all(torch.allclose(plain[name], soup[name]) for name in kept)


def test_one_picture_for_each_process_is_refused_where_batch_norms_need_two(
    bar_set: Dataset, small, tmp_path: Path
) -> None:
    recipe = small(train={"batch_size": 2}, data={"crop": None})
    machine = Machine(recipe.train)
    machine.processes = 2
    with pytest.raises(MienError, match="batch_size = 2 leaves each of 2 processes one picture") as caught:
        prepare(bar_set, recipe, RunDir(tmp_path), machine)
    assert "at least 4" in (caught.value.hint or "")
    plain = recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": "emotion-net", "options": {}})})
    prepare(bar_set, plain, RunDir(tmp_path), machine)


def test_batches_that_cannot_be_shared_are_told_first_and_frozen_norms_need_no_second_picture(
    bar_set: Dataset, small, tmp_path: Path
) -> None:
    def prepared(batch: int, *phases: dict[str, object]) -> None:
        recipe = small(train={"batch_size": batch}, data={"crop": None}, phases=[*phases])
        machine = Machine(recipe.train)
        machine.processes = 4
        prepare(bar_set, recipe, RunDir(tmp_path), machine)

    for batch in (3, 6):
        with pytest.raises(MienError, match=f"batch_size = {batch} cannot be shared by 4 processes"):
            prepared(batch)
    prepared(4, {"freeze": ["backbone"]})
    with pytest.raises(MienError, match="leaves each of 4 processes one picture"):
        prepared(4, {"epochs": 1, "freeze": ["backbone"]}, {})


def test_a_run_whose_last_phase_names_its_epochs_can_be_made_longer(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    recipe = small(train={"epochs": 2}, phases=[{"epochs": 1, "size": 12}, {"epochs": 1}])
    train(bar_set, recipe, tmp_path / "r", watched())
    run = RunDir(tmp_path / "r")
    assert resume(run, bar_set, watched(), settings=["train.epochs=3"]).progress.epoch == 3
    written = recipes.read(str(run.recipe))
    assert (written.train.epochs, written.phases[0].epochs, written.phases[1].epochs) == (3, 1, None)
    # And with nothing changed phases stay as they were.
    assert changed(recipe, []).phases == recipe.phases


def test_early_stopping_waits_until_swa_has_something_to_average(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    recipe = small(
        train={"epochs": 9},
        optimiser={"learning_rate": 1e-12},
        stopping={"patience_epochs": 1},
        average={"swa_from_epoch": 5},
    )
    finished = train(bar_set, recipe, tmp_path / "r", watched())
    assert finished.progress.stopped
    assert finished.progress.epoch == 5
