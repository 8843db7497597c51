"""Distillation: teachers are asked by label name at a temperature, once or in each step; a resume needs none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.core.recipe import TrainConfig
from mien.core.recipe_keys import DistillConfig
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.deploy.export import export_run
from mien.deploy.shipped import shipped, shipped_file
from mien.evaluate import tta
from mien.evaluate.answerer import model_file, open_answerer
from mien.evaluate.predict import predict_probabilities
from mien.models.classifier import centre_crop
from mien.models.store import read_weights, save_weights
from mien.train import teachers
from mien.train.losses import soften
from mien.train.machine import Machine
from mien.train.present_teachers import PresentTeachers, fitted
from mien.train.run import resume, train
from mien.train.teachers import taught


@pytest.fixture(scope="module")
def teacher(bar_set: Dataset, small, watched, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows the bars fairly well."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    train(bar_set, small(train={"epochs": 10}, augment={"erase_pixels": 0, "erase_probability": 0}), run, watched())
    return run


@pytest.fixture(scope="module")
def exported(teacher: Path) -> Path:
    return export_run(teacher, weights="last")


def ask(data: Dataset, folder: Path, *names: Path, heads: tuple[Head, ...] | None = None, **keys: object):
    rows = data.rows("train")
    spec = open_answerer(names[0]).spec
    spec = spec.model_copy(update={"heads": heads}) if heads else spec
    config = DistillConfig(teachers=tuple(map(str, names)), **keys)
    machine = Machine(TrainConfig(device="cpu", precision="fp32"))
    return taught(data, rows, spec, config, folder=folder, machine=machine)


def test_answers_are_the_mean_over_teachers_of_their_views_at_the_temperature(
    bar_set: Dataset, teacher: Path, exported: Path, tmp_path: Path
) -> None:
    found = ask(bar_set, tmp_path, teacher, exported, temperature=3.0, views="flip")
    rows = bar_set.rows("train")
    expected = []
    for path in (teacher, exported):
        answerer = open_answerer(path)
        views = tta.variants("flip", answerer.spec)
        expected.append(predict_probabilities(answerer, bar_set.images, rows=rows, variants=views))
    for head, own in zip(found, ("fer2013", "ferplus8"), strict=True):
        mean = np.mean([soften(torch.from_numpy(answers[own]), 3.0).numpy() for answers in expected], 0)
        np.testing.assert_allclose(head.numpy(), mean, atol=1e-6)


def test_teachers_answer_by_the_name_of_a_label_in_whatever_order(
    bar_set: Dataset, teacher: Path, tmp_path: Path
) -> None:
    plain = ask(bar_set, tmp_path / "a", teacher)[0]
    labels = open_answerer(teacher).spec.heads[0].labels
    turned = ask(bar_set, tmp_path / "b", teacher, heads=(Head(name="mine", labels=labels[::-1]),))
    assert len(turned) == 1
    torch.testing.assert_close(turned[0], plain.flip(1))


def test_a_teacher_without_the_labels_or_for_other_pictures_is_refused(
    bar_set: Dataset, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match="has no head with the labels"):
        ask(bar_set, tmp_path / "a", teacher, heads=(Head(name="mine", labels=("x", "y")),))
    tensors, spec = read_weights(teacher / "weights" / "last.safetensors")
    save_weights(tmp_path / "other.safetensors", tensors, spec.model_copy(update={"height": 30, "width": 30}))
    with pytest.raises(MienError, match="24×24 px, the model takes 30×30"):
        ask(bar_set, tmp_path / "b", tmp_path / "other.safetensors")


def test_teachers_are_asked_once_and_a_damaged_answer_again(
    bar_set: Dataset, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(teachers, "open_answerer", lambda path, **k: asked.append(path) or open_answerer(path, **k))
    first = ask(bar_set, tmp_path, teacher, views="none")
    again = ask(bar_set, tmp_path, teacher, views="none")
    assert len(asked) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    ask(bar_set, tmp_path, teacher, views="flip")
    assert len(asked) == 2
    (tmp_path / "0.safetensors").write_bytes(b"damaged")
    ask(bar_set, tmp_path, teacher, views="flip")
    assert len(asked) == 3


@pytest.mark.parametrize("views", ["flip", "augmented"])
def test_a_net_learns_from_a_teacher_what_its_labels_do_not_tell(
    bar_set: Dataset, teacher: Path, small, watched, tmp_path: Path, views: str
) -> None:
    quiet = {"flip": "off", "erase_pixels": 0, "erase_probability": 0}
    # The student's own losses count nothing: what it learns, it learns from the teacher.
    recipe = small(
        train={"epochs": 10}, augment=quiet, distill={"teachers": [str(teacher)], "weight": 1.0, "views": views}
    )
    own = one_class_off(bar_set, tmp_path / "off")
    train(own, recipe, tmp_path / "r", watched())
    rows, last = own.rows("val"), tmp_path / "r" / "weights" / "last.safetensors"  # the best are so by its own labels
    said, learned = (predict_probabilities(open_answerer(one), own.images, rows=rows) for one in (teacher, last))
    for head, targets in (("fer2013", own.label[rows]), ("ferplus8", own.votes[rows].argmax(1))):
        answers = learned[head].argmax(1)
        assert (answers == said[head].argmax(1)).mean() > 0.6, head
        assert (answers == targets).mean() < 0.3, head


def one_class_off(data: Dataset, path: Path) -> Dataset:
    """The same pictures, each with the label and the votes of the next one, which are of another class."""
    label, votes = np.roll(data.label, -1), np.roll(data.votes, -1, axis=0)
    source = [f"off{i:04d}" for i in range(len(data))]
    table = dataset.make_table(label=label, split=data.split, source=source, images=data.images, votes=votes)
    return dataset.save(path, data.images, table, dataset.describe("off", FER2013, data.images, table))


@pytest.mark.parametrize("views", ["flip", "augmented"])
def test_a_resume_needs_no_teacher(bar_set: Dataset, teacher: Path, small, watched, tmp_path: Path, views: str) -> None:
    shutil.copytree(teacher, tmp_path / "teacher")
    distill = {"teachers": [str(tmp_path / "teacher")], "views": views}
    recipe = small(distill=distill, train={"checkpoint_minutes": 1e-9})
    straight = train(bar_set, recipe, tmp_path / "a", watched())
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, tmp_path / "b", watched(8))
    shutil.rmtree(tmp_path / "teacher")
    assert resume(RunDir(tmp_path / "b"), bar_set, watched()).progress.rows == straight.progress.rows


def test_a_teacher_that_is_not_there_is_named_before_anything_begins(
    bar_set: Dataset, small, watched, tmp_path: Path
) -> None:
    with pytest.raises(MienError, match=r"nowhere\.onnx"):
        train(bar_set, small(distill={"teachers": ["nowhere.onnx"]}), tmp_path / "r", watched())
    assert not (tmp_path / "r" / "recipe.toml").exists()


@pytest.mark.skipif(not shipped(), reason="no model is shipped")
def test_a_shipped_model_teaches_by_its_name(
    bar_set: Dataset, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = shipped()[0]
    with pytest.raises(MienError, match="24×24 px, the model takes 48×48"):
        ask(bar_set, tmp_path, Path(name))
    recipe = small(distill={"teachers": [name], "views": "augmented"}, train={"epochs": 1})
    train(bar_set, recipe, tmp_path / "r", watched())
    assert (tmp_path / "r" / "teachers" / "0.onnx").read_bytes() == shipped_file(name).read_bytes()


def test_a_new_start_asks_anew_whatever_an_earlier_one_has_left(
    bar_set: Dataset, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, spec = bar_set.rows("train"), open_answerer(teacher).spec
    config = DistillConfig(teachers=(str(teacher),), views="none")
    machine, asked = Machine(TrainConfig(device="cpu", precision="fp32")), []

    def opened(path: Path, **keys: object) -> object:
        asked.append(path)
        return open_answerer(path, **keys)

    monkeypatch.setattr("mien.train.teachers.open_answerer", opened)
    for kept in (True, True, False):
        taught(bar_set, rows, spec, config, folder=tmp_path, machine=machine, kept=kept)
    assert asked == [model_file(teacher)] * 2


def test_no_teacher_is_asked_before_all_are_found_and_validation_is_there(
    bar_set: Dataset, teacher: Path, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(teachers, "predict_probabilities", lambda *_, **__: asked.append(1))
    recipe = small(distill={"teachers": [str(teacher), "nowhere.onnx"]})
    with pytest.raises(MienError, match=r"nowhere\.onnx"):
        train(bar_set, recipe, tmp_path / "r", watched())
    no_val = replace(bar_set)
    monkeypatch.setitem(no_val.__dict__, "split", np.where(bar_set.split == "val", "test", bar_set.split))
    with pytest.raises(MienError, match="no picture in split 'val'"):
        train(no_val, small(distill={"teachers": [str(teacher)]}), tmp_path / "s", watched())
    assert not asked


def present(spec: ModelSpec, folder: Path, *names: Path, kept: bool = False, **keys: object) -> PresentTeachers:
    config = DistillConfig(teachers=tuple(map(str, names)), views="augmented", **keys)
    machine = Machine(TrainConfig(device="cpu", precision="fp32"))
    return PresentTeachers(spec, config, folder=folder, machine=machine, kept=kept)


def test_a_teacher_sees_what_the_net_is_fed_and_no_more(
    bar_set: Dataset, teacher: Path, exported: Path, tmp_path: Path
) -> None:
    whole = torch.tensor(bar_set.images[:40]).unsqueeze(1).float()
    spec = open_answerer(teacher).spec
    assert (spec.height, spec.crop) == (24, 20)
    asked = present(spec, tmp_path, teacher, exported, temperature=3.0)
    for pictures in (whole, centre_crop(whole, 20)):  # which is what it sees of whole ones
        for head, found in zip(("fer2013", "ferplus8"), asked(pictures), strict=True):
            said = [open_answerer(path).probabilities(bar_set.images[:40])[head] for path in (teacher, exported)]
            mean = np.mean([soften(torch.from_numpy(values), 3.0).numpy() for values in said], 0)
            np.testing.assert_allclose(found.numpy(), mean, atol=1e-5)


def test_pictures_of_another_size_fill_what_a_teacher_sees(teacher: Path) -> None:
    spec = open_answerer(teacher).spec
    ramp = torch.arange(10.0).repeat(10, 1).expand(3, 1, 10, 10)
    seen = centre_crop(fitted(ramp, spec), 20)
    assert fitted(ramp, spec).shape == (3, 1, 24, 24)
    torch.testing.assert_close(seen.mean(), ramp.mean())
    assert seen[0, 0, 0, 0] == 0
    assert seen[0, 0, 0, -1] == 9
    odd = fitted(torch.ones(1, 1, 9, 9), spec.model_copy(update={"crop": 19}))
    torch.testing.assert_close(centre_crop(odd, 19), torch.ones(1, 1, 19, 19))


def test_in_each_step_a_teacher_is_asked_once_about_the_mixed_pictures(
    bar_set: Dataset, teacher: Path, small, watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, ask_them = [], PresentTeachers.__call__
    monkeypatch.setattr(PresentTeachers, "__call__", lambda self, x: seen.append(x) or ask_them(self, x))
    recipe = small(
        train={"epochs": 1}, augment={"mixup_alpha": 1}, distill={"teachers": [str(teacher)], "views": "augmented"}
    )
    steps = train(bar_set, recipe, tmp_path / "r", watched()).progress.position
    assert len(seen) == steps
    assert all(pictures.shape[1:] == (1, 20, 20) for pictures in seen)
    whole = bar_set.images[bar_set.rows("train")]
    assert len(np.unique(seen[0])) > 2 * len(np.unique(whole[: len(seen[0])]))  # sums of two are not whole numbers


def test_a_present_teacher_is_copied_and_a_new_start_takes_no_old_copy(teacher: Path, exported: Path, tmp_path: Path):
    spec = open_answerer(teacher).spec
    present(spec, tmp_path, exported)
    assert (tmp_path / "0.onnx").read_bytes() == exported.read_bytes()
    (tmp_path / "0.onnx").write_bytes(b"another")
    present(spec, tmp_path, exported)
    assert (tmp_path / "0.onnx").read_bytes() == exported.read_bytes()
    present(spec, tmp_path, Path("nowhere.onnx"), kept=True)
    with pytest.raises(MienError, match=r"nowhere\.onnx"):
        present(spec, tmp_path, Path("nowhere.onnx"))


def test_a_present_teacher_of_other_colours_or_labels_is_refused(teacher: Path, tmp_path: Path) -> None:
    spec = open_answerer(teacher).spec
    with pytest.raises(MienError, match="takes grey pictures, the net that it is to teach coloured ones"):
        present(spec.model_copy(update={"channels": 3}), tmp_path, teacher)
    with pytest.raises(MienError, match="has no head with the labels"):
        present(spec.model_copy(update={"heads": (Head(name="mine", labels=("x", "y")),)}), tmp_path, teacher)
    assert not list(tmp_path.iterdir())
